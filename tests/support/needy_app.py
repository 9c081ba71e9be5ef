"""An app that needs what its test says, and tells which version of it its processes have."""

from __future__ import annotations

from pathlib import Path

PYPROJECT = """
[project]
name = "needy"
version = "1.0.0"
dependencies = [{dependencies}]

[tool.umbel.app]
publisher = "test"

[tool.umbel.app.components]
serverapp = "needy.server_app:app"
clientapp = "needy.client_app:app"

[tool.umbel.app.config]
reads = ""
writes = ""
"""
SERVER = """
import {module}
from umbel.app import Message, RecordDict
from umbel.serverapp import ServerApp

app = ServerApp()


@app.main()
def main(grid, context):
    print("the server has", {module}.VERSION)
    # Neither of two runs continues before the other has started.
    if context.run_config["writes"]:
        open(context.run_config["writes"], "w").close()
    if context.run_config["reads"]:
        open(context.run_config["reads"]).close()
    grid.send_and_receive([Message(RecordDict(), node, "query") for node in grid.get_node_ids()])
"""
CLIENT = """
import {module}
from umbel.app import Message, RecordDict
from umbel.clientapp import ClientApp

app = ClientApp()


@app.query()
def query(message, context):
    print("the client has", {module}.VERSION)
    return Message(RecordDict(), reply_to=message)
"""


def needy(folder: Path, *dependencies: str, module: str = "demo_lib") -> Path:
    """The app in `folder`; both components import `module`."""
    files = {
        "pyproject.toml": PYPROJECT.format(dependencies=", ".join(f'"{line}"' for line in dependencies)),
        "needy/__init__.py": "",
        "needy/server_app.py": SERVER.format(module=module),
        "needy/client_app.py": CLIENT.format(module=module),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
