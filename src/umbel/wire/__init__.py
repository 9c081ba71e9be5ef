"""What travels between processes: encodings, digests, typed API messages and the client that sends them."""
