"""all_strategies: Every strategy for a few rounds."""
