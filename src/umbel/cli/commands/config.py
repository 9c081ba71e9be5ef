"""`umbel config list`."""

from __future__ import annotations

from umbel.cli.output import Format, print_json, styled
from umbel.cli.parameters import FormatOption


def config_list(output: FormatOption = Format.DEFAULT) -> None:
    """List the SuperLink connections of config.toml."""
    from umbel.cli.config import read_connections

    connections = read_connections()
    if output is Format.JSON:
        print_json(
            {
                "success": True,
                "path": str(connections.path),
                "superlink": list(connections.by_name),
                "default": connections.default,
            }
        )
        return
    print(f"SuperLink connections in {connections.path}")
    for name, connection in connections.by_name.items():
        mark = styled("  (default)", "dim") if name == connections.default else ""
        print(f"  {styled(name, 'bold')}  {connection.address}{mark}")
