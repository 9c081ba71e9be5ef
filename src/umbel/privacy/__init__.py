"""Privacy: clipping, noise, accounting and secure aggregation. Each part states its guarantee, its formula and when it does not hold."""
