"""Handwritten digits with TensorFlow: ten clients, one Keras model."""
