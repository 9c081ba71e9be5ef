"""legacy_numpy: A NumPyClient and a server_fn."""
