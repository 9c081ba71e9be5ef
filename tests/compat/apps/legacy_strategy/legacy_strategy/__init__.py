"""legacy_strategy: A strategy of the app's own in the older API."""
