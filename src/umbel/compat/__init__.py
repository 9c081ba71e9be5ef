"""Compatibility with apps written for other platforms."""
