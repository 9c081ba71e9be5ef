"""Python environments with the dependencies that apps declare.

An app whose requirements the current interpreter does not satisfy gets an environment under `UMBEL_HOME/environments`, which all runs with
the same requirements share. uv creates it. It inherits the packages of the interpreter that created it, including Umbel; packages that the
app declares take precedence. The entry point is `umbel.environments.prepare.prepare`.
"""
