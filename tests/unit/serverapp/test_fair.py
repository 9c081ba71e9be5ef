"""q-FedAvg."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.clients import model, reply
from tests.support.examples import examples
from tests.unit.serverapp.rounds import one_round, values
from umbel.app import Message
from umbel.errors import AggregationFailed, ConfigError, InconsistentReplies
from umbel.serverapp.strategy import QFedAvg


def result(strategy: QFedAvg, sent: list[float], *clients: tuple[list[float], float]) -> list[float]:
    """The new elements from models and losses."""
    arrays, _ = one_round(strategy, model(*sent), replies(*clients))
    assert arrays is not None
    return values(arrays)


def replies(*clients: tuple[list[float], float]) -> list[Message]:
    """Replies of nodes 1, 2, … with these models and losses."""
    return [reply(node, model(*w), train_loss=loss) for node, (w, loss) in enumerate(clients, 1)]


def test_by_hand() -> None:
    """L = 2, q = 1, w = 1; w_k = 0, 3 with losses 3, 1: Δ = 6, -4; h = 4 + 6, 16 + 2."""
    strategy = QFedAvg(client_learning_rate=0.5, q=1.0)
    assert result(strategy, [1.0], ([0.0], 3.0), ([3.0], 1.0)) == pytest.approx([1 - (6 - 4) / (10 + 18)])


@settings(max_examples=examples(25))
@given(
    st.lists(st.tuples(st.floats(-100, 100, width=32), st.floats(0, 1e3)), min_size=1, max_size=6),
    st.sampled_from([0.01, 1.0]),
)
def test_q_0_is_the_unweighted_mean(clients: list[tuple[float, float]], learning_rate: float) -> None:
    """Whatever the losses, 0 included, and the learning rate."""
    strategy = QFedAvg(client_learning_rate=learning_rate, q=0.0)
    expected = sum(w for w, _ in clients) / len(clients)
    assert result(strategy, [5.0], *(([w], loss) for w, loss in clients)) == pytest.approx([expected], abs=1e-4)


@settings(max_examples=examples(25))
@given(
    st.lists(st.tuples(st.floats(-100, 100, width=32), st.floats(0.01, 10)), min_size=2, max_size=6),
    st.floats(0, 3),
    st.data(),
)
def test_order_and_bounds(clients: list[tuple[float, float]], q: float, data: st.DataObject) -> None:
    """The order of the replies does not matter; the outcome lies between the least and largest of w and the w_k; equals stay."""
    strategy = QFedAvg(client_learning_rate=0.1, q=q)
    pairs = [([w], loss) for w, loss in clients]
    straight = result(strategy, [1.0], *pairs)
    assert result(strategy, [1.0], *data.draw(st.permutations(pairs))) == pytest.approx(straight, rel=1e-4, abs=1e-4)
    everyone = [1.0, *(w for w, _ in clients)]
    assert min(everyone) - 1e-4 <= straight[0] <= max(everyone) + 1e-4
    assert result(strategy, [1.0], *(([1.0], loss) for _, loss in clients)) == pytest.approx([1.0])


def test_larger_q_listens_to_the_worse() -> None:
    """The client with the larger loss draws the model its way, the more the larger q."""
    pulls = []
    for q in (0.0, 1.0, 4.0):
        low, high = (
            result(QFedAvg(client_learning_rate=1.0, q=q), [0.0], ([-1.0], a), ([1.0], b))[0]
            for a, b in ((1, 2), (2, 1))
        )
        assert low == pytest.approx(-high)
        pulls.append(low)
    assert pulls[0] == 0
    assert pulls[1] > 0
    assert pulls[2] > 0


@pytest.mark.parametrize("loss", [-1.0, float("nan"), float("inf"), [1.0]])
def test_losses_that_are_none(loss: Any) -> None:
    """A loss that is missing, negative or not finite drops the reply by name."""
    strategy = QFedAvg(client_learning_rate=0.1, train_loss_key="loss")
    good, bad = reply(1, model(2), loss=1.0), reply(2, model(9), loss=loss)
    (with_bad, _), (without, _) = (one_round(strategy, model(0), given) for given in ([good, bad], [good]))
    assert with_bad == without
    with pytest.raises(InconsistentReplies, match="training loss 'loss'"):
        one_round(strategy, model(0), [reply(2, model(9))])


def test_losses_too_large_to_reckon_with() -> None:
    """A power beyond the largest float ends the round with an error that says what to change."""
    with pytest.raises(AggregationFailed, match="smaller q"):
        result(QFedAvg(client_learning_rate=1.0, q=10.0), [0.0], ([1.0], 1e200), ([1.0], 1.0))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({"client_learning_rate": 0.0}, "client_learning_rate"), ({"client_learning_rate": 1.0, "q": -1.0}, "q")],
)
def test_wrong_arguments(arguments: dict[str, float], name: str) -> None:
    """A value outside its range is refused by name, and the learning rate must be given."""
    with pytest.raises(ConfigError, match=f"{name} must be"):
        QFedAvg(**arguments)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="client_learning_rate"):
        QFedAvg()  # type: ignore[call-arg]
