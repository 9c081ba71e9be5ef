"""xgboost_cyclic: a Flower / XGBoost app."""

import numpy as np
import xgboost as xgb
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.config import unflatten_dict

from xgboost_cyclic.task import load_data, replace_keys

app = ClientApp()


def _local_boost(bst_input, num_local_round, train_dmatrix):
    """Update trees based on local training data."""
    for _ in range(num_local_round):
        bst_input.update(train_dmatrix, bst_input.num_boosted_rounds())
    return bst_input


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Train the model on local data."""
    cfg = replace_keys(unflatten_dict(context.run_config))
    global_round = msg.content["config"]["server-round"]
    train_dmatrix = load_data(global_round)
    if global_round == 1:
        bst = xgb.train(cfg["params"], train_dmatrix, num_boost_round=cfg["local_epochs"])
    else:
        bst = xgb.Booster(params=cfg["params"])
        bst.load_model(bytearray(msg.content["arrays"]["0"].numpy().tobytes()))
        bst = _local_boost(bst, cfg["local_epochs"], train_dmatrix)

    model_np = np.frombuffer(bst.save_raw("json"), dtype=np.uint8)
    metrics = MetricRecord({"num-examples": train_dmatrix.num_row()})
    content = RecordDict({"arrays": ArrayRecord([model_np]), "metrics": metrics})
    return Message(content=content, reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Evaluate the model on local data."""
    cfg = replace_keys(unflatten_dict(context.run_config))
    bst = xgb.Booster(params=cfg["params"])
    bst.load_model(bytearray(msg.content["arrays"]["0"].numpy().tobytes()))
    valid = load_data(50)
    error = float(np.mean((bst.predict(valid) > 0.5) != valid.get_label()))
    metrics = MetricRecord({"error": error, "num-examples": valid.num_row()})
    return Message(content=RecordDict({"metrics": metrics}), reply_to=msg)
