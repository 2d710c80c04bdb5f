"""Layer 1: estimators, intervals and tests; arrays in, records out."""
