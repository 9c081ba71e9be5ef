"""What an author needs for the side where the data is."""

from umbel.clientapp.clientapp import ClientApp, ClientFn, Mod, progress

__all__ = ["ClientApp", "ClientFn", "Mod", "progress"]
