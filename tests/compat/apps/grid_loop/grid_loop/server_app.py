"""grid_loop: a Flower app that talks to the Grid itself."""

import json
import time
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    while len(node_ids := list(grid.get_node_ids())) < 2:
        time.sleep(0.1)
    model = np.zeros(3)
    failures = []
    pulled_twice = 0
    for server_round in range(1, 4):
        messages = []
        for node_id in node_ids:
            content = RecordDict()
            content["model"] = ArrayRecord([model])
            content["config"] = ConfigRecord({"round": server_round})
            message = Message(content, node_id, MessageType.TRAIN, group_id=str(server_round), ttl=600.0)
            messages.append(message)
        message_ids = list(grid.push_messages(messages))
        waiting, replies = set(message_ids), []
        while waiting:
            arrived = list(grid.pull_messages(message_ids=waiting))
            replies += arrived
            waiting -= {reply.metadata.reply_to_message_id for reply in arrived}
            time.sleep(0.02)
        pulled_twice += len([each for each in grid.pull_messages(message_ids=message_ids) if each.has_content()])
        good = [reply for reply in replies if reply.has_content()]
        failures += [reply.error.code for reply in replies if reply.has_error()]
        assert {reply.metadata.group_id for reply in replies} == {str(server_round)}
        model = np.mean([reply.content["model"].to_numpy_ndarrays()[0] for reply in good], axis=0)
    record(context, model=model.tolist(), failures=failures, pulled_twice=pulled_twice)


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))
