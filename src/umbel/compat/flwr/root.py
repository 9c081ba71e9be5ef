"""`flwr` itself."""

__all__ = ["__version__"]

MISSING = {"agentapp": "Umbel has no agent apps."}

__version__ = "1.42.0"  # the release of Flower whose API this is
