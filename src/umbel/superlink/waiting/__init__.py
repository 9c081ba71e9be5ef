"""Waiting and waking: long-polls, leases, liveness of nodes, live progress."""
