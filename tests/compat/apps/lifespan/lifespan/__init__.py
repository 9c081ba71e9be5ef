"""lifespan: What runs around an app."""
