"""Layer 5: a folder of runs in the browser; local, read-only, and nothing in it is trusted."""
