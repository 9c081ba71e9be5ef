"""Apps written for Flower: `import flwr` gets Umbel's own classes, in the processes of an app and where `install` was called.

`umbel.compat.flwr.table` says which module stands for which; nothing of it is imported before an app imports it.
"""

from umbel.compat.flwr.alias import active, install, uninstall

__all__ = ["active", "install", "uninstall"]
