"""Layer 2: the judge, and the processes it keeps apart."""
