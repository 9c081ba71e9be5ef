"""Flower's older API: NumPyClient, Client, client_fn, server_fn, flwr.server.strategy.

What hooks it in:

- `MODULES` here: its modules by their names in `flwr`; see `umbel.compat.flwr.table`.
- `legacy.clientapp.handler(client_fn)`, which `flwr.clientapp.ClientApp(client_fn=…)` calls for a `(message, context) -> message`
  that answers every message of the older API.
- `legacy.serverapp.main(server=, config=, strategy=, client_manager=, server_fn=)`, which `flwr.serverapp.ServerApp(…)` calls for
  a `(grid, context) -> None` that runs the rounds.
"""

_HERE = "umbel.compat.flwr.legacy"

MODULES: dict[str, str] = {}
