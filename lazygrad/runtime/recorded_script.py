"""Runs a script and writes down, when it has ended, which entries of the cache it has used and on which devices.

In: arguments: the file to write, the script, and the script's own arguments. Out: that file, in JSON, for
``python -m lazygrad pack``, which starts this in a process of its own.
"""

from __future__ import annotations

import json
import runpy
import sys
from functools import partial
from pathlib import Path

from lazygrad.runtime import forking


def main() -> None:
    """Runs the script as ``python script.py`` would."""
    report, script, *arguments = sys.argv[1:]
    # Handlers run in reverse: those of devices, which keep what they have compiled, come before this one.
    forking.at_exit(partial(_write, Path(report)))
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).resolve().parent)
    runpy.run_path(script, run_name="__main__")


def _write(report: Path) -> None:
    from lazygrad.runtime import eviction, schedule_store
    from lazygrad.runtime.pack import describe

    devices = [describe(device) for device in schedule_store.used_devices()]
    report.write_text(json.dumps({"paths": sorted(eviction.kept()), "devices": devices}))


if __name__ == "__main__":
    main()
