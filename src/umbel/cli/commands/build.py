"""`umbel build`."""

from __future__ import annotations

from pathlib import Path

from umbel.cli.output import Format, print_json, print_warning
from umbel.cli.parameters import AppOption, FormatOption


def build(app: AppOption = Path(), output: FormatOption = Format.DEFAULT) -> None:
    """Build an app's bundle (FAB) and write it into this folder. The same files give the same bytes."""
    from umbel.bundle import build_fab, check_components, load_app
    from umbel.cli.files import write_file

    config = load_app(app)
    for warning in config.warnings:
        print_warning(warning)
    check_components(app, config)
    fab = build_fab(app)
    path = Path.cwd() / fab.filename
    write_file(path, fab.data)
    if output is Format.JSON:
        print_json(
            {
                "success": True,
                "fab-id": config.fab_id,
                "fab-name": config.name,
                "fab-version": config.version,
                "fab-hash": fab.hash,
                "fab-filename": fab.filename,
                "path": str(path),
                "size": len(fab.data),
            }
        )
    else:
        print(f"Built {fab.filename} ({len(fab.data)} bytes, hash {fab.hash}).")
