"""FedProx."""

from __future__ import annotations

import pytest

from tests.support.clients import answer, bits, model
from tests.support.fake_grid import FakeGrid
from umbel.app import ConfigRecord, Context, Message
from umbel.errors import ConfigError
from umbel.serverapp.strategy import FedAvg, FedProx


def test_the_clients_are_told_mu() -> None:
    """Train messages carry `proximal-mu`, evaluate messages do not; the caller's configuration stays."""
    sent: dict[str, dict[str, object]] = {}

    def client(message: Message, context: Context) -> Message:
        sent[message.metadata.message_type] = dict(message.content.config_records["config"])
        return answer(message, context)

    config = ConfigRecord({"lr": 0.1})
    FedProx(proximal_mu=1).start(FakeGrid(client), model(1), num_rounds=1, train_config=config)
    assert sent == {"train": {"lr": 0.1, "proximal-mu": 1.0, "server-round": 1}, "evaluate": {"server-round": 1}}
    assert config == {"lr": 0.1}


def test_the_server_averages_as_fedavg() -> None:
    """The same replies give the same bits, folded in the same way."""
    grid = FakeGrid(answer)
    assert bits(FedProx(proximal_mu=0.5).start(grid, model(1)).arrays) == bits(
        FedAvg().start(FakeGrid(answer), model(1)).arrays
    )
    assert grid.reduced == 3


def test_mu_0_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Without a proximal term it is FedAvg: most likely somebody forgot to set it."""
    FedProx(proximal_mu=0.1)
    assert caplog.text == ""
    FedProx()
    assert "proximal_mu = 0 is FedAvg" in caplog.text


@pytest.mark.parametrize("mu", [-0.1, float("nan")])
def test_mu_below_0(mu: float) -> None:
    """A negative term is refused."""
    with pytest.raises(ConfigError, match="proximal_mu must be at least 0"):
        FedProx(proximal_mu=mu)


def test_the_arguments_are_those_people_know() -> None:
    """Positional arguments in the known order, the round policy by keyword only."""
    strategy = FedProx(0.5, 0.25, 3, 4, 5, "n", "a", "c", None, None, 0.1, quorum=2)
    assert (strategy.fraction_train, strategy.weighted_by_key, strategy.proximal_mu) == (0.5, "n", 0.1)
    with pytest.raises(TypeError):
        FedProx(0.5, 0.25, 3, 4, 5, "n", "a", "c", None, None, 0.1, 2)  # type: ignore[call-arg]
