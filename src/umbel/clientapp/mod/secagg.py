"""The client's half of secure aggregation: what leaves a site is masked."""

from __future__ import annotations

from typing import Any

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.context import Context
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.app.records import ConfigRecord, MetricRecord
from umbel.clientapp.clientapp import ClientFn, Stage, staged
from umbel.clientapp.mod.clipping import is_train, refused, single_record
from umbel.errors import SecureAggregationRefused

_RECORD = "umbel-secagg"
_NAME = "secaggplus_mod"


@staged(Stage.MASK)
def secaggplus_mod(message: Message, context: Context, call_next: ClientFn) -> Message:
    """Answer the four stages of `SecAggPlus`, or of a secure question of `umbel.serverapp.analytics`; the app's function sees one message.

    The arrays and metrics of its reply, and the weight, leave as one masked vector of integers. All other records of the reply stay
    here. A train message that asks for a reply in the clear is refused (MOD_FAILED_PRECONDITION), and so is whatever does not fit the
    protocol; evaluate and query messages that do not ask for secure aggregation pass as they are. Secrets between the stages lie in
    `context.state`, and are erased after the last.

    >>> app = ClientApp(mods=[secaggplus_mod])
    """
    record = message.content.config_records.get(_RECORD)
    if record is None:
        if is_train(message):
            return refused(
                message, _NAME, ValueError("The ServerApp requested an unmasked reply: use SecAggPlus there.")
            )
        return call_next(message, context)
    try:
        return _answer(message, context, call_next, record)
    except (SecureAggregationRefused, ValueError) as reason:
        return refused(message, _NAME, ValueError(str(reason)))


def _answer(message: Message, context: Context, call_next: ClientFn, record: ConfigRecord) -> Message:
    from umbel.privacy.secagg import client, records
    from umbel.privacy.secagg.messages import Stage as Step

    session, stage = records.read(record, "session", "stage")
    if stage == Step.SETUP:
        state = client.set_up(session, context.node_id)
        return _kept(message, context, state, records.keys_record(state.public_keys()))
    state = _state(context, session)
    if stage == Step.SHARE:
        return _kept(message, context, state, records.shares_record(client.share(state, *records.read_peers(record))))
    if stage == Step.MASK:
        return _masked(message, context, call_next, state)
    revealed = client.unmask(state, records.read_question(record))
    del context.state[_RECORD]
    return Message(RecordDict({_RECORD: records.revealed_record(revealed)}), reply_to=message)


def _masked(message: Message, context: Context, call_next: ClientFn, state: Any) -> Message:
    from umbel.privacy.secagg import client, quantization, records

    sealed, weighted_by_key, encoding = records.read_inputs(message.content.config_records[_RECORD])
    rest = {name: record for name, record in message.content.items() if name != _RECORD}
    reply = call_next(Message.from_parts(message.metadata, RecordDict(rest)), context)
    if not reply.has_content():
        return reply
    arrays = single_record(reply.content, ArrayRecord, "A reply")
    metrics = reply.content.metric_records or {"": MetricRecord()}
    others = MetricRecord({**single_record(RecordDict(dict(metrics)), MetricRecord, "A reply")})
    weight = others.pop(weighted_by_key, None) if weighted_by_key else 1
    if not isinstance(weight, (int, float)):
        raise ValueError(f"Its MetricRecord lacks the weight {weighted_by_key!r} (a single number).")
    vector, form = quantization.pack(arrays, others, weight, encoding)
    client.mask(state, sealed, vector)
    kept = _kept(message, context, state, ConfigRecord({"form": form.dump()}))
    kept.content["masked"] = ArrayRecord([vector])
    return kept


def _state(context: Context, session: bytes) -> Any:
    from umbel.privacy.secagg import records

    kept = context.state.config_records.get(_RECORD)
    if kept is None or kept.get("session") != session:
        raise SecureAggregationRefused(
            "This node is not part of the session: it was absent at its start, or the session has ended."
        )
    return records.read_session(kept)


def _kept(message: Message, context: Context, state: Any, record: ConfigRecord) -> Message:
    from umbel.privacy.secagg import records

    context.state[_RECORD] = records.session_record(state)
    return Message(RecordDict({_RECORD: record}), reply_to=message)
