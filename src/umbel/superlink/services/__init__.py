"""Services: what API requests do in a database transaction, one module per noun."""
