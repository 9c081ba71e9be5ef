"""The messages of the HTTP API: one struct for each body, shared by the server and every client.

Times are seconds since the epoch (UTC) as floats. Digests are lowercase hex SHA-256. Unknown fields are refused on
the way in to the server.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Scalar = bool | int | float | str
Config = dict[str, Scalar]
Status = Literal["pending", "starting", "running", "finished"]
SubStatus = Literal["completed", "failed", "stopped"]
Phase = Literal["train", "evaluate", "server"]
Source = Literal["serverapp", "clientapp", "simulation", "superexec", "superlink"]

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError)  # msgspec raises the second for bad UTF-8 in a string


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Base of all bodies."""


class BundleInfo(Body):
    """The app bundle (FAB) of a run."""

    fab_id: str  # publisher/name
    fab_version: str
    fab_hash: str  # SHA-256 of the ZIP
    size: int = 0  # bytes


class StartRun(Body):
    """POST /api/v1/runs. The bundle's bytes were put as an object before."""

    fab_hash: str
    federation: str = ""  # empty: the SuperLink's default one
    run_config: Config = {}  # overrides; every key must be declared by the app
    federation_config: Config = {}  # settings of a simulation, e.g. num-supernodes
    seed: int = 0
    request_id: str = ""  # the same id again returns the same run


class Cause(Body):
    """Why a run or a task ended as it did: enough to act on without opening a log."""

    code: str  # an error code of umbel.errors, e.g. "app-error", "run-stopped"
    message: str
    hint: str | None = None
    component: Source | None = None
    exception: str | None = None  # class name
    traceback: str | None = None
    node_id: int | None = None
    round: int | None = None
    log_tail: list[str] = []


class SiteWait(Body):
    """A node that has not answered a message of a run, as `waiting_for` tells it in words."""

    node_id: int
    name: str = ""
    state: Literal["online", "silent", "offline"] = "online"
    what: str = ""  # the words after its name, e.g. "trains (epoch 2 of 5) since 12:00:01"
    since: float = 0.0  # when it took the message; while `fetched` is false, when that was sent
    fetched: bool = True
    stage: str = ""  # as the node says it: "downloading", "training"…; with how much of how much is done
    done: float = 0.0
    total: float = 0.0
    unit: str = ""
    rate: float = 0.0  # units per second, 0 while unknown


class RunView(Body):
    """A run as everybody sees it."""

    run_id: int
    bundle: BundleInfo
    federation: str
    status: Status
    sub_status: SubStatus | None = None
    cause: Cause | None = None
    waiting_for: str | None = None  # one sentence: for whom, for what, since when; None when it does not wait
    run_config: Config = {}  # the app's defaults with the overrides merged in
    federation_config: Config = {}
    seed: int = 0
    round: int = 0  # last round that ended
    num_rounds: int = 0  # 0 while unknown
    pending_at: float = 0.0
    starting_at: float | None = None
    running_at: float | None = None
    finished_at: float | None = None
    attempts: int = 0  # how often its task was started
    bytes_sent: int = 0  # server app to clients
    bytes_recv: int = 0  # clients to server app
    serverapp_seconds: float = 0.0
    clientapp_seconds: float = 0.0
    sites: list[SiteWait] = []  # for which it waits, a thousand at most; only in the view of a single run


class RunList(Body):
    """GET /api/v1/runs, newest first."""

    runs: list[RunView]


class Event(Body):
    """Something that happened in a run. `kind` and the meaning of `data`:

    - `status`: the run's status changed; data = {status, sub_status?, reason}
    - `task`: a task changed; data = {task_id, state, attempt, reason}
    - `round-started`: {round, num_rounds, phase, clients}
    - `progress`: {round, phase, done, total, failed}; sent live, not stored
    - `round-finished`: {round, num_rounds, seconds, train?, evaluate?, server?: {metric: value}, clients, failed}
    - `reply-dropped`: {round, phase, node_id, code, reason}
    - `waiting`: {for, what, since, until?} ; an empty `for` ends the wait
    - `sites`: {text}: for which sites the run waits, in words; an empty text ends the wait; sent live, not stored
    - `artifact`: {name, digest, size}
    - `note`: {text}
    """

    kind: str
    data: dict[str, object] = {}
    at: float = 0.0


class LogLine(Body):
    """One line that a process of the run wrote."""

    text: str
    level: str = "INFO"
    source: Source = "serverapp"
    node_id: int | None = None
    round: int | None = None
    at: float = 0.0


class MetricPoint(Body):
    """One number. `node_id` is None for an aggregate."""

    key: str
    value: float | None  # None: not a finite number (JSON has no NaN)
    round: int
    phase: Phase
    node_id: int | None = None
    at: float = 0.0


class Artifact(Body):
    """A named result of a run, stored as an object. The newest of a name is the one shown."""

    name: str  # e.g. "model.safetensors", "checkpoint"
    digest: str
    size: int
    media_type: str = "application/octet-stream"
    round: int | None = None
    at: float = 0.0


class StreamItem(Body, tag_field="type", tag="item"):
    """One item of a run's live stream. Exactly one of event, log, metric is set."""

    cursor: str  # pass it as `after` (or Last-Event-ID) to continue from here
    event: Event | None = None
    log: LogLine | None = None
    metric: MetricPoint | None = None


class MetricPage(Body):
    """GET /api/v1/runs/{id}/metrics."""

    points: list[MetricPoint]
    cursor: str


class LogPage(Body):
    """GET /api/v1/runs/{id}/logs."""

    lines: list[LogLine]
    cursor: str


class ArtifactList(Body):
    """GET /api/v1/runs/{id}/artifacts."""

    artifacts: list[Artifact]


class ServerInfo(Body):
    """GET /api/v1/info."""

    name: str = "umbel-superlink"
    version: str = ""
    started_at: float = 0.0
    pid: int = 0


class RegisterNode(Body):
    """POST /api/v1/nodes: let the SuperNode with this key take part."""

    public_key: str  # Ed25519: an OpenSSH line, PEM, or 32 bytes in base64url
    name: str = ""


class ReplaceKey(Body):
    """PUT /api/v1/nodes/{id}/key."""

    public_key: str  # as in RegisterNode


class NodeView(Body):
    """A node as everybody sees it."""

    node_id: int
    state: Literal["online", "silent", "offline", "unregistered"]
    name: str = ""
    public_key: str | None = None  # 32 bytes in base64url; None: unregistered
    state_at: float = 0.0  # since when it is in its state
    registered_at: float = 0.0
    seen_at: float | None = None
    version: str = ""  # of its SuperNode; empty: it was never there
    slots: int = 1  # messages that it serves at a time


class NodeViews(Body):
    """GET /api/v1/nodes, oldest first."""

    nodes: list[NodeView]


# Runtime: what SuperExec and the app processes say.


class ClaimTask(Body):
    """POST /api/runtime/tasks/claim?wait=30; 204 when there is nothing to do."""

    executor: str
    kinds: list[str]
    slots: int = 1  # how many tasks it runs at a time


class ClaimedTask(Body):
    """A task handed to a SuperExec under a lease."""

    task_id: int
    run_id: int
    kind: str  # "simulation" or "serverapp"
    attempt: int  # 1 for the first
    token: str  # bound to this task and attempt; for the process only


class TaskInput(Body):
    """GET /api/runtime/tasks/{id}/input: all that an app process needs to start or resume."""

    run: RunView
    attempt: int
    checkpoint: Artifact | None = None  # of an earlier attempt
    last_seq: int = 0  # of the reports of this attempt: its process may have restarted


class Directive(Body):
    """GET /api/runtime/tasks/{id}/directive?wait=30, a long-poll that is also the heartbeat."""

    stop: bool = False  # the process has to end
    over: bool = False  # the task has finished and will not be handed out again


class Report(Body):
    """POST /api/runtime/tasks/{id}/report. `seq` counts from 1 in an attempt; a repeated one is a no-op."""

    seq: int
    events: list[Event] = []
    logs: list[LogLine] = []
    metrics: list[MetricPoint] = []
    artifacts: list[Artifact] = []
    bytes_sent: int = 0  # totals of this attempt so far
    bytes_recv: int = 0
    clientapp_seconds: float = 0.0


class FinishTask(Body):
    """POST /api/runtime/tasks/{id}/finish, by the app process, after its last report."""

    outcome: SubStatus
    cause: Cause | None = None


class TaskExited(Body):
    """POST /api/runtime/tasks/{id}/exited, by the SuperExec: the process is gone, whatever it said before."""

    returncode: int  # negative: the signal that ended it
    attempt: int = 0  # of the process; 0: the present one
    log_tail: list[str] = []


class Problem(Body):
    """RFC 9457 problem document, the body of every error."""

    type: str  # docs page of the error
    title: str
    status: int
    code: str
    detail: str = ""
    hint: str | None = None
