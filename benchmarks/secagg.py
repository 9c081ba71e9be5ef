"""Cost of secure aggregation.

    python benchmarks/secagg.py [--check]

One client's work (all four stages, without the wire), and what the server does to take the masks off, on one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.records import MetricRecord
from umbel.privacy.secagg import client, quantization
from umbel.privacy.secagg.parameters import Parameters, derive
from umbel.privacy.secagg.quantization import Encoding, half_range
from umbel.privacy.secagg.server import ServerSession

CLIENTS, PARAMETERS, GONE = 100, 1_000_000, 10
CLIENT_LIMIT, SERVER_LIMIT = 2.0, 10.0  # seconds
CASES = {
    "derived, uint64": (derive(CLIENTS, 0.2, 0.1), "uint64"),
    "derived, uint32": (derive(CLIENTS, 0.2, 0.1), "uint32"),
    "all with all, uint64": (Parameters(CLIENTS, 56), "uint64"),
}


@dataclass
class Times:
    """Seconds of one session, by who worked."""

    client: float = 0.0  # the slowest
    exchange: float = 0.0  # the server, before it unmasks
    unmask: float = 0.0


def main() -> int:
    """Print a line for each case; with --check the exit status is 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    print(f"{CLIENTS} clients, {PARAMETERS:,} parameters, {GONE} drop out")
    missed = False
    for name, (parameters, modulus) in CASES.items():
        times = measure(parameters, modulus)
        print(
            f"{name:22} {parameters.num_shares:3} shares, {parameters.threshold} needed: "
            f"client {times.client:5.2f} s (limit {CLIENT_LIMIT:.0f}), server unmasks in {times.unmask:5.2f} s "
            f"(limit {SERVER_LIMIT:.0f}), routes and sums in {times.exchange:5.2f} s"
        )
        missed |= times.client > CLIENT_LIMIT or times.unmask > SERVER_LIMIT
    return int(check and missed)


def measure(parameters: Parameters, modulus: str) -> Times:
    """One session; the sum is checked against that of the plain vectors."""
    times, session = Times(), bytes(16)
    half = half_range(2**28 if modulus == "uint64" else 2**16)
    encoding = Encoding(modulus, half, 1000 if modulus == "uint64" else 100, 64.0, 1000.0)
    spent = dict.fromkeys(range(2, 2 + CLIENTS), 0.0)
    server = ServerSession(session, parameters)

    def work(node: int, function: Any, *arguments: Any) -> Any:
        began = time.perf_counter()
        result = function(*arguments)
        spent[node] += time.perf_counter() - began
        return result

    states = {node: work(node, client.set_up, session, node) for node in spent}
    peers = server.publish({node: state.public_keys() for node, state in states.items()})
    shares = {node: work(node, client.share, states[node], peers[node], parameters) for node in peers}
    began = time.perf_counter()
    routed = server.route(shares)
    times.exchange += time.perf_counter() - began
    present = list(routed)[GONE:]
    totals: dict[str, NDArray[Any]] = {}
    for node in present:
        vector = work(node, packed, node, encoding)
        before = vector.copy()
        work(node, client.mask, states[node], routed[node], vector)
        began = time.perf_counter()
        add(totals, "masked", vector)
        times.exchange += time.perf_counter() - began
        add(totals, "plain", before)
    questions = server.ask(present)
    revealed = {node: work(node, client.unmask, states[node], questions[node]) for node in present}
    began = time.perf_counter()
    server.unmask(revealed, totals["masked"])
    times.unmask = time.perf_counter() - began
    if not np.array_equal(totals["masked"], totals["plain"]):
        raise SystemExit("The sum is wrong.")
    times.client = max(spent.values())
    return times


def packed(node: int, encoding: Encoding) -> NDArray[Any]:
    """The vector of a client's model."""
    arrays = ArrayRecord([np.random.default_rng(node).normal(size=PARAMETERS).astype(np.float32)])
    return quantization.pack(arrays, MetricRecord({"loss": 1.0}), node % 100, encoding)[0]


def add(totals: dict[str, NDArray[Any]], name: str, vector: NDArray[Any]) -> None:
    """Add a vector to the total of this name."""
    if name in totals:
        totals[name] += vector
    else:
        totals[name] = vector.copy()


if __name__ == "__main__":
    sys.exit(main())
