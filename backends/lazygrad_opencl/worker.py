"""What runs in a compiler process for PoCL: jobs come in on the standard input, answers go out on the standard output.

PoCL compiles a program under one lock, and most of it only when a kernel is launched first. So a process of its own
builds a program and launches its kernels without buffers, on which they return at once (``source.py``); what PoCL has
written to the process's folder by then is the answer. This module imports nothing of lazygrad but a file beside it.
"""

from __future__ import annotations

import os
import pickle
import select
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

# PoCL reads it when it is loaded.
FOLDER_VARIABLE = "POCL_CACHE_DIR"
# A process that has had no job for so many seconds ends.
IDLE_SECONDS = 60.0


class Launch(NamedTuple):
    """How a function is launched: each argument's size in bytes, 0 for a buffer; the two sizes."""

    function: str
    arguments: tuple[int, ...]
    work_items: int
    work_group_size: int


class Job(NamedTuple):
    """One program to compile for the device of these names."""

    platform: str
    device: str
    source: str
    launches: tuple[Launch, ...]


class Compiled(NamedTuple):
    """The program's bitcode; each function's machine code, by its place in PoCL's folder."""

    binary: bytes
    machine: dict[str, dict[str, bytes]]


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

    def compile(self, job: Job, folder: Path) -> Compiled:
        """Compiles one program."""
        import pyopencl

        from lazygrad_opencl.compiler import compile_program, load_program

        built = compile_program(self.context, self.handle, job.source, quick=True)
        (path,) = folder.glob("*/*/program.bc")
        binary = path.read_bytes()
        # Machine code made of a source is not found by a program that was loaded as bitcode.
        program = load_program(self.context, self.handle, binary)
        if program is None:
            raise RuntimeError("PoCL refuses its own bitcode")
        for launch in job.launches:
            kernel: Any = pyopencl.Kernel(program, launch.function)
            for position, size in enumerate(launch.arguments):
                if size:
                    kernel._set_arg_buf_multi((position, bytes(size)))
                else:
                    kernel._set_arg_null(position)
            sizes = (launch.work_items,), (launch.work_group_size,)
            pyopencl.enqueue_nd_range_kernel(self.queue, kernel, *sizes)
        self.queue.finish()
        del built
        return Compiled(binary, {launch.function: _machine_code(folder, launch.function) for launch in job.launches})


def _machine_code(folder: Path, function: str) -> dict[str, bytes]:
    files = sorted((folder / function).rglob("*.so"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


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
    import pyopencl  # before the first job comes  # noqa: F401

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
