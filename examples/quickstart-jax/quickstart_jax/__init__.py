"""Handwritten digits with JAX: ten clients, one small network."""
