"""What an author needs for the side where the data is."""

from umbel.clientapp.clientapp import ClientApp, ClientFn, Mod

__all__ = ["ClientApp", "ClientFn", "Mod"]
