"""The state directory of a SuperNode: lock, private key, paths."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from umbel import _os
from umbel.errors import ConfigError, Conflict

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO


_HINT = "Create one with `ssh-keygen -t ed25519`."


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
        raise ConfigError(f"The key {path} is protected by a password.", hint="Use a key without a password.") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        if "password" in str(error).lower():
            raise ConfigError(
                f"The key {path} is protected by a password.", hint="Use a key without a password."
            ) from None
        raise ConfigError(f"{path} is not a private key.", hint=_HINT) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path} is not an Ed25519 key.", hint=_HINT)
    return key


def own_key(path: Path) -> Ed25519PrivateKey:
    """The node's key in `path`, which is generated on first use and readable by its owner only."""
    if not path.exists():
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _os.replace_file(path, pem, durable=True)
    return load_key(path)


class StateDir:
    """The files below `root`: `key.pem`, `contents/`, `spool/`, `runs/<run id>/`, accessible to their owner only."""

    def __init__(self, root: Path) -> None:
        """Create missing directories. Raises ConfigError when that fails."""
        self.root = root.expanduser().absolute()
        self.key = self.root / "key.pem"
        self.contents = self.root / "contents"
        self.spool = self.root / "spool"
        self._runs = self.root / "runs"
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for directory in (self.contents, self.spool, self._runs):
                directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{self.root} cannot be used: {error.strerror}.", hint="Choose another --state-dir."
            ) from error

    def lock(self) -> IO[str]:
        """Lock the directory for as long as the returned file is open. Raises Conflict when another process holds the lock."""
        file = (self.root / "lock").open("a")
        if _os.try_lock(file.fileno()):
            return file
        file.close()
        raise Conflict(
            f"Another SuperNode is already using {self.root}.",
            hint="Give each SuperNode its own --name (and thereby its own key) or its own --state-dir.",
        )

    def client_state(self, run_id: int) -> Path:
        """The directory for the state of a run's ClientApp."""
        return self._runs / str(run_id) / "state"

    def runs(self) -> list[int]:
        """The IDs of the runs that have a directory."""
        return sorted(int(path.name) for path in self._runs.iterdir() if path.name.isdigit())

    def begin_run(self, run_id: int) -> None:
        """Create the directory of a run."""
        (self._runs / str(run_id)).mkdir(mode=0o700, exist_ok=True)

    def remove_run(self, run_id: int) -> None:
        """Remove the files of a run that has ended."""
        shutil.rmtree(self._runs / str(run_id), ignore_errors=True)
