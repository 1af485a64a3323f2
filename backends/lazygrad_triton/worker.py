"""What runs in a compiler process: jobs come in on the standard input, answers go out on the standard output.

Triton runs in processes of its own because its compiler ends the process it runs in when it meets what it did not
expect, writes its diagnostics past Python to the standard error, holds Python's lock for half of its time in some
versions, and keeps a cache of its own. This module imports nothing of lazygrad but two files beside it.
"""

from __future__ import annotations

import os
import pickle
import select
import sys
import tempfile
from typing import Any, NamedTuple

# A process that has had no job for so many seconds ends.
IDLE_SECONDS = 60.0


class Job(NamedTuple):
    """One function to compile. ``architecture`` is a number (90) for CUDA and a name (gfx942) for HIP."""

    text: str
    path: str
    function: str
    types: dict[str, str]
    divisible: tuple[int, ...]
    backend: str
    architecture: int | str
    warp_size: int
    options: dict[str, Any]


class Compiled(NamedTuple):
    """What came out: the machine code, its text, and numbers about its launch."""

    binary: bytes
    assembly: str
    metadata: dict[str, Any]


class Refused(NamedTuple):
    """What Triton said."""

    message: str


def compile_job(job: Job) -> Compiled:
    """Compiles one function."""
    import triton
    from triton.backends.compiler import GPUTarget

    from lazygrad_triton import loading, versions

    versions.skip_hash_of_compiler()
    function = loading.compiler_functions(job.text, job.path)[job.function]
    source = versions.ast_source(function, job.types, job.divisible)
    target = GPUTarget(job.backend, job.architecture, job.warp_size)
    compiled = triton.compile(source, target=target, options=job.options)
    metadata = compiled.metadata._asdict()
    binary, assembly = ("hsaco", "amdgcn") if job.backend == "hip" else ("cubin", "ptx")
    return Compiled(
        bytes(compiled.asm[binary]),
        str(compiled.asm[assembly]),
        {
            "name": metadata["name"],
            "warps": metadata["num_warps"],
            "shared": metadata["shared"],
            "scratch": versions.scratch_areas(metadata),
        },
    )


def main() -> None:
    """Answers jobs until there are no more."""
    jobs = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what Triton prints is no answer
    os.environ.pop("TRITON_INTERPRET", None)
    with tempfile.TemporaryDirectory(prefix="lazygrad-triton-") as folder:
        os.environ["TRITON_CACHE_DIR"] = folder
        while select.select([jobs], [], [], IDLE_SECONDS)[0]:
            try:
                job = pickle.load(jobs)
            except EOFError:
                return
            answer: Compiled | Refused
            try:
                answer = compile_job(job)
            except Exception as error:
                answer = Refused(f"{type(error).__name__}: {error}")
            sys.stdout.flush()
            sys.stderr.flush()
            pickle.dump(answer, answers)
            answers.flush()
