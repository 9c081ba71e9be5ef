"""Content-addressed bytes: an object's name is the SHA-256 of its content."""
