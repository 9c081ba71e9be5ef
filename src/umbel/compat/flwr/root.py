"""`flwr` itself."""

__all__ = ["__version__"]

MISSING = {"agentapp": "Umbel has no apps for agents."}

__version__ = "1.42.0"  # the release of Flower whose API this is
