"""The SuperExec: claims tasks from a SuperLink and runs each in a separate process."""
