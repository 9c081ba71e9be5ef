"""A secure sum over a Grid: the four exchanges of SecAgg+ for one set of messages."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.app.records import ConfigRecord
from umbel.errors import ConfigError, SecureAggregationRefused
from umbel.privacy.secagg import quantization, records
from umbel.privacy.secagg.messages import Stage
from umbel.privacy.secagg.parameters import Parameters
from umbel.privacy.secagg.quantization import Encoding, Form, Sums
from umbel.privacy.secagg.server import ServerSession
from umbel.serverapp.aggregation.reduction import Reply, malformed, single_record
from umbel.serverapp.grid import Grid, RoundPolicy

A = TypeVar("A")


@dataclass
class SecureSum:
    """One session: `run` gives the sums over the nodes that stayed, `replies` what became of each node, also after a failure."""

    grid: Grid
    messages: Sequence[Message]
    policy: RoundPolicy
    parameters: Parameters
    encoding: Encoding
    weighted_by_key: str = ""  # empty: each node counts once
    present: list[int] = field(default_factory=list)  # whose inputs are in the sums
    form: Form = field(default_factory=lambda: Form((), ()))

    def __post_init__(self) -> None:
        """Draw the session. Raises ConfigError when a node is asked twice."""
        self._session = secrets.token_bytes(16)
        self._server = ServerSession(self._session, self.parameters)
        self._asked = {message.metadata.dst_node_id: message for message in self.messages}
        self._dropped: dict[int, Reply] = {}
        if len(self._asked) < len(self.messages):
            raise ConfigError(
                "A node received two messages in one secure aggregation.", hint="Send each node one message."
            )

    def run(self) -> Sums:
        """The sums. Raises SecureAggregationFailed when too few nodes stay: then there are none, not even of those who stayed."""
        server = self._server
        keys = self._exchange(Stage.SETUP, {node: {} for node in self._asked}, records.read_keys)
        peers = server.publish(keys)
        told = {node: records.peers_record(them, self.parameters) for node, them in peers.items()}
        sealed = server.route(self._exchange(Stage.SHARE, told, records.read_shares))
        self._refuse()
        total = self._inputs(sealed)
        questions = {node: records.question_record(it) for node, it in server.ask(self.present).items()}
        revealed = self._exchange(Stage.UNMASK, questions, lambda record: records.read_bytes(record, "share"))
        server.unmask(revealed, total)
        self._refuse()
        return quantization.unpack(total, self.form, self.encoding)

    def replies(self) -> list[Reply]:
        """One for each message, in order; without an error where the node's input is in the sums."""
        return [self._dropped.get(node, Reply(node)) for node in self._asked]

    def _inputs(self, sealed: Mapping[int, Mapping[int, bytes]]) -> NDArray[Any]:
        """The sum of the masked vectors of the most frequent form (the earliest among equals); whose form differs is dropped."""
        told = {node: records.inputs_record(it, self.weighted_by_key, self.encoding) for node, it in sealed.items()}
        totals: dict[str, NDArray[Any]] = {}
        senders: dict[str, list[int]] = {}
        for node, content in self._replies(Stage.MASK, told):
            try:
                form, vector = self._vector(content)
            except (SecureAggregationRefused, ValueError) as reason:
                self._dropped[node] = malformed(node, str(reason))
                continue
            if form in totals:
                totals[form] += vector
            else:
                totals[form] = vector.copy()
            senders.setdefault(form, []).append(node)
        chosen = max(senders, key=lambda form: len(senders[form]), default=None)
        for form in senders.keys() - {chosen}:
            for node in senders[form]:
                self._dropped[node] = malformed(
                    node, "Its arrays or metrics differ from those of the other replies in name, dtype or shape."
                )
        if chosen is None:
            return np.empty(0, self.encoding.modulus)
        self.present, self.form = senders[chosen], quantization.load_form(chosen)
        return totals[chosen]

    def _vector(self, content: RecordDict) -> tuple[str, NDArray[Any]]:
        (text,) = records.read(content.config_records[records.RECORD], "form")
        (array,) = single_record(content, ArrayRecord).values()
        if array.dtype != self.encoding.modulus or array.shape != (quantization.load_form(text).size,):
            raise ValueError("Its masked vector does not have the declared length or dtype.")
        return text, array.storage

    def _exchange(self, stage: Stage, told: Mapping[int, Mapping[str, Any]], read: Callable[[Any], A]) -> dict[int, A]:
        answers = {}
        for node, content in self._replies(stage, told):
            try:
                answers[node] = read(content.config_records[records.RECORD])
            except (SecureAggregationRefused, TypeError, ValueError) as reason:
                self._dropped[node] = malformed(node, str(reason))
        return answers

    def _replies(self, stage: Stage, told: Mapping[int, Mapping[str, Any]]) -> Iterator[tuple[int, RecordDict]]:
        """What came back of a stage; a node whose reply is an error has dropped out."""
        nodes = [node for node in self._asked if node in told]
        messages = [self._message(self._asked[node], stage, told[node]) for node in nodes]
        quorum = self.policy.quorum
        policy = replace(self.policy, quorum=None if quorum is None else min(quorum, len(messages)))
        for node, reply in zip(nodes, self.grid.exchange(messages, policy), strict=True):
            if reply.has_error():
                self._dropped[node] = Reply(node, error=reply.error)
            elif records.RECORD not in reply.content.config_records:
                self._dropped[node] = malformed(
                    node, "It did not take part in the secure aggregation: its ClientApp lacks secaggplus_mod."
                )
            else:
                yield node, reply.content

    def _message(self, asked: Message, stage: Stage, told: Mapping[str, Any]) -> Message:
        content = RecordDict({records.RECORD: ConfigRecord({"session": self._session, "stage": str(stage), **told})})
        if stage == Stage.MASK:  # only now does the app's own message go out: what it makes of it is masked
            content.update(asked.content)
        about = asked.metadata
        return Message(content, about.dst_node_id, about.message_type, ttl=about.ttl, group_id=about.group_id)

    def _refuse(self) -> None:
        for node, reason in self._server.refused.items():
            if node not in self.present:
                self._dropped[node] = malformed(node, reason)
