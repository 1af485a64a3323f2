"""``python -m lazygrad cache``: what is remembered on disk, whether it is sound; adding packs to it; removing it."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lazygrad.runtime import eviction
from lazygrad.runtime.cache import cache_folder, is_entry, unsealed
from lazygrad.runtime.pool import readable_size

WHAT = {
    "opencl": "OpenCL programs and machine code",
    "triton": "Triton's machine code",
    "schedules": "schedules of graphs",
    "tuning": "block sizes that tuning found",
    "sources": "digests of lazygrad's own files",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's actions and their arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (_, description) in ACTIONS.items():
        action = actions.add_parser(name, help=description, description=description)
        if name == "clear":
            action.add_argument("--yes", action="store_true", help="do not ask")
        if name == "add":
            action.add_argument("pack", type=Path, help="a file that `python -m lazygrad pack` has written")


def cache(options: argparse.Namespace, console: Console) -> int:
    """Runs the action; returns the exit status."""
    run, _ = ACTIONS[options.action]
    return run(options, console)


def show(options: argparse.Namespace, console: Console) -> int:
    """A table of what there is."""
    groups: dict[str, list[eviction.Kept]] = {}
    for each in eviction.files():
        groups.setdefault(each.group, []).append(each)
    table = Table(box=None, pad_edge=False)
    for column in ("what", "entries", "size", "oldest use", "newest use"):
        table.add_column(column, justify="right" if column in ("entries", "size") else "left")
    for group, found in sorted(groups.items()):
        used = sorted(each.used for each in found)
        size = readable_size(sum(each.size for each in found))
        table.add_row(escape(WHAT.get(group, group)), str(len(found)), size, _time(used[0]), _time(used[-1]))
    total = sum(each.size for found in groups.values() for each in found)
    console.print(
        f"{cache_folder()}: {readable_size(total)} of at most {readable_size(eviction.limit())}", markup=False
    )
    if groups:
        console.print(table)
    return 0


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def verify(options: argparse.Namespace, console: Console) -> int:
    """Checks the hash of every entry; the status is 1 when one is damaged."""
    checked = 0
    damaged: list[str] = []
    for each in sorted(eviction.files()):
        if each.is_unfinished or not is_entry(each.path):
            continue
        try:
            data = Path(each.path).read_bytes()
        except FileNotFoundError:  # another process has removed it
            continue
        except OSError as error:
            damaged.append(f"{each.path} cannot be read: {error.strerror}")
            continue
        checked += 1
        if unsealed(data) is None:
            damaged.append(f"{each.path} is damaged")
    for line in damaged:
        console.print(line, markup=False, soft_wrap=True)
    if damaged:
        console.print(
            f"{len(damaged)} of {checked} entries are damaged. They are never used, and built again when needed."
        )
        return 1
    console.print(f"{checked} entries, all sound.")
    return 0


def clear(options: argparse.Namespace, console: Console) -> int:
    """Removes everything that can be made again. Downloaded checkpoints stay."""
    groups = eviction.groups()
    if not groups:
        console.print(f"{cache_folder()} is empty.", markup=False)
        return 0
    size = readable_size(sum(each.size for each in eviction.files()))
    question = (
        f"Remove {size} of compiled kernels and schedules from {cache_folder()}? They are made again when needed."
    )
    if not options.yes:
        if not sys.stdin.isatty():
            console.print(f"{question} Nobody can answer here: say --yes.", markup=False)
            return 2
        console.print(f"{question} [y/N] ", markup=False, end="")
        if input().strip().lower() not in ("y", "yes"):
            console.print("Nothing is removed.")
            return 1
    for group in groups:
        shutil.rmtree(group, ignore_errors=True)
    left = sum(each.size for each in eviction.files())
    if left:
        console.print(f"{readable_size(left)} could not be removed from {cache_folder()}.", markup=False)
        return 1
    console.print(f"Removed {size}.")
    return 0


def add(options: argparse.Namespace, console: Console) -> int:
    """Adds a pack."""
    from lazygrad.runtime import pack

    try:
        added = pack.add(options.pack)
    except pack.PackError as error:
        console.print(str(error), markup=False, soft_wrap=True)
        return 1
    console.print(f"{added.entries} entries for {added.device} are in {cache_folder()}.", markup=False)
    if not added.same_sources:
        console.print(
            "The pack was made by other versions of lazygrad, Python or NumPy than those here: graphs are scheduled "
            "again, and kernels that come out differently are compiled."
        )
    return 0


Action = Callable[[argparse.Namespace, Console], int]
ACTIONS: dict[str, tuple[Action, str]] = {
    "show": (show, "show what there is: how much of what, and when it was last used"),
    "verify": (verify, "check the hash of every entry; the exit status is 1 when one is damaged"),
    "clear": (clear, "remove everything that can be made again (not downloaded checkpoints)"),
    "add": (add, "add a pack that was made on an equal machine, so that nothing it has is compiled here"),
}
