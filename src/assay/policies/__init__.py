"""Layer 2: language models behind one protocol."""
