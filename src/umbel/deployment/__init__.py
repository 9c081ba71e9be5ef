"""Runs a ServerApp whose clients are real sites: its messages go to a SuperLink, where each node fetches its own."""
