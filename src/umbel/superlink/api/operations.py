"""What the documentation of the API says about an operation: FastAPI's schema parts, made from the structs."""

from __future__ import annotations

from typing import Any

import msgspec

from umbel.wire.api import Problem

_REF = "#/components/schemas/{name}"
_structs: set[type[msgspec.Struct]] = {Problem}


def documented(
    summary: str,
    *,
    answer: type[msgspec.Struct] | None,
    body: type[msgspec.Struct] | None = None,
    status: int = 200,
) -> dict[str, Any]:
    """The arguments of a FastAPI route. `answer` None stands for a stream of events."""
    media = {"application/json": _schema(answer)} if answer else {"text/event-stream": {}}
    failure = {"description": "An error", "content": {"application/problem+json": _schema(Problem)}}
    extra: dict[str, Any] = {
        "responses": {str(status): {"description": "Done", "content": media}, "default": failure},
        "security": [{"token": []}],
    }
    if body is not None:
        extra["requestBody"] = {"required": True, "content": {"application/json": _schema(body)}}
    return {"summary": summary, "status_code": status, "openapi_extra": extra, "response_model": None}


def components() -> dict[str, Any]:
    """The schemas of every struct that an operation names."""
    _, schemas = msgspec.json.schema_components(sorted(_structs, key=lambda struct: struct.__name__), ref_template=_REF)
    return schemas


def _schema(struct: type[msgspec.Struct]) -> dict[str, Any]:
    _structs.add(struct)
    return {"schema": {"$ref": _REF.format(name=struct.__name__)}}
