"""MNIST with PyTorch: ten clients of uneven classes, one small convolutional network."""
