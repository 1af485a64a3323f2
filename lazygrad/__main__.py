"""``python -m lazygrad COMMAND``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.console import Console

from lazygrad.commands import cache, info, pack


class Command(NamedTuple):
    """A command: adds its arguments to a parser; runs and returns the exit status; what it does, in a line."""

    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Console], int]
    description: str


COMMANDS = {
    "info": Command(
        lambda parser: None,
        info.run,
        "show backends, devices, versions, the cache and all environment variables",
    ),
    "cache": Command(cache.configure, cache.cache, "show, verify, clear or add to what is remembered on disk"),
    "pack": Command(
        pack.configure, pack.pack, "run a script and write what was compiled for it to a file for equal machines"
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command that the arguments name; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lazygrad", description="lazygrad's command line")
    choices = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.configure(choices.add_parser(name, help=command.description, description=command.description))
    options = parser.parse_args(arguments)
    return COMMANDS[options.command].run(options, Console())


if __name__ == "__main__":
    sys.exit(main())
