"""Aggregation of replies: reductions, weighted sums, metrics."""
