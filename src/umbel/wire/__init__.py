"""Communication between processes: encodings, digests, typed API messages and API clients."""
