"""The commands of `umbel`, one module each; heavy imports live inside the functions."""
