"""Execution of ServerApps whose clients are real sites: messages go to a SuperLink, from which each node fetches its own."""
