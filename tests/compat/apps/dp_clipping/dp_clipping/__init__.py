"""dp_clipping: Differential privacy without noise, so that it can be compared."""
