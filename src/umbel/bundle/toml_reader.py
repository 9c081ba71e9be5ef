"""Typed access to tables of a TOML document."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from umbel.bundle.suggest import did_you_mean
from umbel.errors import AppInvalid


@dataclass(frozen=True)
class Expected:
    """What a value must be, in words, and a line of TOML that would do."""

    words: str
    example: str


@dataclass(frozen=True)
class Table:
    """The table `[name]` of `file`. Every reader raises AppInvalid that names file, key, expectation and example."""

    file: str
    name: str
    values: dict[str, Any]

    def table(self, key: str) -> Table:
        """The sub-table `key`; an empty one if it is absent."""
        value = self.values.get(key, {})
        name = f"{self.name}.{key}" if self.name else key
        if not isinstance(value, dict):
            raise self.invalid(key, Expected("a table", f"[{name}]"))
        return Table(self.file, name, value)

    def text(self, key: str, expected: Expected) -> str:
        """The non-empty string `key`."""
        value = self.values.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.invalid(key, expected)
        return value

    def optional_text(self, key: str, expected: Expected) -> str | None:
        """The non-empty string `key`, or None if it is absent."""
        return self.text(key, expected) if key in self.values else None

    def texts(self, key: str, expected: Expected, *, may_be_empty: bool = False) -> list[str]:
        """The list of non-empty strings `key`; an empty list if it is absent."""
        value = self.values.get(key)
        if key not in self.values or (value == [] and may_be_empty):
            return []
        if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
            raise self.invalid(key, expected)
        return list(value)

    def unknown(self, known: Collection[str]) -> dict[str, str]:
        """The keys that are not `known`, each with a sentence that says so."""
        return {
            key: f"{self.file}: `{self._dotted(key)}` is not a valid key of this table. {did_you_mean(key, known)}"
            for key in self.values
            if key not in known
        }

    def invalid(self, key: str, expected: Expected) -> AppInvalid:
        """The error for `key`: it is missing, or has not the form that is `expected`."""
        problem = f"is {self.values[key]!r:.80}" if key in self.values else "is missing"
        message = f"{self.file}: `{self._dotted(key)}` {problem}; expected {expected.words}."
        return AppInvalid(message, hint=f"For example, under [{self._section(key)}]:  {expected.example}")

    def _dotted(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key

    def _section(self, key: str) -> str:
        return self.name or key
