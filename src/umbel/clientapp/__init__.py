"""The client side of an app: ClientApp and progress reports."""

from umbel.clientapp.clientapp import ClientApp, ClientFn, Mod, progress

__all__ = ["ClientApp", "ClientFn", "Mod", "progress"]
