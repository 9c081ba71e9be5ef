"""Environments for apps: whether this interpreter has what an app declares, and if not, one that has it.

An environment lies under `UMBEL_HOME/environments` and is shared by all runs with the same requirements. It sees everything that the
interpreter it was made by sees, Umbel included; what the app declares comes first. uv makes it. The way in is
`umbel.environments.prepare.prepare`.
"""
