"""A program with one entry, compiled to machine code now: PoCL does so only when a kernel is launched first.

In: the text of a program and of its stub, which has the same entry and computes nothing (``entry.py``). Out: the stub's
bitcode, and the files that PoCL has made of the program. PoCL looks for machine code by a kernel's name, so a process
that loads the stub and finds those files in PoCL's folder runs the program without reading its bitcode, which would be
most of a warm start.

Worker processes use this file without lazygrad, so it imports nothing of it but a file beside it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pyopencl

from lazygrad_opencl.compiler import compile_program


class Job(NamedTuple):
    """One program to compile for the device of these names."""

    platform: str
    device: str
    text: str
    stub: str
    kernel: str
    pointers: int
    words: int


class Compiled(NamedTuple):
    """The stub's bitcode, and the program's machine code by its place in PoCL's folder."""

    stub: bytes
    machine: dict[str, bytes]


def compile_job(context: Any, handle: Any, queue: Any, folder: Path, job: Job) -> Compiled:
    """Compiles one program; what PoCL has written to ``folder`` for it is removed.

    Raises:
        RefusedError: the compiler says that there is an error in the text.
        RuntimeError: PoCL does not keep what it makes where it did when this was written.
    """
    compile_program(context, handle, job.stub, quick=True)
    stub = _bitcode(folder, job.kernel)
    program = compile_program(context, handle, job.text, quick=True)
    kernel = entry(program, job.kernel, job.pointers, job.words)
    pyopencl.enqueue_nd_range_kernel(queue, kernel, (1,), (1,))
    queue.finish()
    files = sorted(folder.glob(f"*/*/{job.kernel}/*/{job.kernel}.so"))
    if not files:
        raise RuntimeError("PoCL keeps machine code elsewhere")
    machine = {path.relative_to(path.parents[2]).as_posix(): path.read_bytes() for path in files}
    for path in files:
        shutil.rmtree(path.parents[2], ignore_errors=True)
    return Compiled(stub, machine)


def entry(program: Any, name: str, pointers: int, words: int, number: int = 0) -> Any:
    """A new PyOpenCL kernel of an entry for a function, whose arguments are all null and 0."""
    kernel: Any = pyopencl.Kernel(program, name)
    kernel._set_arg_buf_multi((0, number.to_bytes(8, sys.byteorder)))
    for position in range(1, 1 + pointers):
        kernel._set_arg_null(position)
    for position in range(1 + pointers, 1 + pointers + words):
        kernel._set_arg_buf_multi((position, bytes(8)))
    return kernel


def _bitcode(folder: Path, kernel: str) -> bytes:
    """The bitcode of the program, just built from its text, that has the kernel; its folder is removed."""
    for path in folder.glob("*/*/program.bc"):
        data = path.read_bytes()
        if kernel.encode() in data:
            shutil.rmtree(path.parent, ignore_errors=True)
            return data
    raise RuntimeError("PoCL keeps bitcode elsewhere")
