"""Runs ClientApps in worker processes: the same for simulated clients and for real sites."""
