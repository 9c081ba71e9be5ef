"""Commands for SuperNodes: register, list, rotate, unregister, keygen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from umbel.cli.output import Format, print_json
from umbel.cli.parameters import FormatOption, SuperLinkArgument
from umbel.errors import ConfigError, UsageError


def make_key(path: Path, comment: str) -> str:
    """Make a key: the private half in `path` for its owner alone, the public one in `path`.pub. Returns the public line.

    Raises ConfigError when a file is there already, or cannot be written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    encoded = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    line = f"{encoded.decode()} {comment}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(private)
        Path(f"{path}.pub").write_text(line + "\n", encoding="ascii")
    except OSError as failure:
        raise ConfigError(
            f"The key cannot be written to {path}: {failure.strerror}.", hint="A key that is there is not overwritten."
        ) from failure
    return line


def read_public_key(given: str) -> str:
    """The text of a public key that was given as such, or as the name of its file. Raises UsageError for a private one."""
    try:
        path = Path(given).expanduser()
        text = path.read_text(encoding="utf-8") if len(given) < 1000 and path.is_file() else given
    except (OSError, UnicodeDecodeError) as failure:
        raise UsageError(f"The public key cannot be read from {given}: {failure}.") from failure
    if "PRIVATE KEY" in text:
        raise UsageError(f"{given} holds a private key, which stays at its site.", hint=f"Give {given}.pub.")
    return text.strip()


PublicKeyArgument = Annotated[
    str,
    typer.Argument(metavar="PUBLIC_KEY", help="The node's Ed25519 public key, or the file it is in (FILE.pub)."),
]
NodeArgument = Annotated[int, typer.Argument(metavar="NODE_ID", min=0, help="The node's id, as in the list.")]


def register(
    public_key: PublicKeyArgument,
    superlink: SuperLinkArgument = None,
    name: Annotated[str, typer.Option("--name", help="How the node is shown, until its SuperNode says.")] = "",
    output: FormatOption = Format.DEFAULT,
) -> None:
    """Let the SuperNode with this key take part."""
    from umbel.cli.config import connect
    from umbel.wire.api import RegisterNode

    request = RegisterNode(public_key=read_public_key(public_key), name=name)
    node = connect(superlink).register_node(request)
    if output is Format.JSON:
        print_json({"success": True, "node-id": node.node_id})
    else:
        print(f"Node {node.node_id} is registered.")


def unregister(
    node_id: NodeArgument, superlink: SuperLinkArgument = None, output: FormatOption = Format.DEFAULT
) -> None:
    """Take a node out: its session ends at once, and its key is refused."""
    from umbel.cli.config import connect

    node = connect(superlink).unregister_node(node_id)
    if output is Format.JSON:
        print_json({"success": True, "node-id": node.node_id})
    else:
        print(f"Node {node.node_id} is unregistered.")


def rotate(
    node_id: NodeArgument,
    public_key: PublicKeyArgument,
    superlink: SuperLinkArgument = None,
    output: FormatOption = Format.DEFAULT,
) -> None:
    """Give a node another key; the old one is refused from then on."""
    from umbel.cli.config import connect
    from umbel.wire.api import ReplaceKey

    node = connect(superlink).replace_key(node_id, ReplaceKey(public_key=read_public_key(public_key)))
    if output is Format.JSON:
        print_json({"success": True, "node-id": node.node_id})
    else:
        print(f"Node {node.node_id} has its new key. Start its SuperNode with it.")


def list_nodes(
    superlink: SuperLinkArgument = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show those that were unregistered too.")] = False,
    output: FormatOption = Format.DEFAULT,
) -> None:
    """List the nodes of a SuperLink, oldest first."""
    from umbel.cli.config import connect
    from umbel.cli.tables import payload, print_nodes

    nodes = connect(superlink).list_nodes(everyone=verbose)
    if output is Format.JSON:
        print_json({"success": True, "nodes": [payload(node) for node in nodes]})
    else:
        print_nodes(nodes)


def keygen(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes; the public one: FILE.pub.")],
    comment: Annotated[str, typer.Option("--comment", help="What stands behind the public key.")] = "supernode",
    output: FormatOption = Format.DEFAULT,
) -> None:
    """Make the key of a SuperNode, at its site."""
    line = make_key(file, comment)
    if output is Format.JSON:
        print_json({"success": True, "private-key": str(file), "public-key": line})
        return
    print(f"The key is in {file}: umbel-supernode --auth-supernode-private-key {file}")
    print("Send the public key to the operator of the SuperLink (umbel supernode register):")
    print(line)
