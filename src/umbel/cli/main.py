"""The program `umbel`."""

from __future__ import annotations

import sys

from umbel import __version__


def main() -> None:
    """Run the command line and exit with its code."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        print(f"umbel {__version__}")
        return
    from umbel.cli import follow

    follow.raise_on_signals()
    try:
        from umbel.cli.boundary import run_command

        code = run_command(arguments)
    except follow.Interrupted as interrupted:
        code = interrupted.exit_code
    follow.restore()
    sys.exit(code)


if __name__ == "__main__":
    main()
