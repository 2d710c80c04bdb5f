"""Layer 1: what a model is asked, and how a candidate is taken out of its answer."""
