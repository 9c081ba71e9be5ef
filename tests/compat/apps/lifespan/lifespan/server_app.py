"""lifespan: a Flower app with code that runs around it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

from flwr.app import Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()
steps: list = []


@app.lifespan()
def lifespan(context: Context) -> Iterator[None]:
    """Remember when it begins and when it ends."""
    steps.append("enter")
    yield
    steps.append("exit")
    record(context, steps=steps)


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    while len(node_ids := list(grid.get_node_ids())) < 2:
        time.sleep(0.1)
    for _ in range(3):
        messages = [Message(RecordDict(), node_id, MessageType.QUERY) for node_id in node_ids]
        replies = grid.send_and_receive(messages)
        steps.append(sorted(list(reply.content["steps"].items()) for reply in replies))


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))
