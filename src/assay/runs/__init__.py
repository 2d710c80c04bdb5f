"""Layer 3: a run: its configuration, its parts, its loop and its store."""
