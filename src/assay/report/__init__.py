"""Layer 4: tables and words about what a run has stored."""
