"""query_actions: federated analytics with a Flower app."""

import json
import time
from pathlib import Path

import numpy as np
from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    while len(node_ids := list(grid.get_node_ids())) < 2:
        time.sleep(0.1)
    histogram = sum(
        np.array(reply.content["answer"]["histogram"]) for reply in ask(grid, node_ids, MessageType.QUERY, {"bins": 5})
    )
    means = [reply.content["answer"]["mean"] for reply in ask(grid, node_ids, "query.mean", {})]
    shifted = [reply.content["answer"]["mean"] for reply in ask(grid, node_ids, "train.shift", {"by": 2.5})]
    counted = [reply.content["answer"]["above"] for reply in ask(grid, node_ids, "evaluate.above", {"limit": 0.0})]
    unknown = ask(grid, node_ids, "query.nobody_knows", {})
    record(
        context,
        histogram=histogram.tolist(),
        means=sorted(means),
        shifted=sorted(shifted),
        counted=sorted(counted),
        unknown=[[reply.has_error(), reply.error.code] for reply in unknown],
        types=sorted({reply.metadata.message_type for reply in unknown}),
    )


def ask(grid: Grid, node_ids: list[int], message_type: str, question: dict) -> list[Message]:
    """Ask all nodes the same, and wait for the answers."""
    messages = [
        Message(
            content=RecordDict({"question": ConfigRecord(question)}),
            message_type=message_type,
            dst_node_id=node_id,
            group_id="analytics",
        )
        for node_id in node_ids
    ]
    replies = list(grid.send_and_receive(messages))
    assert all(reply.metadata.group_id == "analytics" for reply in replies)
    return replies


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))
