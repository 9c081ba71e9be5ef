from __future__ import annotations

import os
import subprocess
import sys
import uuid

from benchmarks.harness.processes import TOKEN_VARIABLE, Family, end, proportional_set_size

DETACHED = """
import os, subprocess, sys
bare = subprocess.Popen(["cat"], env={}, stdin=subprocess.PIPE, start_new_session=True)
print(os.getpid(), bare.pid, flush=True)
sys.stdin.read()
"""


def test_a_family_is_found_by_token_and_by_descent_and_ended() -> None:
    """A process with the token is a member, so is its child with an empty environment; afterwards neither is left."""
    token = uuid.uuid4().hex
    family = Family(token)
    assert family.members() == []
    with subprocess.Popen(
        [sys.executable, "-c", DETACHED],
        env=os.environ | {TOKEN_VARIABLE: token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        expected = {int(pid) for pid in process.stdout.readline().split()}
        assert set(family.members()) == expected
        assert all(proportional_set_size(pid) > 50_000 for pid in expected)
        end(family)
        assert family.members() == []
    assert os.getpid() not in family.members()
