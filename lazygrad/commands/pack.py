"""``python -m lazygrad pack``: runs a script and packs what was compiled for it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from lazygrad.runtime import pack as packs
from lazygrad.runtime.pool import readable_size

SUFFIX = ".lazygrad-pack"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "-o", "--output", type=Path, required=True,
        help=f"the pack to write; in a folder that exists it is named after the script, with {SUFFIX}",
    )  # fmt: skip
    parser.add_argument("script", type=Path, help="the script to run; it should do everything once")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the script's own arguments")


def pack(options: argparse.Namespace, console: Console) -> int:
    """Runs the command; returns the exit status."""
    script: Path = options.script
    if not script.is_file():
        console.print(f"There is no script {script}.", markup=False)
        return 2
    target: Path = options.output
    if target.is_dir():
        target = target / f"{script.stem}{SUFFIX}"
    with tempfile.TemporaryDirectory(prefix="lazygrad-pack-") as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "lazygrad.runtime.recorded_script", str(report), str(script)]
        status = subprocess.run([*command, *options.arguments], check=False).returncode
        if status or not report.is_file():
            console.print(f"{script} ended with status {status}; no pack is written.", markup=False)
            return status or 1
        found = json.loads(report.read_text())
    try:
        count = packs.write(target, found["paths"], found["devices"])
    except packs.PackError as error:
        console.print(str(error), markup=False)
        return 1
    names = ", ".join(f"{each['description']} ({each['driver']})" for each in found["devices"])
    console.print(
        f"{target}: {count} entries, {readable_size(target.stat().st_size)}, for {names}. "
        f"On an equal machine: python -m lazygrad cache add {target.name}",
        markup=False,
    )
    return 0
