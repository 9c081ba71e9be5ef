"""Concurrent train and evaluate requests to many clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from umbel.app.message import Error, ErrorCode, Message
from umbel.app.recorddict import RecordDict
from umbel.compat.flwr.legacy import record_conversion
from umbel.compat.flwr.legacy.clientmanager import ClientProxy
from umbel.compat.flwr.legacy.gridproxy import ClientFailed, GridClientProxy, content_of
from umbel.compat.flwr.legacy.run_events import Telling, told
from umbel.compat.flwr.legacy.typing import Code, EvaluateIns, EvaluateRes, FitIns, FitRes
from umbel.serverapp.aggregation.reduction import Reply
from umbel.serverapp.grid import Grid, RoundPolicy

__all__ = ["evaluate_clients", "fit_clients"]

Ins = TypeVar("Ins", FitIns, EvaluateIns)
Res = TypeVar("Res", FitRes, EvaluateRes)

FitResultsAndFailures = tuple[list[tuple[ClientProxy, FitRes]], list[tuple[ClientProxy, FitRes] | BaseException]]
EvaluateResultsAndFailures = tuple[
    list[tuple[ClientProxy, EvaluateRes]], list[tuple[ClientProxy, EvaluateRes] | BaseException]
]


def fit_clients(
    client_instructions: list[tuple[ClientProxy, FitIns]],
    max_workers: int | None,
    timeout: float | None,
    group_id: int,
    *,
    telling: Telling | None = None,
) -> FitResultsAndFailures:
    """Have the clients train: their results, and what failed, each in the order of the instructions.

    A client that raised, or replied too late, is a ClientFailed among the failures; one that does not train, its answer.
    """
    return _ask(_TRAIN, client_instructions, timeout, group_id, telling or Telling())


def evaluate_clients(
    client_instructions: list[tuple[ClientProxy, EvaluateIns]],
    max_workers: int | None,
    timeout: float | None,
    group_id: int,
    *,
    telling: Telling | None = None,
) -> EvaluateResultsAndFailures:
    """As `fit_clients`, to evaluate."""
    return _ask(_EVALUATE, client_instructions, timeout, group_id, telling or Telling())


@dataclass(frozen=True)
class _Phase(Generic[Ins, Res]):
    name: str
    encode: Callable[[Ins], RecordDict]
    decode: Callable[[RecordDict], Res]
    call: Callable[[ClientProxy, Ins, float | None, int], Res]


_TRAIN = _Phase[FitIns, FitRes](
    "train", record_conversion.of_fit_ins, record_conversion.fit_res, lambda proxy, *args: proxy.fit(*args)
)
_EVALUATE = _Phase[EvaluateIns, EvaluateRes](
    "evaluate",
    record_conversion.of_evaluate_ins,
    record_conversion.evaluate_res,
    lambda proxy, *args: proxy.evaluate(*args),
)


def _ask(
    phase: _Phase[Ins, Res],
    instructions: Sequence[tuple[ClientProxy, Ins]],
    timeout: float | None,
    group_id: int,
    telling: Telling,
) -> tuple[list[tuple[ClientProxy, Res]], list[tuple[ClientProxy, Res] | BaseException]]:
    telling.started(group_id, phase.name, len(instructions))
    results: list[tuple[ClientProxy, Res]] = []
    failures: list[tuple[ClientProxy, Res] | BaseException] = []
    replies = []
    for proxy, answer in _answers(phase, instructions, timeout, group_id):
        if isinstance(answer, BaseException):
            failures.append(answer)
        elif answer.status.code is Code.OK:
            results.append((proxy, answer))
        else:
            failures.append((proxy, answer))
        replies.append(_reply(proxy, answer))
    telling.replies(group_id, phase.name, replies)
    return results, failures


def _answers(
    phase: _Phase[Ins, Res], instructions: Sequence[tuple[ClientProxy, Ins]], timeout: float | None, group_id: int
) -> Iterator[tuple[ClientProxy, Res | BaseException]]:
    grid = _common_grid([proxy for proxy, _ in instructions])
    if grid is not None:
        replies = grid.exchange(_messages(phase, instructions, group_id), RoundPolicy(timeout))
        for (proxy, _), reply in zip(instructions, replies, strict=True):
            yield proxy, _caught(partial(_decoded, phase, reply))
    else:
        for proxy, ins in instructions:
            yield proxy, _caught(partial(phase.call, proxy, ins, timeout, group_id))


def _decoded(phase: _Phase[Ins, Res], reply: Message) -> Res:
    return phase.decode(content_of(reply))


def _common_grid(proxies: Sequence[ClientProxy]) -> Grid | None:
    """The grid that all proxies belong to, None when an app has brought its own proxies."""
    grids = {id(proxy.grid): proxy.grid for proxy in proxies if type(proxy) is GridClientProxy}
    mixed = len(grids) != 1 or any(type(proxy) is not GridClientProxy for proxy in proxies)
    return None if mixed else next(iter(grids.values()))


def _messages(phase: _Phase[Ins, Res], instructions: Sequence[tuple[ClientProxy, Ins]], group_id: int) -> list[Message]:
    """A message for each. Clients that are sent the same model share its record: it travels once."""
    contents: dict[int, RecordDict] = {}
    messages = []
    for proxy, ins in instructions:
        assert isinstance(proxy, GridClientProxy)
        if id(ins) not in contents:
            contents[id(ins)] = phase.encode(ins)
        messages.append(proxy.message(phase.name, contents[id(ins)], group_id))
    return messages


def _caught(answer: Callable[[], Res]) -> Res | BaseException:
    """The answer, or why there is none: a client's failure is no exception for the others."""
    try:
        return answer()
    except (LookupError, TypeError, ValueError) as reason:
        return reason


def _reply(proxy: ClientProxy, answer: FitRes | EvaluateRes | BaseException) -> Reply:
    node_id = getattr(proxy, "node_id", 0)
    if isinstance(answer, BaseException):
        code = answer.code if isinstance(answer, ClientFailed) else ErrorCode.MALFORMED_REPLY
        return Reply(node_id, error=Error(code, str(answer)))
    if answer.status.code is not Code.OK:
        return Reply(node_id, error=Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, answer.status.message))
    return Reply(node_id, content=told(answer.metrics, getattr(answer, "loss", None)))
