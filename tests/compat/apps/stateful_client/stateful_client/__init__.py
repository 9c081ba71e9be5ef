"""stateful_client: Clients that keep a part of the model to themselves."""
