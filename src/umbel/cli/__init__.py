"""The command line: thin commands that talk to a SuperLink over HTTP."""
