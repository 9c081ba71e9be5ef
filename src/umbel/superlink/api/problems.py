"""Every error as a problem document (RFC 9457): the one place where errors become HTTP answers."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from umbel.errors import NotFound, RequestInvalid, UmbelError, Unauthenticated
from umbel.wire.api import Problem

_log = logging.getLogger(__name__)
ANSWERED = "umbel.answered"  # in the scope of a request whose error has its answer
_DOCS = "https://umbel.dev/errors#"


def problem_response(error: Exception) -> Response:
    """The answer that tells of `error`. What is not a known error is logged, and the answer says no more than that."""
    status, known = _classify(error)
    problem = Problem(
        type=_DOCS + known.code,
        title=(type(known).__doc__ or "").splitlines()[0],
        status=status,
        code=known.code,
        detail=known.message,
        hint=known.hint,
    )
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if isinstance(known, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return Response(msgspec.json.encode(problem), status, headers, "application/problem+json")


def _fault(found: dict[str, Any]) -> str:
    return f"{found['loc'][-1]}: {found['msg']}"


async def on_error(request: Request, error: Exception) -> Response:
    """`problem_response` as a Starlette exception handler, which is called before the error goes on outwards."""
    request.scope[ANSWERED] = True
    return problem_response(error)


def _classify(error: Exception) -> tuple[int, UmbelError]:
    match error:
        case UmbelError():
            return error.http_status, error
        case HTTPException(status_code=404):
            return 404, NotFound("There is no such route.", hint="docs/architecture.md lists the routes.")
        case HTTPException():
            return error.status_code, RequestInvalid(f"{HTTPStatus(error.status_code).phrase}: {error.detail}")
        case msgspec.DecodeError():
            return 422, RequestInvalid(f"The request's body does not fit the API: {error}.")
        case RequestValidationError():
            return 422, RequestInvalid(f"The request does not fit the API: {'; '.join(map(_fault, error.errors()))}.")
        case OverflowError():
            return 422, RequestInvalid("A number of the request does not fit into 64 bits.")
        case _:
            _log.error("An unexpected error.", exc_info=error)
            return 500, UmbelError("The SuperLink met an unexpected error.", hint="Its log says more.")
