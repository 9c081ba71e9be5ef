"""Handwritten digits with a Vision Transformer of Hugging Face: ten clients."""
