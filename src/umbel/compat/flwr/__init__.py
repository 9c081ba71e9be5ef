"""Support of apps written for Flower: `import flwr` returns Umbel's classes in app processes and after a call of `install`.

`umbel.compat.flwr.table` says which module stands for which; nothing of it is imported before an app imports it.
"""

from umbel.compat.flwr.alias import active, install, uninstall

__all__ = ["active", "install", "uninstall"]
