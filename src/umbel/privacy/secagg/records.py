"""The messages of a secure aggregation, and what a client keeps between them, as ConfigRecords."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from umbel.app.records import ConfigRecord
from umbel.errors import SecureAggregationRefused
from umbel.privacy.secagg.client import ClientSession
from umbel.privacy.secagg.keys import KeyPair
from umbel.privacy.secagg.messages import PublicKeys, Question, Shares, Stage
from umbel.privacy.secagg.parameters import Parameters
from umbel.privacy.secagg.quantization import Encoding

RECORD = "umbel-secagg"  # its name in messages and in a client's state


def read(record: Mapping[str, Any], *names: str) -> tuple[Any, ...]:
    """These entries of a record. Raises SecureAggregationRefused when one is missing."""
    missing = [name for name in names if name not in record]
    if missing:
        raise SecureAggregationRefused(f"A secure-aggregation message lacks {', '.join(missing)}.")
    return tuple(record[name] for name in names)


def keys_record(keys: PublicKeys) -> ConfigRecord:
    """SETUP, from a node."""
    return ConfigRecord(keys._asdict())


def read_keys(record: Mapping[str, Any]) -> PublicKeys:
    """SETUP, from a node."""
    return PublicKeys(*read(record, "sealing", "masking"))


def peers_record(peers: Mapping[int, PublicKeys], parameters: Parameters) -> dict[str, Any]:
    """SHARE, to a node."""
    sealing, masking = [keys.sealing for keys in peers.values()], [keys.masking for keys in peers.values()]
    return {"peers": list(peers), "sealing": sealing, "masking": masking, **asdict(parameters)}


def read_peers(record: Mapping[str, Any]) -> tuple[dict[int, PublicKeys], Parameters]:
    """SHARE, to a node."""
    peers, sealing, masking, *parameters = read(record, "peers", "sealing", "masking", "num_shares", "threshold")
    return {node: PublicKeys(*keys) for node, *keys in zip(peers, sealing, masking, strict=True)}, Parameters(
        *parameters
    )


def shares_record(shares: Shares) -> ConfigRecord:
    """SHARE, from a node."""
    return ConfigRecord({**_columns("sealed", shares.sealed), **_columns("digest", shares.digests)})


def read_shares(record: Mapping[str, Any]) -> Shares:
    """SHARE, from a node."""
    return Shares(read_bytes(record, "sealed"), read_bytes(record, "digest"))


def inputs_record(sealed: Mapping[int, bytes], weighted_by_key: str, encoding: Encoding) -> dict[str, Any]:
    """MASK, to a node."""
    return {**_columns("sealed", sealed), "weighted_by_key": weighted_by_key, **asdict(encoding)}


def read_inputs(record: Mapping[str, Any]) -> tuple[dict[int, bytes], str, Encoding]:
    """MASK, to a node."""
    fields = read(record, "modulus", "half", "max_weight", "clipping_range", "metrics_clipping_range")
    return read_bytes(record, "sealed"), *read(record, "weighted_by_key"), Encoding(*fields)


def question_record(question: Question) -> dict[str, Any]:
    """UNMASK, to a node."""
    return {"present": list(question.present), "gone": list(question.gone)}


def read_question(record: Mapping[str, Any]) -> Question:
    """UNMASK, to a node."""
    present, gone = read(record, "present", "gone")
    return Question(tuple(present), tuple(gone))


def revealed_record(revealed: Mapping[int, bytes]) -> ConfigRecord:
    """UNMASK, from a node."""
    return ConfigRecord(_columns("share", revealed))


def session_record(state: ClientSession) -> ConfigRecord:
    """What a client keeps."""
    return ConfigRecord(
        {
            "session": state.session,
            "node_id": state.node_id,
            "done": str(state.done),
            "own": [*state.sealing, *state.masking, state.seed],
            "threshold": state.threshold,
            "peers": list(state.peers),
            "peer_keys": [key for keys in state.peers.values() for key in keys],
            **_columns("seed_share", state.seed_shares),
            **_columns("key_share", state.key_shares),
        }
    )


def read_session(record: Mapping[str, Any]) -> ClientSession:
    """What a client keeps."""
    session, node_id, done, own, threshold, peers, keys = read(
        record, "session", "node_id", "done", "own", "threshold", "peers", "peer_keys"
    )
    return ClientSession(
        session=session,
        node_id=node_id,
        done=Stage(done),
        sealing=KeyPair(*own[:2]),
        masking=KeyPair(*own[2:4]),
        seed=own[4],
        threshold=threshold,
        peers=dict(zip(peers, map(PublicKeys, keys[::2], keys[1::2]), strict=True)),
        seed_shares=read_bytes(record, "seed_share"),
        key_shares=read_bytes(record, "key_share"),
    )


def _columns(name: str, values: Mapping[int, bytes]) -> dict[str, Any]:
    return {f"{name}_nodes": list(values), name: list(values.values())}


def read_bytes(record: Mapping[str, Any], name: str) -> dict[int, bytes]:
    """Bytes by node. Raises SecureAggregationRefused when they are missing or do not go together."""
    nodes, values = read(record, f"{name}_nodes", name)
    if len(nodes) != len(values) or not all(isinstance(value, bytes) for value in values):
        raise SecureAggregationRefused(f"A secure-aggregation message does not have one {name} per node.")
    return dict(zip(nodes, values, strict=True))
