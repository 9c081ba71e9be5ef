"""Run the FedAvg paper's MNIST 2NN experiments through `umbel run` and compare the rounds to the target accuracy.

    python benchmarks/fedavg_paper/run.py              both divisions of the data
    python benchmarks/fedavg_paper/run.py iid --seed 3

The exit status is 1 when a run did not reach the target within the rounds that `expected.toml` allows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
UMBEL = [sys.executable, "-c", "from umbel.cli.main import main; main()"]


def run(config: dict[str, Any], seed: int) -> dict[str, Any]:
    """What `umbel run` says at the end of a run with these overrides; `seconds` is how long the command took."""
    overrides = " ".join(f"{key}={json.dumps(value)}" for key, value in config.items())
    command = [*UMBEL, "run", str(HERE), "-c", overrides, "--seed", str(seed), "--format", "json", "--stream"]
    begun = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {**json.loads(done.stdout), "seconds": time.perf_counter() - begun}


def main() -> int:
    """Run what the command line names and print one line each."""
    expected = tomllib.loads((HERE / "expected.toml").read_text())
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="iid|shards", choices=[[], *expected], help="default: both")
    parser.add_argument("--seed", type=int, default=0, help="decides which clients train in each round")
    arguments = parser.parse_args()
    print("data    rounds  at most  paper  accuracy  seconds", flush=True)
    reached = True
    for name in arguments.names or expected:
        figures = expected[name]
        config = {"partition": name, "num-server-rounds": figures["at-most"], **figures["config"]}
        ended = run(config, arguments.seed)
        accuracy = ended["metrics"]["server"]["accuracy"]
        reached = reached and accuracy >= figures["accuracy"]
        rounds = f"{ended['rounds']:>6}  {figures['at-most']:>7}  {figures['paper']:>5}"
        print(f"{name:<7} {rounds}  {accuracy:>8.4f}  {ended['seconds']:>7.0f}", flush=True)
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
