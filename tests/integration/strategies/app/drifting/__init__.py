"""Clients with unlike data and the strategies that know what to do about it."""
