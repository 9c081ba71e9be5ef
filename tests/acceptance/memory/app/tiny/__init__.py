"""An app that measures the memory of its own processes."""
