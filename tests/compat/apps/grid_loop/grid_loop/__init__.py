"""grid_loop: Rounds without a strategy: push, then pull until all have replied."""
