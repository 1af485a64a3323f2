"""PoCL's compiler on all cores: groups of functions are compiled in worker processes (``worker.py``).

In: groups, as they become known, so that the first are compiled while code for the last is generated. Out: each with
what PoCL made of it, or with None: then this process compiles it. That is so where there is too little to do for a
second process to be worth its start, and where a worker fails, whatever the reason.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from lazygrad.runtime.processes import Program, Workers
from lazygrad_opencl import driver_cache
from lazygrad_opencl.worker import FOLDER_VARIABLE, Compiled, Job, Launch, Refused

# More processes than these use more memory (150 MB each) than a few more cores are worth.
MOST_WORKERS = 16
# A program costs 50 ms whatever is in it, a kernel on average 100 ms. With groups of at most so many functions, or so
# many characters of text, whichever comes first, the former hardly counts and no core waits long for the last group.
GROUP_FUNCTIONS = 10
GROUP_CHARACTERS = 60_000
# A worker starts in about 0.7 s, in which a process compiles so many functions by itself.
FEW_FUNCTIONS = 4
# Seconds after which a worker is taken to hang. The slowest kernels take 2 s on a quiet machine.
PATIENCE = 300.0
logger = logging.getLogger("lazygrad")
_workers: Workers[Job, Compiled | Refused] = Workers(MOST_WORKERS)


class Function(NamedTuple):
    """One kernel function with a name that no other source has. Same text, same name, in every process.

    ``launch`` is None where a launch without buffers is not harmless.
    """

    name: str
    text: str
    launch: Launch | None = None


class ParallelCompiler:
    """Groups of functions for one of PoCL's devices."""

    def __init__(self, handle: Any, prelude: str) -> None:
        self._platform = handle.platform.name
        self._device = handle.name
        self._prelude = prelude
        self._seen = 0  # functions that had to be compiled so far
        environment = {FOLDER_VARIABLE: str(driver_cache.folder() / driver_cache.WORKERS), "OPENBLAS_NUM_THREADS": "1"}
        self._program = Program("lazygrad_opencl", str(Path(__file__).parent), "worker", environment)

    def compile(self, functions: Iterable[Function]) -> Iterator[tuple[Sequence[Function], Compiled | None]]:
        """Groups of the functions, in any order, each with what it was compiled to."""
        remaining = iter(functions)
        first = list(islice(remaining, FEW_FUNCTIONS + 1))
        self._seen += len(first)
        if self._seen > FEW_FUNCTIONS:  # in all, so that they may be there when the first large graph is scheduled
            _workers.start(self._program, _workers.limit)
        if len(first) <= FEW_FUNCTIONS:
            if first:
                yield first, None
            return
        groups: list[Sequence[Function]] = []
        jobs = self._jobs(chain(first, remaining), groups)
        for number, answer, said in _workers.run(self._program, jobs, "lazygrad compiles kernels", PATIENCE):
            if not isinstance(answer, Compiled):
                message = answer.message if isinstance(answer, Refused) else str(answer)
                logger.debug("compiling in a worker process failed: %s\n%s", message, said)
            yield groups[number], answer if isinstance(answer, Compiled) else None

    def _jobs(self, functions: Iterable[Function], groups: list[Sequence[Function]]) -> Iterator[Job]:
        """A job for each group; the groups are appended to the list."""
        for group in _groups(functions):
            groups.append(group)
            launches = tuple(function.launch for function in group if function.launch is not None)
            yield Job(self._platform, self._device, program_source(self._prelude, group), launches)


def program_source(prelude: str, group: Sequence[Function]) -> str:
    """The text of a program of these functions."""
    return "\n".join([prelude, *(function.text for function in group)])


def _groups(functions: Iterable[Function]) -> Iterator[Sequence[Function]]:
    group: list[Function] = []
    size = 0
    for function in functions:
        if group and (len(group) == GROUP_FUNCTIONS or size + len(function.text) > GROUP_CHARACTERS):
            yield group
            group, size = [], 0
        group.append(function)
        size += len(function.text)
    if group:
        yield group
