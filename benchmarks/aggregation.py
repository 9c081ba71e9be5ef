"""FedAvg over 100 replies of 40 MB: how fast the product folds them, and Flower's aggregate of the same, on this machine in the same run.

    python benchmarks/aggregation.py           five repeats, in turns
    python benchmarks/aggregation.py --check   exit status 1 unless it is as fast as Flower and its memory is that of a few models

The replies' arrays are ten buffers of 40 MB, used again and again, so that neither product measures the disk. Each repeat is a separate
process, which reports at its end how long it took and the most memory it held (ru_maxrss). Flower is measured where
`benchmarks/simulation/run.py` has installed it, by the function that its FedAvg aggregates with.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FLOWER = ROOT / ".cache" / "bench-flower" / "bin" / "python"
REPLIES = 100
ELEMENTS = 10_000_000  # float32: 40 MB
BUFFERS = 10

_COMMON = f"""
import json, resource, time
import numpy as np
buffers = [np.random.default_rng(k).random({ELEMENTS}, dtype=np.float32) for k in range({BUFFERS})]
"""
_END = """
expected = sum((k + 1) * buffers[k % len(buffers)][:5].astype(float) for k in range(COUNT)) / (COUNT * (COUNT + 1) / 2)
np.testing.assert_allclose(outcome[:5], expected, rtol=1e-5)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
held = sum(buffer.nbytes for buffer in buffers) / 2**20
print(json.dumps({"seconds": seconds, "peak": peak, "buffers": held}))
""".replace("COUNT", str(REPLIES))

# The last round's 40 MB are touched once, so that neither measures how the first pages come.
UMBEL = f"""{_COMMON}
from umbel.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from umbel.serverapp.strategy import FedAvg

def reply(k):
    content = RecordDict({{"arrays": ArrayRecord({{"w": Array(buffers[k % {BUFFERS}])}}), "metrics": MetricRecord({{"num-examples": k + 1}})}})
    return Message(content, reply_to=Message(RecordDict(), k, "train"))

strategy = FedAvg()
strategy.aggregate_train(1, (reply(k) for k in range(2)))
begun = time.perf_counter()
arrays, _ = strategy.aggregate_train(1, (reply(k) for k in range({REPLIES})))
seconds = time.perf_counter() - begun
outcome = arrays["w"].numpy()
{_END}"""

FLOWER_SCRIPT = f"""{_COMMON}
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords

serialised = [Array(buffer) for buffer in buffers]
replies = [
    RecordDict({{"arrays": ArrayRecord({{"w": serialised[k % {BUFFERS}]}}), "metrics": MetricRecord({{"num-examples": k + 1}})}})
    for k in range({REPLIES})
]
aggregate_arrayrecords(replies[:2], "num-examples")
begun = time.perf_counter()
arrays = aggregate_arrayrecords(replies, "num-examples")
seconds = time.perf_counter() - begun
outcome = arrays["w"].numpy()
{_END}"""


def measured(python: Path | str, script: str) -> dict[str, Any]:
    """What one process says of one aggregation; one thread, so that only the product's own work counts."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "FLWR_TELEMETRY_ENABLED": "0"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run([str(python), "-c", script], stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    """Measure in turns and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--check", action="store_true", help="exit status 1 when a target is missed")
    arguments = parser.parse_args()
    scripts = {"umbel": (sys.executable, UMBEL)} | ({"flower": (str(FLOWER), FLOWER_SCRIPT)} if FLOWER.exists() else {})
    samples: dict[str, list[dict[str, Any]]] = {name: [] for name in scripts}
    for _ in range(arguments.repeats):
        for name, (python, script) in scripts.items():
            samples[name].append(measured(python, script))
    gigabytes = REPLIES * ELEMENTS * 4 / 1e9
    speeds = {name: gigabytes / statistics.median(s["seconds"] for s in taken) for name, taken in samples.items()}
    for name, taken in samples.items():
        above = max(s["peak"] - s["buffers"] for s in taken)
        print(f"{name:<7} {speeds[name]:5.2f} GB/s, {above:5.0f} MB beside the replies' {taken[0]['buffers']:.0f} MB")
    if "flower" in speeds:
        ratios = [f["seconds"] / u["seconds"] for f, u in zip(samples["flower"], samples["umbel"], strict=True)]
        print(f"umbel / flower: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    else:
        print("Flower is not installed: benchmarks/simulation/run.py does it.")
    memory = max(s["peak"] - s["buffers"] for s in samples["umbel"])
    missed = memory > 12 * ELEMENTS * 4 / 2**20 or speeds["umbel"] < speeds.get("flower", 0)
    return 1 if arguments.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
