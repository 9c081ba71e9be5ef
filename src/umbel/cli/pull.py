"""Writing a run's results into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from umbel.cli import metric_files
from umbel.cli.files import cannot_write, checked_name, make_folder, write_file

if TYPE_CHECKING:
    from umbel.wire.api import Artifact, RunView
    from umbel.wire.control import ControlClient

CHECKPOINT = "checkpoint"  # the names of checkpoints begin with it


def pull_run(client: ControlClient, run: RunView, target: Path, *, everything: bool = False) -> list[Path]:
    """Write the artifacts (checkpoints only if `everything`) and the metric files; returns the files written.

    Metric files are written only if the run has metrics; an artifact of the same name is left as the app made it.
    Raises ObjectInvalid for an artifact whose name is not a file name, before anything is written.
    """
    chosen = [item for item in client.artifacts(run.run_id) if everything or not item.name.startswith(CHECKPOINT)]
    names = [checked_name(item.name) for item in chosen]
    points = list(client.metrics(run.run_id))
    make_folder(target)
    written = [_download(client, item, target) for item in chosen]
    for name, make in metric_files.MAKERS.items():
        if points and name not in names:
            path = target / name
            write_file(path, make(points, run))
            written.append(path)
    return written


def _download(client: ControlClient, artifact: Artifact, target: Path) -> Path:
    path = target / artifact.name
    try:
        client.download(artifact.digest, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    return path
