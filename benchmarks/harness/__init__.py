"""What the benchmarks share: environments, processes, verdicts and the report."""
