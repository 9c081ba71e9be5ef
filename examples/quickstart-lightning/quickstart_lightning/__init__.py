"""Handwritten digits with PyTorch Lightning: ten clients, one LightningModule."""
