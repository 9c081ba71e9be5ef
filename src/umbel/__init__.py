"""Umbel: federated AI that people can trust with real work."""

__version__ = "0.1.0"
