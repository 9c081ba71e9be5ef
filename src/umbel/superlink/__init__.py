"""The SuperLink: the coordinator that keeps runs, tasks, objects, metrics and logs, and hands out the work."""
