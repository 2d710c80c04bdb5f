"""Layer 2: what is sampled and updated, round by round."""
