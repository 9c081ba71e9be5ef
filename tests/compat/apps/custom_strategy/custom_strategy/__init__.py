"""custom_strategy: A strategy that lowers the learning rate and counts."""
