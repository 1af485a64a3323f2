"""What runs in a compiler process for PoCL: jobs come in on the standard input, answers go out on the standard output.

PoCL compiles a program under one lock, so a process of its own does it. This module imports nothing of lazygrad but
files beside it.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from lazygrad_opencl.machine_code import Compiled, Job

# PoCL reads it when it is loaded.
FOLDER_VARIABLE = "POCL_CACHE_DIR"
# The device that the first job will be for, as JSON: its platform's name and its own.
DEVICE_VARIABLE = "_LAZYGRAD_COMPILES_FOR"
# How PoCL makes loops of work-items, of which there is one: "loops" is its usual way without LLVM's vectorisers, which
# find nothing to do in code that is written in vectors, and take a fifth of the time to see it.
METHOD_VARIABLE, METHOD = "POCL_WORK_GROUP_METHOD", "loops"
# A process that has had no job for so many seconds ends.
IDLE_SECONDS = 60.0


class Refused(NamedTuple):
    """Why nothing came of it."""

    message: str


class Compiler:
    """The process's context on one device."""

    def __init__(self, platform: str, device: str) -> None:
        import pyopencl

        self.handle = next(
            handle
            for found in pyopencl.get_platforms()
            if found.name == platform
            for handle in found.get_devices()
            if handle.name == device
        )
        self.context = pyopencl.Context([self.handle])
        self.queue = pyopencl.CommandQueue(self.context, self.handle)

    def prepare(self) -> None:
        """Lets PoCL read its library of functions, which takes half a second before the first program."""
        from lazygrad_opencl.compiler import compile_program

        compile_program(self.context, self.handle, "__kernel void nothing(void) {}", quick=True)

    def compile(self, job: Job, folder: Path) -> Compiled:
        """Compiles one program."""
        from lazygrad_opencl.machine_code import compile_job

        return compile_job(self.context, self.handle, self.queue, folder, job)


def _prepare(compilers: dict[tuple[str, str], Any]) -> None:
    """Does before the first job comes what can be done without it."""
    from lazygrad_opencl import machine_code  # noqa: F401

    platform, device = json.loads(os.environ[DEVICE_VARIABLE])
    try:
        compilers[platform, device] = Compiler(platform, device)
        compilers[platform, device].prepare()
    except Exception as error:  # the job will say it
        print(f"{type(error).__name__}: {error}", file=sys.stderr)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def main() -> None:
    """Answers jobs until there are no more."""
    jobs = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the driver prints is no answer
    # A folder for each process, which the one that started it removes with the one that it is in.
    folder = Path(os.environ[FOLDER_VARIABLE]) / str(os.getpid())
    folder.mkdir(parents=True)
    os.environ[FOLDER_VARIABLE] = str(folder)
    compilers: dict[tuple[str, str], Any] = {}
    _prepare(compilers)
    while True:
        try:
            if not select.select([jobs], [], [], IDLE_SECONDS)[0]:
                break
            job: Job = pickle.load(jobs)
        except (EOFError, OSError):
            break
        answer: Compiled | Refused
        try:
            key = (job.platform, job.device)
            if key not in compilers:
                compilers[key] = Compiler(*key)
            answer = compilers[key].compile(job, folder)
        except Exception as error:
            answer = Refused(f"{type(error).__name__}: {error}")
        pickle.dump(answer, answers)
        answers.flush()
        _empty(folder)
    shutil.rmtree(folder, ignore_errors=True)
