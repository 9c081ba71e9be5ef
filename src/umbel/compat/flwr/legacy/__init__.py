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
    "flwr.client": f"{_HERE}.clientside",
    "flwr.client.client": f"{_HERE}.client",
    "flwr.client.dpfedavg_numpy_client": f"{_HERE}.dpfedavgclient",
    "flwr.client.mod": f"{_HERE}.mod",
    "flwr.client.numpy_client": f"{_HERE}.numpyclient",
    "flwr.server": f"{_HERE}.serverside",
    "flwr.server.client_manager": f"{_HERE}.clientmanager",
    "flwr.server.client_proxy": f"{_HERE}.clientproxy",
    "flwr.server.criterion": f"{_HERE}.criterion",
    "flwr.server.history": f"{_HERE}.history",
    "flwr.server.server": f"{_HERE}.server",
    "flwr.server.server_config": f"{_HERE}.serverconfig",
    "flwr.server.serverapp_components": f"{_HERE}.components",
    "flwr.server.strategy": f"{_HERE}.strategy",
    "flwr.server.workflow": f"{_HERE}.workflow",
    **{
        f"flwr.server.strategy.{theirs}": f"{_HERE}.strategy.{ours}"
        for theirs, ours in {
            "aggregate": "aggregate",
            "bulyan": "bulyan",
            "dp_adaptive_clipping": "dpadaptive",
            "dp_fixed_clipping": "dpfixed",
            "fault_tolerant_fedavg": "faulttolerant",
            "fedadagrad": "fedadagrad",
            "fedadam": "fedadam",
            "fedavg": "fedavg",
            "fedavg_android": "fedavgandroid",
            "fedavgm": "fedavgm",
            "fedmedian": "fedmedian",
            "fedopt": "fedopt",
            "fedprox": "fedprox",
            "fedtrimmedavg": "fedtrimmedavg",
            "fedxgb_bagging": "fedxgbbagging",
            "fedxgb_cyclic": "fedxgbcyclic",
            "fedyogi": "fedyogi",
            "krum": "krum",
            "qfedavg": "qfedavg",
            "strategy": "strategy",
        }.items()
    },
}
