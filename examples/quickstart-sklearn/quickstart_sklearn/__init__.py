"""Handwritten digits with scikit-learn: ten clients, one logistic regression."""
