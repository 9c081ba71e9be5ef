"""The engine with real worker processes."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.integration.engine.conftest import StartBench
from umbel.app import ConfigRecord, Error, Message, RecordDict
from umbel.app.message import ErrorCode
from umbel.app.safetensors import encode
from umbel.engine.exchange import Exchange
from umbel.errors import AppLoadError
from umbel.serverapp.aggregation.reduction import Reduction, WeightedMean
from umbel.serverapp.grid import RoundPolicy

MEAN = WeightedMean()
LARGE = 80_000  # floats: more than travels in a frame


def digest(exchange: Exchange) -> str:
    """SHA-256 of the mean of an exchange's replies."""
    exchange.wait()
    total = exchange.reduced().sum
    assert total is not None
    return hashlib.sha256(b"".join(encode(total.mean()))).hexdigest()


@pytest.mark.parametrize("size", [100, LARGE])
def test_the_result_does_not_depend_on_the_number_of_workers(start: StartBench, size: int) -> None:
    """Three rounds of stateful, random clients: inline and with 1, 2 and 4 workers, folded there or here, the same bits."""
    digests = []
    for workers in (None, 1, 2, 4):
        bench = start(workers)
        digests.append([digest(bench.send("train", 23, size=size, reduction=MEAN)) for _ in range(3)])
        bench.engine.close()
    assert digests.count(digests[0]) == 4
    assert len(set(digests[0])) == 3
    other = start(2, seed=1)
    assert digest(other.send("train", 23, size=size, reduction=MEAN)) != digests[0][0]


@pytest.mark.parametrize("size", [100, LARGE])
def test_replies_that_are_not_folded_come_whole(start: StartBench, size: int) -> None:
    """Small ones in the frame, large ones in shared memory: the same as inline."""
    contents = []
    for workers in (None, 2):
        bench = start(workers)
        replies = list(bench.send("train", 40, size=size).in_order())
        contents.append([reply.content.array_records["arrays"] for reply in replies])
        assert [reply.metadata.src_node_id for reply in replies] == list(range(2, 42))
        assert [reply.metadata.reply_to_message_id for reply in replies] == [f"1-{index}" for index in range(40)]
    assert contents[0] == contents[1]


@pytest.mark.parametrize("reduction", [None, MEAN])
def test_a_killed_worker_changes_one_reply_and_nothing_else(start: StartBench, reduction: Reduction | None) -> None:
    """The client that was being served gets an error reply; every other reply is what it would have been."""
    crashed, calm = start(2), start(2)
    with_crash = crashed.send("train.crash", 30, reduction=reduction)
    without = calm.send("train", 30, reduction=reduction)
    with_crash.wait()
    without.wait()
    if reduction is None:
        pairs = list(zip(with_crash.in_order(), without.in_order(), strict=True))
        assert pairs[3][0].error.code == ErrorCode.CLIENT_APP_CRASHED
        assert "SIGKILL" in str(pairs[3][0].error.reason)
        assert all(a.content["arrays"] == b.content["arrays"] for a, b in pairs[:3] + pairs[4:])
    else:
        failures = with_crash.reduced().failures()
        assert [(reply.node_id, reply.error and reply.error.code) for reply in failures] == [
            (5, ErrorCode.CLIENT_APP_CRASHED)
        ]
    assert digest(crashed.send("train", 3, reduction=MEAN)) == digest(calm.send("train", 3, reduction=MEAN))
    assert len(crashed.workers) == 2


def test_an_idle_worker_that_is_killed_is_replaced(start: StartBench) -> None:
    """No one is blamed for it."""
    bench = start(2)
    bench.send("train", 10, reduction=MEAN).wait()
    victim = psutil.Process(bench.workers[0])
    victim.kill()
    again = bench.send("train", 10, reduction=MEAN)
    again.wait()
    assert not again.reduced().failures()


def test_every_failure_of_a_client_is_its_own_reply(start: StartBench) -> None:
    """Raising, returning nothing, exiting, ending the process and NaN: each is named, the rest is averaged."""
    exchange = start(2).send("train.misbehave", 7, reduction=MEAN)
    exchange.wait()
    reduced = exchange.reduced()
    codes = {reply.node_id: reply.error and int(reply.error.code) for reply in reduced.failures()}
    assert codes == {3: 2, 4: 2, 5: 2, 6: 8, 7: 20}
    reasons = {reply.node_id: str(reply.error and reply.error.reason) for reply in reduced.failures()}
    assert "ValueError: no data here" in reasons[3]
    assert "exit code 5" in reasons[6]
    assert "NaN" in reasons[7]
    assert reduced.sum is not None
    assert reduced.sum.count == 2


def test_a_round_ends_when_its_time_is_over(start: StartBench) -> None:
    """A client that hangs is answered for, its worker is replaced, and the next round has all its workers."""
    bench = start(2)
    bench.send("train", 2, reduction=MEAN).wait()
    exchange = bench.send("query.hang", 4, policy=RoundPolicy(timeout=1.0))
    replies = list(exchange.in_order())
    assert [reply.has_error() for reply in replies] == [False, True, False, False]
    assert replies[1].error.code == ErrorCode.TIMED_OUT
    assert not digest_fails(bench.send("train", 20, reduction=MEAN))


def test_a_quorum_and_a_deadline_end_a_round_early(start: StartBench) -> None:
    """With enough replies the round does not wait longer than its deadline."""
    bench = start(2)
    bench.send("train", 2, reduction=MEAN).wait()
    exchange = bench.send("query.hang", 4, policy=RoundPolicy(timeout=50.0, deadline=0.5, quorum=3))
    assert sum(reply.has_content() for reply in exchange.in_order()) == 3


def digest_fails(exchange: Exchange) -> bool:
    """Whether any client of an exchange failed."""
    exchange.wait()
    return bool(exchange.reduced().failures())


def test_a_component_that_cannot_be_loaded_is_told_once(start: StartBench) -> None:
    """A module that is not there fails the exchange, not each client."""
    with pytest.raises(AppLoadError, match="nowhere"):
        start(1, component="nowhere:app").send("train", 3).wait()
    with pytest.raises(AppLoadError, match="no attribute 'missing'"):
        start(1, component="clients:missing").send("train", 3).wait()


def test_a_component_that_is_no_app_fails_every_client(start: StartBench) -> None:
    """Something that cannot be called is the clients' error."""
    replies = list(start(1, component="clients:broken").send("train", 2).in_order())
    assert all("not callable" in str(reply.error.reason) for reply in replies)


def test_what_clients_print_is_told_with_their_node(start: StartBench) -> None:
    """Both streams, from any thread, line by line."""
    bench = start(1)
    bench.send("query.say", 2).wait()
    assert sorted(bench.logs, key=lambda line: line[2] or 0) == [
        line
        for part in range(2)
        for line in [
            ("from a thread", "INFO", part + 2),
            ("error", "WARNING", part + 2),
            (f"out {part}", "INFO", part + 2),
        ]
    ]


def test_clients_that_wait_get_more_workers(start: StartBench) -> None:
    """Clients that do not use their processor are served by more workers than there are processors."""
    bench = start(8)
    exchange = bench.send("query.block", 60)
    pids = {reply.content.metric_records["m"]["pid"] for reply in exchange.in_order()}
    assert len(pids) > len(os.sched_getaffinity(0))


def test_different_messages_in_one_exchange(start: StartBench) -> None:
    """Clients get their own content and type, whatever unit they are in."""
    bench = start(2)
    messages = [
        Message(RecordDict({"c": ConfigRecord({"i": i})}), 2 + i, "query.say" if i % 2 else "query.block")
        for i in range(20)
    ]
    exchange = Exchange(1, messages, None, RoundPolicy(), 1)
    bench.engine.submit(exchange)
    assert [len(reply.content) for reply in exchange.in_order()] == [0 if i % 2 else 1 for i in range(20)]


def test_workers_live_as_long_as_the_run(start: StartBench) -> None:
    """However work is moved between them, no worker is ended without a reason."""
    bench = start(2)
    bench.send("train", 2, reduction=MEAN).wait()
    before = bench.workers
    for _ in range(50):
        bench.send("train", 37, reduction=MEAN).wait()
    assert bench.workers == before


@pytest.mark.slow
def test_many_rounds_leave_nothing_behind(start: StartBench) -> None:
    """The descriptors of the process and of its workers do not grow with the rounds: only with how many replies there ever were at once."""
    bench = start(2)
    counts = []
    for number in range(12):
        digest(bench.send("train", 8, size=LARGE, reduction=MEAN))
        list(bench.send("train", 8, size=LARGE).in_order())
        if number in (5, 11):
            counts.append([len(os.listdir(f"/proc/{pid}/fd")) for pid in (os.getpid(), *bench.workers)])
    assert all(late <= early + 16 for early, late in zip(*counts, strict=True))


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    """Even in the middle of a client that never returns."""
    script = f"""
import sys; sys.path.insert(0, {os.getcwd()!r})
from pathlib import Path
from tests.integration.engine.conftest import APP, Bench
from umbel.serverapp.grid import Run
from umbel.simulation.session import Session
from umbel.simulation.settings import SimulationSettings
session = Session(Run(1), SimulationSettings(4, max_workers=2), Path({str(tmp_path)!r}))
bench = Bench(session.engine(APP, "clients:app", lambda *_: None, lambda _: None))
bench.send("train", 2).wait()
print(*bench.workers, flush=True)
bench.send("query.hang", 4).wait()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        parent.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert len(workers) == 2
    assert not alive


def test_an_error_is_what_the_client_said(start: StartBench) -> None:
    """A message type that the app has no function for is an error reply that names those it has."""
    (reply,) = start(1).send("evaluate", 1).in_order()
    assert isinstance(reply.error, Error)
    assert "it has: query.block, query.hang, query.say, train, train.crash, train.misbehave" in str(reply.error.reason)
