"""The order in which mods must wrap a client's function, and the check of it.

A reply passes the mods from the last given to the first, the outermost. What protects it must happen in this order: clip, add noise, mask.
Clipping after noise would cut the noise; a mask over an update that is clipped later would hide nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, TypeVar

from umbel.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])
_STAGES = "umbel_stages"


class Stage(IntEnum):
    """What a mod does to a reply, in the order in which it must happen."""

    CLIP = 1
    NOISE = 2
    MASK = 3


_VERBS = {Stage.CLIP: "clips", Stage.NOISE: "adds noise", Stage.MASK: "masks"}


def staged(*stages: Stage) -> Callable[[F], F]:
    """Say of a mod which stages it does, in order. A mod without any may stand anywhere.

    >>> @staged(Stage.MASK)
    ... def my_mod(message, context, call_next): ...
    """

    def declare(mod: F) -> F:
        setattr(mod, _STAGES, stages)
        return mod

    return declare


def check_order(mods: Sequence[Callable[..., Any]]) -> None:
    """Raise ConfigError when a reply would pass these mods, the first of them outermost, in a wrong order, or one stage twice."""
    done: tuple[Stage, Callable[..., Any]] | None = None
    for mod in reversed(mods):
        stages: tuple[Stage, ...] = getattr(mod, _STAGES, ())
        if stages and done is not None and stages[0] <= done[0]:
            raise _wrong(mods, mod, stages[0], done)
        if stages:
            done = stages[-1], mod


def _wrong(
    mods: Sequence[Callable[..., Any]], mod: Callable[..., Any], stage: Stage, done: tuple[Stage, Callable[..., Any]]
) -> ConfigError:
    names = ", ".join(_name(each) for each in mods)
    return ConfigError(
        f"Wrong order of mods [{names}]: {_name(mod)} {_VERBS[stage]} after {_name(done[1])} {_VERBS[done[0]]}.",
        hint="A reply passes the last mod first. It must be clipped, then noised, then masked, each once: mods=[mask, noise, clip].",
    )


def _name(mod: Callable[..., Any]) -> str:
    return str(getattr(mod, "__name__", type(mod).__name__))
