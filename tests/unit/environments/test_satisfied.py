"""Requirements of apps against the packages of an interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.distributions import installed, metadata
from umbel.environments.requirements import check, missing, needed, provides
from umbel.errors import AppInvalid, DependenciesMissing


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path in which a test installs what it likes; `demo-lib` 1.5 is there."""
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
def test_a_requirement_is_met_or_not(packages: Path, requirement: str, is_there: bool) -> None:
    """Name, version and marker of a requirement decide whether what is installed satisfies it."""
    assert (missing([requirement]) == []) == is_there


def test_umbel_and_flwr_are_always_there() -> None:
    """Umbel itself always satisfies an app's requirement on it, whatever version or extra it declares."""
    assert missing(["umbel>=99", "flwr[simulation]>=1.29", "Flwr"]) == []


def test_an_extra_of_umbel_is_what_it_asks_for() -> None:
    """`umbel[…]` stands for the requirements of that extra alone, so that nothing installs another Umbel."""
    assert [requirement.name for requirement in needed(["umbel[privacy]>=0.1"])] == ["dp-accounting"]
    assert [str(requirement) for requirement in needed(["flwr[simulation]", "umbel"])] == []


def test_an_installed_pre_release_counts(packages: Path) -> None:
    """A pre-release that somebody installed on purpose satisfies a lower bound below it."""
    installed(packages, metadata("early-lib", "2.0rc1"))
    assert missing(["early-lib>=1"]) == []
    assert missing(["early-lib>=2.0"]) == ["early-lib>=2.0"]


def test_an_extra_needs_all_that_it_asks_for(packages: Path) -> None:
    """With an extra, also what it requires has to be there; without it, not."""
    requires = ["demo-lib>=1", "demo-lib>=2; extra == 'new'", "demo-lib; extra == 'old'"]
    installed(packages, metadata("rich-lib", "1.0", requires, ["new", "old"]))
    assert missing(["rich-lib"]) == []
    assert missing(["rich-lib[old]"]) == []
    assert missing(["rich-lib[old,new]"]) == ["rich-lib[new,old]"]


def test_extras_of_extras_count(packages: Path) -> None:
    """An extra that is made of other extras of the same distribution, or of itself, ends where they are met or not."""
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
def test_a_url_is_met_by_what_came_from_there(packages: Path, url: str, is_there: bool) -> None:
    """A requirement with a URL is met by what was installed from that URL, and at that revision."""
    vcs = {"vcs": "git", "requested_revision": "v1", "commit_id": "abc"}
    installed(packages, metadata("lib", "1"), {"url": "https://example.org/lib.git", "vcs_info": vcs})
    assert (missing([f"lib @ {url}"]) == []) == is_there


def test_a_wheel_from_a_url_is_known_again(packages: Path) -> None:
    """A distribution that was installed from a plain URL satisfies the requirement with that URL."""
    installed(packages, metadata("wheel-lib", "1"), {"url": "https://example.org/lib.whl", "archive_info": {}})
    assert missing(["wheel-lib @ https://example.org/lib.whl"]) == []


def test_damaged_metadata_satisfies_nothing(packages: Path) -> None:
    """A distribution whose version cannot be read counts as not there."""
    installed(packages, metadata("odd-lib", "unknown"))
    assert missing(["odd-lib>=1"]) == ["odd-lib>=1"]


@pytest.mark.parametrize("line", ["demo lib", "-r /etc/passwd", "demo-lib ; nonsense == '1'"])
def test_what_is_no_requirement_is_refused(line: str) -> None:
    """A line that is not a requirement, or has a marker that means nothing, is named in the error."""
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
    """What is missing is named, with the version that is there instead, and both ways to get it; what is there is not."""
    check(["demo-lib"])
    with pytest.raises(DependenciesMissing) as caught:
        check(["demo-lib", "demo-lib>2", "no-such-lib"])
    assert caught.value.message == (
        "Unsatisfied requirements of the app: demo-lib>2 (installed: 1.5), no-such-lib (not installed)."
    )
    assert "--allow-runtime-dependency-installation" in str(caught.value.hint)
