"""A federation as `docs/howto/secure-a-federation.md` makes it: TLS, registered sites only, a run from end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.sites import APP
from tests.support.superlink_process import Program, program

LIMIT = 50.0  # seconds for what takes a moment on a quiet machine
UMBEL = Path(sys.executable).with_name("umbel")


class Consortium:
    """A SuperLink with TLS that lets registered sites in, and an operator's command line."""

    def __init__(self, superlink: Program, folder: Path) -> None:
        self.folder = folder
        self.address = str(superlink.info["public_address"])
        self.home = folder / "operator"
        self.home.mkdir()
        (self.home / "config.toml").write_text(
            f'[superlink]\ndefault = "far"\n[superlink.far]\naddress = "{self.address}"\n'
            f'root-certificates = "{folder / "certificates" / "ca.pem"}"\n'
            f'token-file = "{superlink.home / "local" / "token"}"\n'
        )

    def umbel(self, *arguments: str | Path) -> Any:
        """What a command of the operator answers in JSON."""
        environment = {**os.environ, "UMBEL_HOME": str(self.home)}
        command = [UMBEL, *arguments, "--format", "json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def site(self, name: str, number: int) -> subprocess.Popen[bytes]:
        """The SuperNode of a site, with the key of this name."""
        options = ["--root-certificates", self.folder / "certificates" / "ca.pem"]
        options += ["--auth-supernode-private-key", self.folder / name, "--state-dir", self.folder / f"{name}-state"]
        options += ["--node-config", f"partition-id={number} num-partitions=2"]
        command = [sys.executable, "-m", "umbel.supernode.main", "--superlink", self.address, *map(str, options)]
        return subprocess.Popen(command, stderr=subprocess.PIPE)


@pytest.fixture
def consortium(umbel_home: Path, tmp_path: Path) -> Iterator[Consortium]:
    """The SuperLink of the page, with a certificate that the command has made."""
    made = tmp_path / "certificates"
    subprocess.run([UMBEL, "certificate", "create", "127.0.0.1", "--directory", made], check=True, timeout=LIMIT)
    options = ["--ssl-certfile", str(made / "superlink.pem"), "--ssl-keyfile", str(made / "superlink.key")]
    with program(umbel_home, *options, "--enable-supernode-auth", superexec="own", simulation=False) as superlink:
        yield Consortium(superlink, tmp_path)


def test_registered_sites_serve_a_run_over_tls(consortium: Consortium) -> None:
    """Two sites make keys, are registered, dial in over TLS and serve a run; a stranger's SuperNode ends with a word on what to do."""
    for name in ("ward1", "ward2", "stranger"):
        consortium.umbel("supernode", "keygen", consortium.folder / name)
    for name in ("ward1", "ward2"):
        consortium.umbel("supernode", "register", f"{consortium.folder / name}.pub", "--name", name)
    sites = [consortium.site(name, number) for number, name in enumerate(("ward1", "ward2"))]
    try:
        _, said = consortium.site("stranger", 0).communicate(timeout=LIMIT)
        assert b"umbel supernode register" in said
        assert b"Traceback" not in said
        ended = consortium.umbel("run", APP, "--stream")
        assert ended["status"] == "finished:completed", ended
        nodes = consortium.umbel("supernode", "list")["nodes"]
        assert [node["status"] for node in nodes] == ["online", "online"]
        gone = consortium.umbel("supernode", "unregister", str(nodes[0]["node-id"]))
        assert gone["success"]
        _, said = sites[0].communicate(timeout=LIMIT)  # it ends by itself
        assert sites[0].returncode != 0
        assert b"Traceback" not in said
    finally:
        for site in sites:
            site.terminate()
            site.communicate(timeout=LIMIT)
