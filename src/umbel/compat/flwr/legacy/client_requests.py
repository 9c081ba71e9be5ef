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
from umbel.compat.flwr.legacy.run_events import RunReporter, reply_content
from umbel.compat.flwr.legacy.typing import Code, EvaluateIns, EvaluateRes, FitIns, FitRes
from umbel.errors import UmbelError
from umbel.serverapp.aggregation.reduction import Reply
from umbel.serverapp.grid import Grid, RoundPolicy

__all__ = ["EvaluateResultsAndFailures", "FitResultsAndFailures", "evaluate_clients", "fit_clients"]

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
    reporter: RunReporter | None = None,
) -> FitResultsAndFailures:
    """Have clients train, concurrently where they belong to one Grid.

    Args:
        client_instructions: pairs of a client and its instruction.
        max_workers: ignored; the federation's settings determine the concurrency.
        timeout: seconds to wait for the clients; None means no limit.
        group_id: number of the round.
        reporter: reports the progress of the run; by default nothing is reported.

    Returns:
        The results and the failures, each in the order of the instructions. A failure is the exception that a client
        raised (ClientFailed for a node that failed or did not reply in time), or a result whose status is not OK.
    """
    return _request(_TRAIN, client_instructions, timeout, group_id, reporter or RunReporter())


def evaluate_clients(
    client_instructions: list[tuple[ClientProxy, EvaluateIns]],
    max_workers: int | None,
    timeout: float | None,
    group_id: int,
    *,
    reporter: RunReporter | None = None,
) -> EvaluateResultsAndFailures:
    """Have clients evaluate. Arguments and return value are those of `fit_clients`."""
    return _request(_EVALUATE, client_instructions, timeout, group_id, reporter or RunReporter())


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


def _request(
    phase: _Phase[Ins, Res],
    instructions: Sequence[tuple[ClientProxy, Ins]],
    timeout: float | None,
    group_id: int,
    reporter: RunReporter,
) -> tuple[list[tuple[ClientProxy, Res]], list[tuple[ClientProxy, Res] | BaseException]]:
    reporter.started(group_id, phase.name, len(instructions))
    results: list[tuple[ClientProxy, Res]] = []
    failures: list[tuple[ClientProxy, Res] | BaseException] = []
    replies = []
    for proxy, answer in _responses(phase, instructions, timeout, group_id):
        if isinstance(answer, BaseException):
            failures.append(answer)
        elif answer.status.code is Code.OK:
            results.append((proxy, answer))
        else:
            failures.append((proxy, answer))
        replies.append(_reply(proxy, answer))
    reporter.replies(group_id, phase.name, replies)
    return results, failures


def _responses(
    phase: _Phase[Ins, Res], instructions: Sequence[tuple[ClientProxy, Ins]], timeout: float | None, group_id: int
) -> Iterator[tuple[ClientProxy, Res | BaseException]]:
    grid = _common_grid([proxy for proxy, _ in instructions])
    if grid is not None:
        replies = grid.exchange(_messages(phase, instructions, group_id), RoundPolicy(timeout))
        for (proxy, _), reply in zip(instructions, replies, strict=True):
            yield proxy, _result_or_failure(partial(_decoded, phase, reply))
    else:
        for proxy, ins in instructions:
            yield proxy, _result_or_failure(partial(phase.call, proxy, ins, timeout, group_id))


def _decoded(phase: _Phase[Ins, Res], reply: Message) -> Res:
    return phase.decode(content_of(reply))


def _common_grid(proxies: Sequence[ClientProxy]) -> Grid | None:
    """The grid to which all proxies belong; None if any proxy is of another class."""
    grids = {id(proxy.grid): proxy.grid for proxy in proxies if type(proxy) is GridClientProxy}
    mixed = len(grids) != 1 or any(type(proxy) is not GridClientProxy for proxy in proxies)
    return None if mixed else next(iter(grids.values()))


def _messages(phase: _Phase[Ins, Res], instructions: Sequence[tuple[ClientProxy, Ins]], group_id: int) -> list[Message]:
    """One message per client. Clients with the same instruction share its record, so it is transferred once."""
    contents: dict[int, RecordDict] = {}
    messages = []
    for proxy, ins in instructions:
        assert isinstance(proxy, GridClientProxy)
        if id(ins) not in contents:
            contents[id(ins)] = phase.encode(ins)
        messages.append(proxy.message(phase.name, contents[id(ins)], group_id))
    return messages


def _result_or_failure(request: Callable[[], Res]) -> Res | Exception:
    """The result of a request, or the exception that it raised. Errors of Umbel (such as a stopped run) propagate."""
    try:
        return request()
    except UmbelError:
        raise
    except Exception as failure:  # noqa: BLE001 - a proxy of an app may raise anything; the round continues without it
        return failure


def _reply(proxy: ClientProxy, answer: FitRes | EvaluateRes | BaseException) -> Reply:
    node_id = getattr(proxy, "node_id", 0)
    if isinstance(answer, BaseException):
        code = answer.code if isinstance(answer, ClientFailed) else ErrorCode.MALFORMED_REPLY
        return Reply(node_id, error=Error(code, str(answer)))
    if answer.status.code is not Code.OK:
        return Reply(node_id, error=Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, answer.status.message))
    return Reply(node_id, content=reply_content(answer.metrics, getattr(answer, "loss", None)))
