"""Suggestions for misspelled names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Up to `limit` of `known`, the nearest to `word` first.

    Case, `-` and `_` do not count, and a dotted key is also found by its last part (`lr` finds `train.lr`).
    """
    names = list(known)
    plain = _plain(word)
    by_tail = [name for name in names if _plain(name.rpartition(".")[2]) == plain.rpartition(".")[2]]
    spelled = {_plain(name): name for name in reversed(names)}
    by_spelling = [spelled[match] for match in difflib.get_close_matches(plain, spelled, n=limit, cutoff=0.6)]
    exact = [name for name in by_spelling if _plain(name) == plain]
    return list(dict.fromkeys([*exact, *by_tail, *by_spelling]))[:limit]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """One sentence: the nearest names, or else all of them (the first 12)."""
    names = sorted(known)
    if found := nearest(word, names):
        return f"Did you mean {_listed(found)}?"
    if not names:
        return "There are none."
    return f"Known: {_listed(names[:12])}{', …' if len(names) > 12 else ''}."


def _plain(word: str) -> str:
    return word.lower().replace("_", "-")


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
