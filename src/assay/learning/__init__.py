"""Layer 1: rewards, advantages and losses; pure functions of arrays."""
