"""The benchmark app: the same source runs in both products."""
