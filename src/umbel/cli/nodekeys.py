"""The keys of SuperNodes, as files: made for a site, and read to be registered."""

from __future__ import annotations

import os
from pathlib import Path

from umbel.errors import ConfigError, UsageError


def make_key(path: Path, comment: str) -> str:
    """Make a key: the private half in `path` for its owner alone, the public one in `path`.pub. Returns the public line.

    Raises ConfigError when a file is there already, or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    encoded = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    line = f"{encoded.decode()} {comment}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(private)
        Path(f"{path}.pub").write_text(line + "\n", encoding="ascii")
    except OSError as failure:
        raise ConfigError(
            f"The key cannot be written to {path}: {failure.strerror}.", hint="A key that is there is not overwritten."
        ) from failure
    return line


def read_public_key(given: str) -> str:
    """The text of a public key that was given as such, or as the name of its file. Raises UsageError for a private one."""
    try:
        path = Path(given).expanduser()
        text = path.read_text(encoding="utf-8") if len(given) < 1000 and path.is_file() else given
    except (OSError, UnicodeDecodeError) as failure:
        raise UsageError(f"The public key cannot be read from {given}: {failure}.") from failure
    if "PRIVATE KEY" in text:
        raise UsageError(f"{given} holds a private key, which stays at its site.", hint=f"Give {given}.pub.")
    return text.strip()
