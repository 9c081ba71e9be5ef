"""Health, readiness and metrics of a SuperLink."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys

import httpx2

from tests.integration.superlink.served import USER, Served, until
from umbel.superlink.store.database import Database


def numbers(text: str) -> dict[str, float]:
    """The samples of Prometheus's text format, each line checked."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP umbel_\w+ .+|TYPE umbel_\w+ (counter|gauge|histogram))", line), line
            continue
        match = re.fullmatch(r'(umbel_\w+(?:\{(?:\w+="[^"]*",?)+\})?) ([-+.e\d]+)', line)
        assert match, line
        found[match[1]] = float(match[2])
    return found


async def test_it_lives_and_can_work(served: Served) -> None:
    """Without a token: the process answers, and says that its database and its objects can be used."""
    for path in ("/health", "/ready"):
        response = await served.client.get(path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert list(served.link.objects.incoming.iterdir()) == []


async def test_it_is_not_ready_without_its_objects(served: Served) -> None:
    """A directory of objects that is gone is a reason not to send requests there."""
    shutil.rmtree(served.link.objects.root)
    response = await served.client.get("/ready")
    assert response.status_code == 503
    assert response.json()["reason"] == "No object can be written: No such file or directory."
    assert (await served.client.get("/health")).status_code == 200


async def test_it_is_not_ready_without_its_database(served: Served) -> None:
    """A database that does not answer is a reason too."""
    own, served.link.db = served.link.db, Database("postgresql+psycopg://someone@/none?host=/nowhere")
    response = await served.client.get("/ready")
    served.link.db.close()
    served.link.db = own
    assert response.status_code == 503
    assert response.json()["reason"] == "The database of the SuperLink is not available."


async def test_its_numbers(served: Served) -> None:
    """Runs, tasks, requests, bytes, waits and the time of writes, in the format of Prometheus."""
    await served.start()
    task = await served.begin()
    await served.put(b"x" * 1000)
    path = f"/api/runtime/tasks/{task.task_id}/directive?wait=20"
    waiting = asyncio.create_task(served.request("GET", path, token=task.token))
    await until(lambda: ("task", 1) in served.link.wakeups.parked())
    response = await served.client.get("/metrics")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = numbers(response.text)
    assert found['umbel_runs{outcome="",status="running"}'] == 1
    assert found['umbel_tasks{state="active"}'] == 1
    assert found['umbel_requests_total{route="objects",status="201"}'] == 2
    assert found['umbel_received_bytes_total{route="objects"}'] > 1000
    assert found['umbel_sent_bytes_total{route="control"}'] > 100
    assert found['umbel_parked_requests{topic="task"}'] == 1
    assert found["umbel_database_write_seconds_count"] >= 3
    assert found['umbel_database_write_seconds_bucket{le="+Inf"}'] == found["umbel_database_write_seconds_count"]
    assert found["umbel_uptime_seconds"] > 0
    assert found["umbel_database_full"] == 0


async def test_its_numbers_are_for_this_machine_or_a_token(served: Served) -> None:
    """What a proxy asks for somebody else needs the token of a user; so does nothing else on this machine."""
    somebody: dict[str, str] = {"X-Forwarded-For": "192.0.2.7"}
    refused: httpx2.Response = await served.client.get("/metrics", headers=somebody)
    assert refused.status_code == 401
    allowed = await served.client.get("/metrics", headers=somebody | {"Authorization": f"Bearer {USER}"})
    assert allowed.status_code == 200


def test_prometheus_client_is_imported_at_the_first_scrape() -> None:
    """A SuperLink that is never scraped does not pay for the library."""
    command = "import sys, umbel.superlink.server.serve; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "False"
