"""custom_start: A strategy with rounds of its own that keeps the best model."""
