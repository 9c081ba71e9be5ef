"""legacy_strategies: Every strategy of the older API."""
