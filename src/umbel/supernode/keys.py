"""The key by which a SuperLink knows a node."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from umbel.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_HINT = "Make one with `ssh-keygen -t ed25519`."


def load_key(path: Path) -> Ed25519PrivateKey:
    """The Ed25519 key in an OpenSSH or PEM file. Raises ConfigError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"The key {path} cannot be read: {error.strerror}.", hint="Check the path.") from error
    is_openssh = b"BEGIN OPENSSH PRIVATE KEY" in data
    load = serialization.load_ssh_private_key if is_openssh else serialization.load_pem_private_key
    try:
        key = load(data, None)
    except TypeError:
        raise ConfigError(f"The key {path} is protected by a password.", hint="Give one without.") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        if "password" in str(error).lower():
            raise ConfigError(f"The key {path} is protected by a password.", hint="Give one without.") from None
        raise ConfigError(f"{path} is not a private key.", hint=_HINT) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path} is not an Ed25519 key.", hint=_HINT)
    return key


def own_key(path: Path) -> Ed25519PrivateKey:
    """The key in `path`, made there at the first use, for its owner alone."""
    if not path.exists():
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    return load_key(path)
