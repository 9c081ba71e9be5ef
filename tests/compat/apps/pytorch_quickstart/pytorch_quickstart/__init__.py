"""pytorch_quickstart: A small network with PyTorch."""
