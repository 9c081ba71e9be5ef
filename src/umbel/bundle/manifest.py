"""The manifest of a bundle: one line `path,sha256,size in bits` for each file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from umbel.bundle.rules import MANIFEST
from umbel.errors import BundleInvalid

_LINE = re.compile(r"(?P<path>.+),(?P<digest>[0-9a-f]{64}),(?P<bits>[0-9]{1,12})", re.ASCII)


def write_manifest(files: Mapping[str, bytes]) -> bytes:
    """The manifest of `files`, in their order."""
    lines = (f"{path},{hashlib.sha256(data).hexdigest()},{len(data) * 8}\n" for path, data in files.items())
    return "".join(lines).encode()


def check_manifest(manifest: bytes, files: Mapping[str, bytes]) -> dict[str, str]:
    """The SHA-256 of each of `files`, if the manifest says the same about them; BundleInvalid otherwise."""
    listed = _parse(manifest)
    if missing := sorted(listed.keys() - files.keys()):
        raise BundleInvalid(f"The file `{missing[0]}` is in the bundle's manifest but not in the bundle.")
    if extra := sorted(files.keys() - listed.keys()):
        raise BundleInvalid(f"The file `{extra[0]}` is in the bundle but not in its manifest.")
    for path, (digest, bits) in listed.items():
        if len(files[path]) * 8 != bits:
            raise BundleInvalid(f"The file `{path}` does not have the size that the bundle's manifest gives.")
        if hashlib.sha256(files[path]).hexdigest() != digest:
            raise BundleInvalid(f"The file `{path}` does not have the digest that the bundle's manifest gives.")
    return {path: digest for path, (digest, _) in listed.items()}


def _parse(manifest: bytes) -> dict[str, tuple[str, int]]:
    listed: dict[str, tuple[str, int]] = {}
    try:
        lines = manifest.decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        raise BundleInvalid(f"The bundle's manifest {MANIFEST} is not UTF-8 text.") from None
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise BundleInvalid(f"Line {number} of the bundle's manifest {MANIFEST} is not `path,sha256,bits`.")
        if match["path"] in listed:
            raise BundleInvalid(f"The bundle's manifest {MANIFEST} lists `{match['path']}` twice.")
        listed[match["path"]] = (match["digest"], int(match["bits"]))
    return listed
