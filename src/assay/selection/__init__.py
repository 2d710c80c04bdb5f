"""Layer 2: picking one attempt from a pool, after the fact."""
