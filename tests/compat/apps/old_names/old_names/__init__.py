"""old_names: The names that records, messages and grid had before."""
