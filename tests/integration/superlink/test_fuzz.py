"""Generated requests: the API answers each as its OpenAPI document says, and never with an internal error."""

from __future__ import annotations

import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from tests.support.examples import examples
from tests.support.superlink_process import EXECUTOR, Program, program
from umbel.wire.api import Problem

EXAMPLES = hypothesis.settings(max_examples=examples(12), deadline=None, derandomize=True, database=None)
TEXT = st.text(string.printable.strip(), max_size=60)


@pytest.fixture
def superlink(umbel_home: Path) -> Iterator[Program]:
    """A SuperLink in a separate process."""
    with program(umbel_home) as running:
        yield running


@pytest.fixture
def client(superlink: Program) -> Iterator[httpx2.Client]:
    """Requests to it, on one connection."""
    with httpx2.Client(base_url=superlink.address) as opened:
        yield opened


def test_the_control_api_keeps_its_word(superlink: Program) -> None:
    """Made-up requests for every documented operation get documented answers, with a person's token and without one."""
    token = (superlink.home / "local" / "token").read_text()
    api = schemathesis.openapi.from_url(f"{superlink.address}/openapi.json")
    tried = 0
    for found in api.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @EXAMPLES
        @hypothesis.given(case=operation.as_strategy())
        def answers(case: schemathesis.Case[Any]) -> None:
            nonlocal tried
            for credential in (token, "wrong"):
                response = case.call(headers={"Authorization": f"Bearer {credential}"})
                checks = [not_a_server_error, content_type_conformance, response_schema_conformance]
                case.validate_response(response, checks=checks)
                assert (response.status_code == 401) is (credential == "wrong")
                tried += 1

        answers()
    assert tried > 100


ROUTES = [
    ("POST", "/api/runtime/tasks/claim"),
    ("POST", "/api/runtime/tasks/{}/exited"),
    ("GET", "/api/runtime/tasks/{}/directive"),
    ("GET", "/api/runtime/tasks/{}/input"),
    ("POST", "/api/runtime/tasks/{}/report"),
    ("POST", "/api/runtime/tasks/{}/messages"),
    ("GET", "/api/runtime/tasks/{}/replies"),
    ("POST", "/api/fleet/activate"),
    ("POST", "/api/fleet/pull"),
    ("POST", "/api/fleet/reply"),
    ("GET", "/api/fleet/runs/{}"),
    ("PUT", "/api/objects/{}"),
    ("GET", "/api/objects/{}"),
    ("POST", "/api/objects/missing"),
]


@hypothesis.settings(
    EXAMPLES, max_examples=examples(150), suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(
    route=st.sampled_from(ROUTES),
    part=TEXT,
    query=TEXT,
    body=st.binary(max_size=200) | st.sampled_from([b"{}", b"[]", b"null", b'{"session":1,"room":1}', b"1e999"]),
    headers=st.dictionaries(
        st.sampled_from(["Authorization", "Signature-Input", "Signature", "Content-Digest", "Range", "Umbel-Version"]),
        TEXT | st.sampled_from([f"Bearer {EXECUTOR}", "Bearer 1.1.x", "bytes=5-", "0.1.0"]),
        max_size=4,
    ),
)
def test_no_request_is_a_fault(
    client: httpx2.Client, route: tuple[str, str], part: str, query: str, body: bytes, headers: dict[str, str]
) -> None:
    """Whatever comes to the routes of programs is answered below 500, and each refusal is a problem document."""
    method, path = route
    url = f"{path.format(quote(part, safe=''))}?{quote(query, safe='&=')}"
    answer = client.request(method, url, content=None if method == "GET" else body, headers=headers)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert set(answer.json()) <= set(Problem.__struct_fields__)
