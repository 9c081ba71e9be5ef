"""A SuperNode serves messages."""

from __future__ import annotations

from tests.integration.supernode.conftest import StartNode, model
from tests.integration.supernode.superlink import FakeSuperLink


def test_a_message_is_answered(superlink: FakeSuperLink, start: StartNode) -> None:
    """The client sees its node's config and id, and what it prints is attributed to the run."""
    start("--name", "clinic-a", "--node-config", 'site="A" beds=3')
    message = superlink.send(model())
    content = superlink.content(message)
    assert content.array_records["arrays"]["0"].numpy().tolist() == [1.0] * 10
    assert dict(content.config_records["c"]) == {"site": "A", "beds": 3, "node": 1001}
    assert (superlink.activated[0].name, superlink.activated[0].slots) == ("clinic-a", 1)
    superlink.wait(lambda: any(run == 7 and text.startswith("trained at") for run, text in superlink.lines()))
