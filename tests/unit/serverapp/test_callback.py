"""Early stopping, best model and custom callbacks."""

from __future__ import annotations

import math

import pytest

from tests.support.clients import answer, bits, model
from tests.support.fake_grid import FakeGrid
from umbel.app import MetricRecord
from umbel.errors import ConfigError
from umbel.serverapp.strategy import BestModel, Callback, EarlyStopping, FedAvg, RoundResult


def rounds(*values: float | None, metric: str = "loss") -> list[RoundResult]:
    """Rounds with these values of an evaluate metric; the arrays of round i are [i]."""
    return [
        RoundResult(index, len(values), model(index), evaluate=None if value is None else MetricRecord({metric: value}))
        for index, value in enumerate(values, start=1)
    ]


def stops_after(callback: Callback, *values: float | None) -> int | None:
    """The round after which the callback ends the run, None when it does not."""
    return next((ended.server_round for ended in rounds(*values) if callback.on_round_end(ended)), None)


@pytest.mark.parametrize(
    ("callback", "values", "last"),
    [
        (EarlyStopping("loss", patience=2), [3, 2, 1, 0], None),
        (EarlyStopping("loss", patience=2), [3, 2, 2, 2, 1], 4),
        (EarlyStopping("loss", patience=2), [3, 4, 2, 4, 1], None),
        (EarlyStopping("loss", mode="max", patience=1), [1, 2, 2], 3),
        (EarlyStopping("loss", patience=1, min_delta=0.5), [3.0, 2.6], 2),
        (EarlyStopping("loss", patience=1, min_delta=0.5), [3.0, 2.4], None),
        (EarlyStopping("loss", patience=2), [3, None, None, 3, None, 3], 6),
        (EarlyStopping("loss", patience=2), [math.nan, math.nan, 1], 2),
        (EarlyStopping("evaluate/loss", patience=1), [1, 1], 2),
        (EarlyStopping("train/loss", patience=1), [1, 1, 1], None),
    ],
)
def test_early_stopping(callback: Callback, values: list[float | None], last: int | None) -> None:
    """It ends the run after `patience` rounds that are not better by more than `min_delta`; rounds without the metric do not count."""
    assert stops_after(callback, *values) == last


def test_a_missing_metric_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """A metric that no round has would never stop anything: the log says so."""
    assert stops_after(EarlyStopping("acuracy"), 1, 2) is None
    assert "Round 2 has no metric 'acuracy'" in caplog.text


def test_where_a_metric_is_looked_up() -> None:
    """Server, then evaluate, then train; a phase before the name chooses one; lists are no numbers; a slash may be in a name."""
    ended = RoundResult(
        1,
        1,
        model(),
        train=MetricRecord({"loss": 3, "lr": 1, "top/5": 7}),
        evaluate=MetricRecord({"loss": 2, "lr": [1.0]}),
        server=MetricRecord({"loss": 1}),
    )
    names = ["loss", "evaluate/loss", "train/loss", "lr", "evaluate/lr", "top/5", "train/top/5"]
    assert [ended.number(name) for name in names] == [1, 2, 3, 1, None, 7, 7]


@pytest.mark.parametrize(("mode", "best"), [("min", 3), ("max", 5)])
def test_the_best_model(mode: str, best: int) -> None:
    """The arrays of the round with the best metric are kept; of equal rounds the first; NaN is never best."""
    callback = BestModel("loss", mode)  # type: ignore[arg-type]
    assert stops_after(callback, math.nan, 3, 1, 1, 9, None) is None
    assert callback.server_round == best
    assert callback.arrays == model(best)


def test_start_calls_back() -> None:
    """Every callback sees every round; the first one that stops gives the reason; the rounds end there."""

    class Spy(Callback):
        def __init__(self) -> None:
            self.seen: list[RoundResult] = []

        def on_round_end(self, progress: RoundResult) -> bool | None:
            self.seen.append(progress)
            return progress.server_round == 2

    spies = [Spy(), Spy()]
    grid = FakeGrid(answer)
    result = FedAvg().start(grid, model(1), 5, callbacks=spies)
    assert result.stopped_early == "Spy requested it."
    for spy in spies:
        assert [(seen.server_round, seen.num_rounds) for seen in spy.seen] == [(1, 5), (2, 5)]
        assert spy.seen[1].train == result.train_metrics_clientapp[2]
        assert spy.seen[1].evaluate == result.evaluate_metrics_clientapp[2]
        assert spy.seen[1].server is None
    assert bits(spies[0].seen[1].arrays) == bits(result.arrays)
    assert grid.artifacts["model.safetensors"][1] == 2


def test_bad_settings() -> None:
    """An unknown mode and a patience below 1 are refused."""
    with pytest.raises(ConfigError, match="mode must be"):
        BestModel("loss", "largest")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="patience must be"):
        EarlyStopping("loss", patience=0)
