"""numpy_quickstart: A linear regression with NumPy alone."""
