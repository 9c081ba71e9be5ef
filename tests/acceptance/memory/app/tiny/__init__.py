"""An app that measures the memory of the processes of its run."""
