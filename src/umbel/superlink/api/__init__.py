"""The HTTP API: routes, bodies and errors."""
