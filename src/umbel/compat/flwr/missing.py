"""The errors for what the alias does not have: they name it and say where to read on."""

from __future__ import annotations

HOWTO = "docs/howto/coming-from-flower.md"


class MissingName(AttributeError):
    """A module of `flwr` is asked for a name that the alias does not have."""

    def __init__(self, module: str, name: str, instead: str | None = None) -> None:
        """`instead` says why it is missing and what to use."""
        super().__init__(_text(f"{module}.{name}", instead), name=name)


class MissingModule(ModuleNotFoundError):
    """A module of `flwr`, or a name in one, is imported that the alias does not have."""

    def __init__(self, full_name: str, instead: str | None = None) -> None:
        """`instead` says why it is missing and what to use."""
        super().__init__(_text(full_name, instead), name="flwr")  # its own name would have `from … import` swallow it


def _text(full_name: str, instead: str | None) -> str:
    reason = instead or "Umbel's alias of Flower does not have it."
    return f"`{full_name}` cannot be used: {reason} See {HOWTO}."
