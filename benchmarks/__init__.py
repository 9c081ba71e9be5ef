"""Measurements of Umbel: each folder has its README."""
