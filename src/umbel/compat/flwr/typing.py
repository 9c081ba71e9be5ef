"""`flwr.clientapp.typing` and `flwr.client.typing`: types of the client's functions."""

from umbel.clientapp.clientapp import ClientFn as ClientAppCallable
from umbel.clientapp.clientapp import Mod
from umbel.compat.flwr.legacy.clientapp import ClientFn, ClientFnExt

__all__ = ["ClientAppCallable", "ClientFn", "ClientFnExt", "Mod"]
