"""``python -m lazygrad COMMAND``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lazygrad.commands.info import info

COMMANDS = {"info": (info, "show backends, devices, versions, the cache and all environment variables")}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m lazygrad", description="lazygrad's command line")
    choices = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, description) in COMMANDS.items():
        choices.add_parser(name, help=description, description=description)
    command, _ = COMMANDS[parser.parse_args(arguments).command]
    command()


if __name__ == "__main__":
    main()
