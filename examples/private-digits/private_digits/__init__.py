"""Handwritten digits of 479 people, learnt with differential privacy for each of them."""
