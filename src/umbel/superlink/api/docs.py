"""A page that shows the OpenAPI document: no script, nothing from another site."""

from __future__ import annotations

import json
from html import escape
from typing import Any

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark; }
code, pre { font-size: 14px; } pre { overflow-x: auto; } summary { cursor: pointer; } h2 { margin-top: 2rem; }
"""


def page(document: dict[str, Any]) -> str:
    """The HTML page of an OpenAPI document."""
    info = document["info"]
    operations = "".join(
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    title = f"{escape(info['title'])} {escape(info['version'])}"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>"
        f"<p>Every request carries <code>Authorization: Bearer TOKEN</code>. The same as data: "
        f"<a href=/openapi.json>openapi.json</a>.</p>{operations}<h2>Bodies</h2>{schemas}</html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = [f"<p>{escape(operation.get('description', ''))}</p>"]
    for parameter in operation.get("parameters", []):
        rows.append(f"<li><code>{escape(parameter['name'])}</code> {escape(parameter.get('description', ''))}</li>")
    if "requestBody" in operation:
        rows.append(f"<li>body {_content(operation['requestBody'])}</li>")
    for status, response in operation["responses"].items():
        rows.append(f"<li>{escape(status)} {_content(response)}</li>")
    heading = f"<h2>{escape(operation['summary'])}</h2><p><code>{method.upper()} {escape(path)}</code></p>"
    return f"<section>{heading}{''.join(rows)}</section>"


def _content(part: dict[str, Any]) -> str:
    return ", ".join(
        f"<code>{escape(media)}</code> {_link(value.get('schema', {}).get('$ref', ''))}"
        for media, value in part.get("content", {}).items()
    )


def _link(reference: str) -> str:
    name = escape(reference.rpartition("/")[2])
    return f"<a href='#{name}'>{name}</a>" if name else ""


def _schema(name: str, schema: dict[str, Any]) -> str:
    text = escape(json.dumps(schema.get("properties", schema), indent=2))
    summary = f"<summary><b>{escape(name)}</b> {escape(schema.get('description', ''))}</summary>"
    return f"<details id='{escape(name)}'>{summary}<pre>{text}</pre></details>"
