"""Iris flowers with NumPy alone: five clients, one softmax regression."""
