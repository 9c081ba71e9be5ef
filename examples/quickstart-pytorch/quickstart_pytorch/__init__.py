"""MNIST with PyTorch: fifty clients of uneven classes, one small convolutional network."""
