from __future__ import annotations

import numpy as np
import pytest

from tests.unit.compat.legacy.federation import Adding
from umbel.app import Context, Message
from umbel.clientapp.clientapp import ClientFn
from umbel.compat.flwr.clientapp import ClientApp
from umbel.compat.flwr.legacy import record_conversion
from umbel.compat.flwr.legacy.clientapp import handler
from umbel.compat.flwr.legacy.mod import (
    LocalDpMod,
    adaptiveclipping_mod,
    fixedclipping_mod,
    make_ffn,
    message_size_mod,
    parameters_size_mod,
)
from umbel.compat.flwr.legacy.typing import Config, FitIns, FitRes, ndarrays_to_parameters, parameters_to_ndarrays


def trained(app: ClientFn, size: int = 1, config: Config | None = None) -> FitRes:
    """What comes back of a model of zeros, to which the client adds 3."""
    content = record_conversion.of_fit_ins(FitIns(ndarrays_to_parameters([np.zeros(size)]), config or {}))
    return record_conversion.fit_res(app(Message(content, 5, "train"), Context(1, 5)).content)


def app_of(*mods: object) -> ClientApp:
    """An app of the older API with these mods."""
    return ClientApp(client_fn=lambda context: Adding(3), mods=list(mods))  # type: ignore[arg-type]


def test_fixed_clipping_fits_the_older_messages() -> None:
    """An update of 3 becomes one of the norm."""
    res = trained(app_of(fixedclipping_mod), config={"clipping_norm": 0.5})
    assert parameters_to_ndarrays(res.parameters)[0].tolist() == [0.5]


@pytest.mark.parametrize(("norm", "bit"), [(0.5, 0), (4.0, 1)])
def test_adaptive_clipping_says_whether_it_was_within(norm: float, bit: int) -> None:
    """The bit is a metric, and the number of examples is what it was."""
    res = trained(app_of(adaptiveclipping_mod), config={"clipping_norm": norm})
    assert (res.metrics["norm_bit"], res.num_examples) == (bit, 4)
    assert parameters_to_ndarrays(res.parameters)[0].tolist() == [min(norm, 3.0)]


def test_local_noise_is_added() -> None:
    """The update is clipped, and every element has noise of the standard deviation that ε and δ ask for."""
    mod = LocalDpMod(clipping_norm=1.0, sensitivity=2.0, epsilon=0.5, delta=1e-3)
    (array,) = parameters_to_ndarrays(trained(app_of(mod), size=4000).parameters)
    assert array.std() == pytest.approx(mod.stddev, rel=0.06)


def test_sizes_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Under the names that the mods had before too."""
    trained(app_of(message_size_mod, parameters_size_mod), size=5)
    said = capsys.readouterr().out
    assert "Message size: " in said
    assert "Arrays: 5 elements (40 bytes) received, 5 elements (40 bytes) sent." in said


def test_mods_wrap_from_the_outside_in() -> None:
    """`make_ffn` puts the first mod outermost."""
    seen = []

    def mod(name: str) -> object:
        def note(message: Message, context: Context, call_next: ClientFn) -> Message:
            seen.append(name)
            return call_next(message, context)

        return note

    trained(make_ffn(handler(lambda context: Adding(3)), [mod("outer"), mod("inner")]))  # type: ignore[list-item]
    assert seen == ["outer", "inner"]
