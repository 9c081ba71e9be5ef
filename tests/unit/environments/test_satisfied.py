"""Requirements of apps against the packages of an interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.distributions import installed, metadata
from umbel.environments.requirements import check, missing, needed, provides
from umbel.errors import AppInvalid, DependenciesMissing


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory on the module path for distributions of the test; it has `demo-lib` 1.5."""
    folder = tmp_path / "packages"
    installed(folder, metadata("demo-lib", "1.5"))
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.mark.parametrize(
    ("requirement", "is_there"),
    [
        ("demo-lib", True),
        ("Demo_Lib", True),
        ("demo-lib==1.5", True),
        ("demo-lib>=1,<2", True),
        ("demo-lib~=1.4", True),
        ("demo-lib!=1.5", False),
        ("demo-lib>=2", False),
        ("no-such-lib", False),
        ("no-such-lib; python_version < '3'", True),
        ("no-such-lib; python_version >= '3'", False),
        ("no-such-lib; extra == 'test'", True),
        ("demo-lib @ https://example.org/demo_lib-1.5-py3-none-any.whl", False),
    ],
)
def test_a_requirement_is_satisfied_or_not(packages: Path, requirement: str, is_there: bool) -> None:
    """Name, version and marker of a requirement decide."""
    assert (missing([requirement]) == []) == is_there


def test_umbel_and_flwr_are_always_satisfied() -> None:
    """A requirement on Umbel itself is satisfied, whatever version or extra it declares."""
    assert missing(["umbel>=99", "flwr[simulation]>=1.29", "Flwr"]) == []


def test_an_extra_of_umbel_is_replaced_by_its_requirements() -> None:
    """`umbel[…]` stands for the requirements of that extra only, so that no other Umbel is installed."""
    assert [requirement.name for requirement in needed(["umbel[privacy]>=0.1"])] == ["dp-accounting"]
    assert [str(requirement) for requirement in needed(["flwr[simulation]", "umbel"])] == []


def test_an_installed_pre_release_counts(packages: Path) -> None:
    """An installed pre-release satisfies a lower bound below it."""
    installed(packages, metadata("early-lib", "2.0rc1"))
    assert missing(["early-lib>=1"]) == []
    assert missing(["early-lib>=2.0"]) == ["early-lib>=2.0"]


def test_an_extra_needs_all_its_requirements(packages: Path) -> None:
    """The requirements of an extra must be satisfied only if the extra is requested."""
    requires = ["demo-lib>=1", "demo-lib>=2; extra == 'new'", "demo-lib; extra == 'old'"]
    installed(packages, metadata("rich-lib", "1.0", requires, ["new", "old"]))
    assert missing(["rich-lib"]) == []
    assert missing(["rich-lib[old]"]) == []
    assert missing(["rich-lib[old,new]"]) == ["rich-lib[new,old]"]


def test_extras_of_extras_count(packages: Path) -> None:
    """Extras that refer to other extras, or to themselves, are evaluated without endless recursion."""
    requires = ["wide-lib[one]; extra == 'all'", "wide-lib[loop]; extra == 'loop'", "no-such-lib; extra == 'one'"]
    installed(packages, metadata("wide-lib", "1.0", requires, ["all", "one", "loop"]))
    assert missing(["wide-lib[all]"]) == ["wide-lib[all]"]
    assert missing(["wide-lib[loop]"]) == []


@pytest.mark.parametrize(
    ("url", "is_there"),
    [
        ("git+https://example.org/lib.git@v1", True),
        ("git+https://example.org/lib.git@abc", True),
        ("git+https://example.org/lib.git@v2", False),
        ("git+https://example.org/lib.git", False),
        ("https://example.org/lib.git", False),
    ],
)
def test_a_url_is_satisfied_by_its_own_installation(packages: Path, url: str, is_there: bool) -> None:
    """A requirement with a URL needs a distribution that was installed from it, at that revision."""
    vcs = {"vcs": "git", "requested_revision": "v1", "commit_id": "abc"}
    installed(packages, metadata("lib", "1"), {"url": "https://example.org/lib.git", "vcs_info": vcs})
    assert (missing([f"lib @ {url}"]) == []) == is_there


def test_a_wheel_from_a_url_is_recognized(packages: Path) -> None:
    """A distribution that was installed from a plain URL satisfies the requirement with that URL."""
    installed(packages, metadata("wheel-lib", "1"), {"url": "https://example.org/lib.whl", "archive_info": {}})
    assert missing(["wheel-lib @ https://example.org/lib.whl"]) == []


def test_damaged_metadata_satisfies_nothing(packages: Path) -> None:
    """A distribution with an unreadable version counts as not installed."""
    installed(packages, metadata("odd-lib", "unknown"))
    assert missing(["odd-lib>=1"]) == ["odd-lib>=1"]


@pytest.mark.parametrize("line", ["demo lib", "-r /etc/passwd", "demo-lib ; nonsense == '1'"])
def test_an_invalid_requirement_is_rejected(line: str) -> None:
    """The error contains the line, for a malformed requirement and for an unknown marker."""
    with pytest.raises(AppInvalid, match="which is not a valid requirement") as caught:
        missing([line])
    assert repr(line) in caught.value.message


@pytest.mark.parametrize(
    ("dependency", "module", "is_absent", "explains"),
    [
        ("no-such-lib", "no_such_lib", True, True),
        ("no-such-lib", "no_such_lib.part", True, True),
        ("demo-lib>=2", "demo_lib.new", True, True),
        ("demo-lib>=2", "demo_lib", False, True),
        ("no-such-lib", "demo_lib.new", True, False),
        ("no-such-lib", "json.no_such_part", True, False),
        ("no-such-lib", "json", False, False),
        ("no-such-lib", "shared_space.part", True, True),
        ("no-such-lib", "__main__.part", True, False),
        ("demo-lib>=2", "no_such_lib", True, False),
    ],
)
def test_a_failed_import_is_explained_by_its_distribution(
    packages: Path, dependency: str, module: str, is_absent: bool, explains: bool
) -> None:
    """A requirement is offered only for a module that may belong to it: missing altogether, or in another version."""
    (packages / "demo_lib.py").touch()
    (packages / "demo_lib-1.5.dist-info" / "top_level.txt").write_text("demo_lib\n")
    (packages / "shared_space").mkdir()
    assert provides(dependency, module, is_absent=is_absent) == explains


def test_the_error_names_what_is_missing(packages: Path) -> None:
    """The error has the unsatisfied requirements with the installed versions, and both remedies."""
    check(["demo-lib"])
    with pytest.raises(DependenciesMissing) as caught:
        check(["demo-lib", "demo-lib>2", "no-such-lib"])
    assert caught.value.message == (
        "Unsatisfied requirements of the app: demo-lib>2 (installed: 1.5), no-such-lib (not installed)."
    )
    assert "--allow-runtime-dependency-installation" in str(caught.value.hint)
