"""mods_order: a Flower app with mods."""

import json
import time
from pathlib import Path

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    while len(node_ids := list(grid.get_node_ids())) < 2:
        time.sleep(0.1)
    traces = {}
    for message_type in ("train", "train.twice", "evaluate", "query"):
        content = RecordDict({"trace": ConfigRecord({"steps": ["server"]})})
        messages = [Message(content, node_id, message_type) for node_id in node_ids]
        replies = list(grid.send_and_receive(messages))
        traces[message_type] = [
            reply.error.code if reply.has_error() else reply.content["trace"]["steps"] for reply in replies
        ]
    record(context, traces=traces)


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))
