"""old_names: a Flower app from before records and grid were renamed."""

import json
import time
from pathlib import Path

import numpy as np
from flwr.common import ConfigsRecord, Context, MessageType, ParametersRecord, RecordSet, array_from_numpy
from flwr.server import Driver, ServerApp

app = ServerApp()


@app.main()
def main(driver: Driver, context: Context) -> None:
    """Main entry point for the ServerApp."""
    while len(node_ids := list(driver.get_node_ids())) < 2:
        time.sleep(0.1)
    sums = []
    for server_round in range(2):
        recordset = RecordSet(
            parameters_records={"model": ParametersRecord({"w": array_from_numpy(np.arange(3.0))})},
            configs_records={"config": ConfigsRecord({"factor": server_round + 2})},
        )
        messages = [
            driver.create_message(
                content=recordset, message_type=MessageType.TRAIN, dst_node_id=node_id, group_id=str(server_round)
            )
            for node_id in node_ids
        ]
        replies = list(driver.send_and_receive(messages, timeout=60))
        sums.append(sorted(reply.content.metrics_records["metrics"]["sum"] for reply in replies if reply.has_content()))
        errors = [reply.error.reason for reply in replies if reply.has_error()]
    record(context, sums=sums, errors=errors)


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))
