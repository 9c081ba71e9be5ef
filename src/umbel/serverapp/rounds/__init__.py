"""The rounds of a strategy: callbacks, checkpoints, reports, results."""
