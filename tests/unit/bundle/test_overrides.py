from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from umbel.bundle import Scalar, merge_config, parse_pairs, parse_run_config, unflatten
from umbel.errors import AppInvalid, ConfigError, UnknownConfigKey, UsageError

KEYS = st.from_regex(r"[A-Za-z0-9_-]{1,4}(\.[A-Za-z0-9_-]{1,4}){0,2}", fullmatch=True)
SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
)
CONFIGS = st.dictionaries(KEYS, SCALARS, max_size=5)


def written(value: Scalar) -> str:
    """A value as TOML writes it."""
    return tomli_w.dumps({"v": value}).removeprefix("v = ").strip()


@given(CONFIGS, st.booleans())
def test_pairs_come_back(config: dict[str, Scalar], together: bool) -> None:
    """Any configuration written as pairs, in one value or in several, is read as it was, values and types."""
    pairs = [f"{key}={written(value)}" for key, value in config.items()]
    again = parse_pairs([" ".join(pairs)] if together else pairs)
    assert again == config
    assert [type(value) for value in again.values()] == [type(value) for value in config.values()]


@given(CONFIGS)
def test_overriding_with_the_same_changes_nothing(config: dict[str, Scalar]) -> None:
    """An app's own defaults are always valid overrides of it."""
    assert merge_config(config, config) == config


@pytest.mark.parametrize(
    ("values", "config"),
    [
        ([], {}),
        ([""], {}),
        (['k1=1 k2="v 2"'], {"k1": 1, "k2": "v 2"}),
        (["a.b-c=1e-3", "d=true"], {"a.b-c": 0.001, "d": True}),
        (["  a = 1   b = 'x = y' "], {"a": 1, "b": "x = y"}),
        ([r'a="say \"hi\"" b=2'], {"a": 'say "hi"', "b": 2}),
        (["a=1 a=2", "a=3"], {"a": 3}),
        (["a=0x10 b=1_000 c=-2 d=+1.5"], {"a": 16, "b": 1000, "c": -2, "d": 1.5}),
        (['path="x.toml"'], {"path": "x.toml"}),
    ],
)
def test_pairs_are_read(values: list[str], config: dict[str, Scalar]) -> None:
    """Pairs are separated by spaces, their values are TOML's scalars, and the last of a key counts."""
    assert parse_run_config(values) == config


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("a", "`a` is not of the form"),
        ("a=", "`a=` is not of the form"),
        ("=1", "`=1` is not of the form"),
        ("a=1 b", "`b` is not of the form"),
        ('a="x', '`a="x` is not of the form'),
        ('a="x"b=1', "is not of the form key=value"),
        ("a=b=c", "`a=b=c` is not of the form"),
        ("a=fedavg", "'a=\"fedavg\"'"),
        ("a=True", "Write a=true"),
        ("a=1,b", "If it is a string, quote it"),
        (r'a="C:\x"', "single quotes"),
        ("a=[1]", "`a` is a list"),
        ("a=2024-01-01", "`a` is a date"),
        ("a=nan", "must be finite"),
        ("a=99999999999999999999", "64 bits"),
        ("a=1#x", "a=1"),
    ],
)
def test_what_is_no_pair_is_told(value: str, said: str) -> None:
    """A value that cannot be read is shown, with what was probably meant."""
    with pytest.raises(UsageError, match=said):
        parse_run_config([value])


def test_a_file_is_read(tmp_path: Path) -> None:
    """One .toml file may take the place of pairs; its tables are flattened."""
    file = tmp_path / "lr=1.toml"
    file.write_text('rounds = 5\n[train]\nlr = 0.1\nname = "a"\n')
    assert parse_run_config([str(file)]) == {"rounds": 5, "train.lr": 0.1, "train.name": "a"}


@given(CONFIGS)
def test_a_file_says_the_same_as_pairs(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Scalar]) -> None:
    """A configuration in a file is read like the same one in pairs."""
    try:
        nested = unflatten(config)
    except ConfigError:
        return  # a key that is a value and a table cannot be written to a file
    file = tmp_path_factory.getbasetemp() / "config.toml"
    file.write_bytes(tomli_w.dumps(nested).encode())
    assert parse_run_config([str(file)]) == config


@pytest.mark.parametrize("values", [["a.toml", "b=1"], ["b=1", "a.toml"], ["a.toml", "b.toml"]])
def test_a_file_is_not_mixed(values: list[str]) -> None:
    """A file and pairs, or two files, are refused: no one could say which goes first."""
    with pytest.raises(UsageError, match="cannot be combined"):
        parse_run_config(values)


def test_a_bad_file_is_told(tmp_path: Path) -> None:
    """A file that is missing, a directory, no TOML or with values that are no configuration is named."""
    (tmp_path / "d.toml").mkdir()
    (tmp_path / "broken.toml").write_text("a = 1\nb =\n")
    (tmp_path / "list.toml").write_text("a = [1]\n")
    for name, said in [
        ("no", "does not exist"),
        ("d", "cannot be read"),
        ("broken", "line 2"),
        ("list", "`a` is a list"),
    ]:
        with pytest.raises(ConfigError, match=f"{name}.toml.*{said}|{said} .*{name}.toml"):
            parse_run_config([str(tmp_path / f"{name}.toml")])


def test_overrides_go_over_defaults() -> None:
    """The result has the defaults' keys and order; an int is a fine value where a float is declared."""
    merged = merge_config({"b": 1, "a": 0.5, "c": "x"}, {"a": 2, "b": 3})
    assert list(merged.items()) == [("b", 3), ("a", 2.0), ("c", "x")]
    assert type(merged["a"]) is float


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("learning_rate", "Did you mean `learning-rate`"),
        ("lr", r"Did you mean `train\.lr`"),
        ("Train.LR", r"Did you mean `train\.lr`"),
        ("learnin-rate", "Did you mean `learning-rate`"),
        ("xyz", r"Known: `learning-rate`, `train\.lr`"),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest(key: str, said: str) -> None:
    """A key that the app does not declare is refused, with the one that was probably meant."""
    with pytest.raises(UnknownConfigKey, match=said) as caught:
        merge_config({"learning-rate": 0.1, "train.lr": 0.1}, {key: 1})
    assert f"`{key}`" in caught.value.message
    assert isinstance(caught.value, AppInvalid)


@pytest.mark.parametrize(
    ("default", "value"), [(1, "1"), (1, 1.0), (1, True), (True, 1), ("1", 1), (0.5, "x"), (0.5, True), (True, "true")]
)
def test_a_value_of_another_type_is_refused(default: Scalar, value: Scalar) -> None:
    """A value must have the declared type: a bool is no number, and a string is none either."""
    with pytest.raises(ConfigError, match=f"`k` is declared as {type(default).__name__}"):
        merge_config({"k": default}, {"k": value})
