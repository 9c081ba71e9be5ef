from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from umbel.bundle import flatten, unflatten
from umbel.errors import ConfigError

KEYS = st.text("abc-_XYZ019é ", min_size=1, max_size=5)
SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
NESTED = st.dictionaries(
    KEYS, st.recursive(SCALARS, lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3)), max_size=4
)


@given(NESTED)
def test_unflatten_undoes_flatten(nested: dict[str, Any]) -> None:
    """Any nested configuration comes back, values and types, from its flat form."""
    again = unflatten(flatten(nested))
    assert again == nested
    assert [type(value) for value in flatten(again).values()] == [type(value) for value in flatten(nested).values()]


@given(NESTED)
def test_a_configuration_survives_toml(nested: dict[str, Any]) -> None:
    """What is flattened after a trip through a TOML file is what was flattened before."""
    assert flatten(tomllib.loads(tomli_w.dumps(nested))) == flatten(nested)


def test_flat_keys_have_dots() -> None:
    """A nested table's name and a key in it are joined by a dot, in the order of the file."""
    assert list(flatten({"b": {"y": 1, "x": {"z": True}}, "a": "s"}).items()) == [
        ("b.y", 1),
        ("b.x.z", True),
        ("a", "s"),
    ]


@pytest.mark.parametrize(
    ("nested", "said"),
    [
        ({"a": {"b": [1]}}, "`a.b` is a list"),
        ({"a": None}, "`a` is a NoneType"),
        ({"a": float("nan")}, "must be finite"),
        ({"a": 2**63}, "64 bits"),
        ({"a": {"": 1}}, "Empty key in"),
        ({"a.b": 1, "a": {"b": 2}}, "Duplicate key"),
    ],
)
def test_what_is_no_configuration_is_refused(nested: dict[str, Any], said: str) -> None:
    """A value that not every part of the system can carry, or a doubtful key, is refused by name."""
    with pytest.raises(ConfigError, match=said):
        flatten(nested)


@pytest.mark.parametrize("flat", [{"a": 1, "a.b": 2}, {"a.b": 2, "a": 1}])
def test_a_key_is_a_value_or_a_table(flat: dict[str, Any]) -> None:
    """A key that is a value cannot hold others, whichever comes first."""
    with pytest.raises(ConfigError, match="both a value and a table"):
        unflatten(flat)
