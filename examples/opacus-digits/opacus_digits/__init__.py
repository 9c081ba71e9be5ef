"""Handwritten digits at five sites, each of which trains with DP-SGD: privacy for every image."""
