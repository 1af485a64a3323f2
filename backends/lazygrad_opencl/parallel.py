"""PoCL's compiler on all cores: groups of functions are compiled in worker processes (``worker.py``).

In: groups, as they become known, so that the first are compiled while code for the last is generated. Out: each with
what PoCL made of it, or with None: then this process compiles it. That is so where there is too little to do for a
second process to be worth its start, and where a worker fails, whatever the reason.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from lazygrad.runtime.processes import Program, Workers
from lazygrad_opencl import driver_cache
from lazygrad_opencl.entry import Function, can_enter, merge
from lazygrad_opencl.machine_code import Compiled, Job
from lazygrad_opencl.shared_functions import shared_texts
from lazygrad_opencl.worker import DEVICE_VARIABLE, FOLDER_VARIABLE, METHOD, METHOD_VARIABLE, Refused

# More processes than these use more memory (150 MB each) than a few more cores are worth.
MOST_WORKERS = 16
# A program costs 60 ms whatever is in it, a function on average 70 ms. With groups of at most so many functions, or so
# many characters of text, whichever comes first, the former hardly counts and no core waits long for the last group.
# Where there are more workers than these, groups are half as large, so that each worker has some.
GROUP_FUNCTIONS = 20
GROUP_CHARACTERS = 120_000
FEW_WORKERS = 4
# The first groups are smaller, so that every worker has one soon, and where there is little to do at all.
FIRST_CHARACTERS = 20_000
# A worker starts in about 0.7 s, in which a process compiles so many functions, or characters, by itself.
FEW_FUNCTIONS = 4
FEW_CHARACTERS = 20_000
# Nodes of a graph that has more kernels than these. Workers start while it is scheduled.
MANY_NODES = 200
# Seconds after which a worker is taken to hang. The slowest kernels take 2 s on a quiet machine.
PATIENCE = 300.0
logger = logging.getLogger("lazygrad")
_workers: Workers[Job, Compiled | Refused] = Workers(MOST_WORKERS)


class ParallelCompiler:
    """Groups of functions for one of PoCL's devices."""

    def __init__(self, handle: Any, prelude: str) -> None:
        self._platform = handle.platform.name
        self._device = handle.name
        self._prelude = prelude
        # What had to be compiled before there were workers.
        self._seen = 0
        self._characters = 0
        environment = {
            FOLDER_VARIABLE: str(driver_cache.folder() / driver_cache.WORKERS),
            METHOD_VARIABLE: METHOD,
            DEVICE_VARIABLE: json.dumps([self._platform, self._device]),
            "OPENBLAS_NUM_THREADS": "1",
        }
        self._program = Program("lazygrad_opencl", str(Path(__file__).parent), "worker", environment)

    def expect(self, nodes: int) -> None:
        """A graph of so many nodes will be scheduled now."""
        if nodes >= MANY_NODES:
            _workers.start(self._program, _workers.limit)

    def compile(self, functions: Iterable[Function]) -> Iterator[tuple[Sequence[Function], Compiled | None]]:
        """Groups of the functions, in any order, each with what it was compiled to."""
        remaining = iter(functions)
        first: list[Function] = []
        if not _workers.are_there:
            for function in remaining:
                first.append(function)
                self._seen += 1
                self._characters += len(function.text)
                if self._seen > FEW_FUNCTIONS or self._characters > FEW_CHARACTERS:
                    # In all, so that they may be there when the first large graph is scheduled.
                    _workers.start(self._program, _workers.limit)
                    break
            else:
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
        for group in _groups(functions, _workers.limit):
            groups.append(group)
            yield self.job(group)

    def job(self, group: Sequence[Function]) -> Job:
        """What is to be done for a program of these functions, each of which has a signature."""
        merged = merge(self._prelude, group)
        assert merged is not None
        return Job(self._platform, self._device, *merged)


class _Group:
    """Functions for one program, and how much there is to compile: what several of them call counts once."""

    def __init__(self) -> None:
        self.functions: list[Function] = []
        self.characters = 0
        self._shared: set[str] = set()

    def add(self, function: Function) -> None:
        self.functions.append(function)
        self.characters += self._more(function)
        self._shared.update(shared_texts(function.text))

    def has_room(self, function: Function, most_functions: int, most_characters: int) -> bool:
        """Whether the function is within the limits, and can be called by the group's entry."""
        if len(self.functions) == most_functions or self.characters + self._more(function) > most_characters:
            return False
        return can_enter([each.signature for each in (*self.functions, function) if each.signature])

    def _more(self, function: Function) -> int:
        known = sum(len(text) for text in shared_texts(function.text) if text in self._shared)
        return len(function.text) - known


def _groups(functions: Iterable[Function], workers: int) -> Iterator[Sequence[Function]]:
    """The functions in groups. Those that call shared functions, as contractions do, are with each other."""
    share = 1 if workers <= FEW_WORKERS else 2
    gathering = {True: _Group(), False: _Group()}
    number = 0
    for function in functions:
        calls_others = bool(shared_texts(function.text))
        most = FIRST_CHARACTERS if number < workers else GROUP_CHARACTERS // share
        group = gathering[calls_others]
        if group.functions and not group.has_room(function, GROUP_FUNCTIONS // share, most):
            yield group.functions
            number += 1
            group = gathering[calls_others] = _Group()
        group.add(function)
    for group in gathering.values():
        if group.functions:
            yield group.functions
