"""From what a person types for RUN to the run: an id, a unique prefix of one, or `last`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umbel.errors import NotFound, UsageError

if TYPE_CHECKING:
    from umbel.wire.api import RunView
    from umbel.wire.control import ControlClient

LAST = "last"
SEARCHED = 1000  # newest runs among which a prefix is looked for
SHOWN = 5  # candidates named in an error


def find_run(client: ControlClient, text: str) -> RunView:
    """The run that `text` stands for.

    Raises NotFound when there is none, UsageError for an ambiguous prefix or a text that is no run id at all.
    """
    if text == LAST:
        return _last(client)
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"'{text}' is not a run.", hint="Give a run id, the beginning of one, or 'last'.")
    try:
        return client.get_run(int(text))
    except NotFound:
        return _by_prefix(client, text)


def _last(client: ControlClient) -> RunView:
    runs = client.list_runs(limit=1)
    if not runs:
        raise NotFound("There are no runs yet.", hint="Start one with 'umbel run'.")
    return runs[0]


def _by_prefix(client: ControlClient, prefix: str) -> RunView:
    found = [run for run in client.list_runs(limit=SEARCHED) if str(run.run_id).startswith(prefix)]
    if not found:
        raise NotFound(f"There is no run {prefix}.", hint="See 'umbel list'.")
    if len(found) > 1:
        some = ", ".join(str(run.run_id) for run in found[:SHOWN])
        raise UsageError(
            f"'{prefix}' stands for {len(found)} runs: {some}{' …' if len(found) > SHOWN else ''}.",
            hint="Give more digits.",
        )
    return found[0]
