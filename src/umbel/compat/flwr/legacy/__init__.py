"""Flower's older API: NumPyClient, Client, client_fn, server_fn, flwr.server.strategy.

What hooks it in:

- `MODULES` here: its modules by their names in `flwr`; see `umbel.compat.flwr.table`.
- `legacy.clientapp.handler(client_fn)`, which `flwr.clientapp.ClientApp(client_fn=…)` calls for a `(message, context) -> message`
  that answers every message of the older API.
- `legacy.serverapp.main(server=, config=, strategy=, client_manager=, server_fn=)`, which `flwr.serverapp.ServerApp(…)` calls for
  a `(grid, context) -> None` that runs the rounds.
"""

_HERE = "umbel.compat.flwr.legacy"

MODULES: dict[str, str] = {
    "flwr.client": f"{_HERE}.client_exports",
    "flwr.client.client": f"{_HERE}.client",
    "flwr.client.dpfedavg_numpy_client": f"{_HERE}.client",
    "flwr.client.mod": f"{_HERE}.mod",
    "flwr.client.numpy_client": f"{_HERE}.client",
    "flwr.server": f"{_HERE}.server_exports",
    "flwr.server.client_manager": f"{_HERE}.clientmanager",
    "flwr.server.client_proxy": f"{_HERE}.clientmanager",
    "flwr.server.criterion": f"{_HERE}.clientmanager",
    "flwr.server.history": f"{_HERE}.server",
    "flwr.server.server": f"{_HERE}.server",
    "flwr.server.server_config": f"{_HERE}.server",
    "flwr.server.serverapp_components": f"{_HERE}.components",
    "flwr.server.strategy": f"{_HERE}.strategy",
    "flwr.server.workflow": f"{_HERE}.workflow",
    **{
        f"flwr.server.strategy.{theirs}": f"{_HERE}.strategy.{ours}"
        for theirs, ours in {
            "aggregate": "aggregate",
            "bulyan": "robust",
            "dp_adaptive_clipping": "dp",
            "dp_fixed_clipping": "dp",
            "fault_tolerant_fedavg": "fedavg",
            "fedadagrad": "server_optimizers",
            "fedadam": "server_optimizers",
            "fedavg": "fedavg",
            "fedavg_android": "fedavg",
            "fedavgm": "server_optimizers",
            "fedmedian": "robust",
            "fedopt": "server_optimizers",
            "fedprox": "fedavg",
            "fedtrimmedavg": "robust",
            "fedxgb_bagging": "xgboost",
            "fedxgb_cyclic": "xgboost",
            "fedyogi": "server_optimizers",
            "krum": "robust",
            "qfedavg": "fedavg",
            "strategy": "strategy",
        }.items()
    },
}
