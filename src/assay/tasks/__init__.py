"""Layer 1: where reference programs come from."""
