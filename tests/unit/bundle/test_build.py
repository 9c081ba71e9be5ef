from __future__ import annotations

import hashlib
import io
import os
import random
import zipfile
from pathlib import Path

import pytest

from tests.support.apps import PYPROJECT, write_app
from umbel.bundle import build_fab, read_fab
from umbel.bundle.limits import MAX_FILE_BYTES
from umbel.errors import AppInvalid, BundleInvalid

MODULES = ["my_app/__init__.py", "my_app/client_app.py", "my_app/server_app.py"]


def bundled(app: Path) -> list[str]:
    """The names of the app's files in its bundle, besides the modules that each has."""
    return [name for name in read_fab(build_fab(app).data).files if name not in [*MODULES, "pyproject.toml"]]


def with_keys(*lines: str) -> str:
    """The usual pyproject.toml with these lines in the app's table."""
    return PYPROJECT.replace('publisher = "me"', "\n".join(['publisher = "me"', *lines]))


def test_a_bundle_has_hash_and_name(tmp_path: Path) -> None:
    """The hash is that of the bytes, and the file name says publisher, name, version and the hash's beginning."""
    fab = build_fab(write_app(tmp_path))
    assert fab.hash == hashlib.sha256(fab.data).hexdigest()
    assert fab.filename == f"me.my-app.1-2-3.{fab.hash[:8]}.fab"
    assert fab.config.fab_id == "me/my-app"


def test_entries_are_in_order(tmp_path: Path) -> None:
    """The description comes first, the files follow by name, the manifest is last."""
    fab = build_fab(write_app(tmp_path, files={"a.py": "", "z.md": "", "B.json": "{}"}))
    names = zipfile.ZipFile(io.BytesIO(fab.data)).namelist()
    assert names == ["pyproject.toml", "B.json", "a.py", *MODULES, "z.md", ".info/CONTENT"]


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    """Order of creation, dates, permissions, place and files that are left out have no influence on the bundle."""
    files = {f"d{i}/f{i}.py": f"x = {i}\n" for i in range(12)}
    shuffled = dict(random.Random(0).sample(sorted(files.items()), len(files)))
    first, second = write_app(tmp_path / "a", files=files), write_app(tmp_path / "b" / "c", files=shuffled)
    for number, path in enumerate(sorted(second.rglob("*.py"))):
        os.utime(path, (number * 1e6, number * 2e6))
        path.chmod(0o755 if number % 2 else 0o600)
    (second / "__pycache__").mkdir()
    (second / "__pycache__" / "x.py").touch()
    assert build_fab(first).data == build_fab(second).data


def test_the_hash_does_not_change_with_the_product() -> None:
    """The bytes of a given bundle are these, on any system and with any Python."""
    from umbel.bundle.build import _zip

    data = _zip({"a.py": b"x = 1\n" * 100, "é.md": b"text"})
    assert hashlib.sha256(data).hexdigest() == "7a7f46ffc3288b025ea289a75efd26e46f4c6cef024b6c0178b89f647883b6ec"


def test_the_description_keeps_its_bytes(tmp_path: Path) -> None:
    """Comments in pyproject.toml reach the people who review the bundle."""
    text = "# by hand\n" + PYPROJECT
    fab = read_fab(build_fab(write_app(tmp_path, text)).data)
    assert fab.files["pyproject.toml"].content == text.encode()


def test_addresses_of_federations_stay_at_home(tmp_path: Path) -> None:
    """Of the old table of federations the simulation settings are in the bundle, and nothing else."""
    legacy = """
[tool.flwr.federations]
default = "local"
remote.address = "10.0.0.1:9093"
local.options.num-supernodes = 40
"""
    text = PYPROJECT.replace("tool.umbel", "tool.flwr") + legacy
    fab = read_fab(build_fab(write_app(tmp_path, text)).data)
    assert b"10.0.0.1" not in fab.files["pyproject.toml"].content
    assert fab.config.federation == {"num-supernodes": 40}
    assert (fab.config.config, fab.config.warnings) == ({"rounds": 3, "train.lr": 0.1}, [])


def test_only_text_that_can_be_reviewed_is_bundled(tmp_path: Path) -> None:
    """Python, TOML, Markdown, YAML and JSON files and LICENSE are bundled; no others, and no caches, tests or builds."""
    wanted = ["LICENSE", "a/x.toml", "b.md", "c.yaml", "d.yml", "e.json", "f.jsonl", "sub/lib/x.py"]
    unwanted = [
        "model.pt",
        "data.csv",
        "run.sh",
        "sub/LICENSE",
        "sub/pyproject.toml",
        "a_test.py",
        "sub/test_a.py",
        "__pycache__/a.py",
        ".flwr/a.py",
        "sub/.umbel/a.py",
        ".git/a.py",
        "build/a.py",
        "lib/a.py",
        "venv/a.py",
        ".venv/a.py",
        "x.egg/a.py",
        ".info/a.md",
        ".editorconfig",
    ]
    app = write_app(tmp_path, files=dict.fromkeys([*wanted, *unwanted], ""))
    assert bundled(app) == sorted(wanted)


def test_gitignore_counts(tmp_path: Path) -> None:
    """Files that git would ignore are left out, by the rules of every directory, the innermost first."""
    ignore = "!\n*.json\n/secret/\n"
    files = {
        ".gitignore": ignore,
        "a.json": "",
        "secret/x.py": "",
        "sub/secret/x.py": "",
        "sub/b.json": "",
        "sub/c.json": "",
    }
    app = write_app(tmp_path, files={**files, "sub/.gitignore": "!b.json\n"})
    assert bundled(app) == ["sub/b.json", "sub/secret/x.py"]


def test_patterns_of_the_app_count(tmp_path: Path) -> None:
    """`fab-include` chooses files, `fab-exclude` takes some away, and `!` gives one back."""
    include = 'fab-include = ["my_app/*.py", "data/**"]'
    exclude = 'fab-exclude = ["data/x*", "!data/x2.json", "lib/**"]'
    files = dict.fromkeys(["data/x1.json", "data/x2.json", "data/y.json", "data/z.csv", "other.py", "lib/a.py"], "")
    assert bundled(write_app(tmp_path, with_keys(include, exclude), files)) == ["data/x2.json", "data/y.json"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('fab-include = ["my_app/**", "dta/**"]', "`fab-include` matches no file"),
        ('fab-exclude = ["ignored.json"]', "`fab-exclude` matches no file"),
        ('fab-include = ["my_app/**", "*.csv"]', "file types that are not allowed, such as x.csv"),
        ('fab-include = ["!"]', "is not a valid pattern"),
        ('fab-include = ["my_app/c*"]', "`serverapp` .* is not in the bundle"),
        ('fab-exclude = ["my_app/client_app.py"]', "`clientapp` .* is not in the bundle"),
    ],
)
def test_patterns_that_do_nothing_good_are_refused(tmp_path: Path, line: str, said: str) -> None:
    """A pattern without effect is a mistake, and so is one that takes a component away."""
    files = {"x.csv": "", ".gitignore": "ignored.json", "ignored.json": ""}
    with pytest.raises(AppInvalid, match=said):
        build_fab(write_app(tmp_path, with_keys(line), files))


def test_links_within_the_app_are_followed(tmp_path: Path) -> None:
    """A link to a file or a directory of the app is bundled as what it leads to."""
    app = write_app(tmp_path, files={"data/a.json": "{}"})
    (app / "b.json").symlink_to("data/a.json")
    (app / "again").symlink_to(app / "data")
    assert bundled(app) == ["again/a.json", "b.json", "data/a.json"]


@pytest.mark.parametrize(("name", "to"), [("x.py", "outside/x.py"), ("data", "outside"), ("x.json", "nothing")])
def test_links_that_lead_outside_are_refused(tmp_path: Path, name: str, to: str) -> None:
    """A link to a file or directory outside, or to nothing, is refused unless the app leaves it out."""
    write_app(tmp_path / "outside", files={"x.py": "secret = 1"})
    app = write_app(tmp_path / "app")
    (app / name).symlink_to(tmp_path / to)
    with pytest.raises(BundleInvalid, match=f"`{name}` points outside"):
        build_fab(app)
    write_app(app, with_keys(f'fab-exclude = ["{name}"]'))
    assert bundled(app) == []


def test_links_to_files_of_other_kinds_do_not_matter(tmp_path: Path) -> None:
    """A link to data that would not be bundled anyway does not stop a build."""
    app = write_app(tmp_path / "app")
    (app / "data.csv").symlink_to("/dev/null")
    (app / ".venv").symlink_to("/usr")
    assert bundled(app) == []


def test_links_that_go_round_are_refused(tmp_path: Path) -> None:
    """A link to a directory that holds it does not keep the build busy forever."""
    app = write_app(tmp_path)
    (app / "my_app" / "up").symlink_to(app)
    with pytest.raises(BundleInvalid, match="`my_app/up` points to a parent"):
        build_fab(app)


@pytest.mark.parametrize("name", ["a:b.py", "a\\b.py", "nul.py", "a\nb.py", "x./a.py", "a|b.md"])
def test_names_that_not_every_system_has_are_refused(tmp_path: Path, name: str) -> None:
    """A file that could not be unpacked everywhere is refused by name."""
    with pytest.raises(BundleInvalid, match="is not allowed in a bundle"):
        build_fab(write_app(tmp_path, files={name: ""}))


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A file whose name is not UTF-8 is refused."""
    write_app(tmp_path)
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff.py")).touch()
    with pytest.raises(BundleInvalid, match="is not allowed in a bundle"):
        build_fab(tmp_path)


def test_names_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    """Two files that are one on some systems are refused."""
    with pytest.raises(BundleInvalid, match=r"`A\.py` and `a\.py`"):
        build_fab(write_app(tmp_path, files={"A.py": "", "a.py": ""}))


def test_large_files_are_refused(tmp_path: Path) -> None:
    """One file, and a whole bundle, of more than the allowed size are refused; the largest files are named."""
    app = write_app(tmp_path)
    with (app / "big.json").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(BundleInvalid, match=r"big\.json is larger than 32 MiB"):
        build_fab(app)
    with (app / "big.json").open("wb") as file:
        file.truncate(MAX_FILE_BYTES)
    with pytest.raises(BundleInvalid, match=r"Its largest files: big\.json \(33\.6 MB\)"):
        build_fab(app)


def test_format_1_brings_its_licence(tmp_path: Path) -> None:
    """A bundle of format 1 has the licence file; without it there is no bundle."""
    text = with_keys("fab-format-version = 1", 'umbel-version-target = "0.1"')
    app = write_app(tmp_path, text.replace('license = "Apache-2.0"', 'license = {file = "LICENSE"}'))
    with pytest.raises(AppInvalid, match="licence file is not in the bundle"):
        build_fab(app)
    (app / "LICENSE").write_text("free")
    assert bundled(app) == ["LICENSE"]
