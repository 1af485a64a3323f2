"""All launches of a step as one list in memory, of which a team of threads takes tasks.

A driver charges for each launch: the host submits it, one thread finishes the kernel before and wakes the others, and
until they run their cores stand idle. That is a tenth of a millisecond of a core for each of the 200 launches of a
ResNet's step. Here the cores stay awake from the first task to the last, and who has no task left of one kernel goes on
with the next, if that one touches nothing that is still being computed.

In: the launches of a batch, whose programs have runners (``entry.py``). Out: a list, posted to the team (``team.py``):

    for each launch a record of RECORD words: the runner's address, the function's number, its work-groups, which are
    its tasks, how many of the launches before must have ended, and where its arguments begin
    the arguments: addresses and numbers, as the runner reads them

Each core has a *share* of every launch, the tasks of one stretch of it, always the same: rows that it wrote in one
kernel it reads in the next, and the weights that it updated it updates again. Where cores do not share a cache (a
processor's core complexes, or sockets) what the other wrote comes five times as slowly. Who has done all of its share
takes from the end of others', the nearest first.

A thread takes tasks of a launch when all of those before have been taken, by threads that run. So who has to wait for
launches to end never waits for what never comes, however few threads there are.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy

from lazygrad.ir.value import Number
from lazygrad.runtime.batch import Batch
from lazygrad.runtime.statistics import total
from lazygrad_opencl.build import unique_function
from lazygrad_opencl.entry import Function, Signature
from lazygrad_opencl.team import TaskMemory, Team
from lazygrad_opencl.team_text import FUNCTION, MOST_TASKS, RECORD, SOURCE

if TYPE_CHECKING:
    from lazygrad_opencl.device import OpenCLDevice
    from lazygrad_opencl.programs import OpenCLProgram

# With fewer launches in its first step, a loop does without what runs lists until its second.
FEW_LAUNCHES = 2
# A list may change while the team still works at its last run: so many times.
COPIES = 2


def team_function(prelude: str) -> Function:
    """What the threads of a team run, for programs with this prelude."""
    return unique_function(FUNCTION, SOURCE, prelude, Signature(1, ("ulong",) * 5, has_scratch=False))


def is_possible() -> bool:
    """Whether this machine runs ``SOURCE``."""
    return platform.machine() == "x86_64" and sys.platform == "linux"


class TaskList(Batch):
    """Launches that are submitted as one from the second time on: what runs once is not worth a list."""

    def __init__(
        self, device: OpenCLDevice, programs: Sequence[OpenCLProgram], waits: Callable[[], Sequence[int]]
    ) -> None:
        super().__init__(programs, waits)
        self._device = device
        self._programs = programs
        self._submissions = 0
        self._list: _List | None = None

    def put(self, launch: int, position: int, memory: Any) -> None:
        super().put(launch, position, memory)
        if self._list is not None:
            self._list.put(launch, position, memory)

    def set(self, launch: int, position: int, number: Number) -> None:
        super().set(launch, position, number)
        if self._list is not None:
            self._list.set(launch, position, number)

    def submit(self) -> None:
        self._submissions += 1
        if self._submissions == 2:
            self._list = self._written()
        if self._list is None or self._device.is_launching:
            super().submit()
            if self._submissions == 1 and len(self.launches) >= FEW_LAUNCHES:
                self._device.prepare_team()  # so that nothing is compiled when a loop comes to its second step
            return
        self.submitted = 0
        self._list.submit()
        self.submitted = len(self.launches)
        total.kernels_launched += self.submitted

    def _written(self) -> _List | None:
        team = self._device.team()
        runners = [self._device.runner(program.home) for program in self._programs]
        if team is None or not runners or not all(runners):
            return None
        if any(program.launch_sizes[0] > MOST_TASKS for program in self._programs):
            return None
        written = _List(self._device, team, self._programs, runners, self.waits())
        for number, launch in enumerate(self.launches):
            for position, memory in enumerate(launch.memories):
                written.put(number, position, memory)
            for position, value in enumerate(launch.numbers):
                written.set(number, position, value)
        return written


class _List:
    """A list in memory, as often as ``COPIES``, which take turns."""

    def __init__(
        self,
        device: OpenCLDevice,
        team: Team,
        programs: Sequence[OpenCLProgram],
        runners: Sequence[int],
        waits: Sequence[int],
    ) -> None:
        self._device = device
        self._team = team
        self._names = [program.name for program in programs]
        self._first_words: list[int] = []
        self._packs = [program.packs for program in programs]
        self._buffers = [len(program.kernel.buffers) for program in programs]
        self._scratch_words: list[int] = []
        self._scratch_bytes = max(program.scratch_bytes for program in programs)
        self._scratch_serial = 0
        self._packed_number: Number | None = None
        self._pack: Any = None
        self._packed = 0
        records: list[int] = []
        tasks, scratch_user = 0, 0
        word = RECORD * len(programs)
        for number, (program, runner, wait) in enumerate(zip(programs, runners, waits, strict=True)):
            if program.scratch_bytes:  # which all share
                wait, scratch_user = max(wait, scratch_user), number + 1
            groups = program.launch_sizes[0]
            records += [runner, program.home.number or 0, groups, wait, word, 0, 0, 0]
            tasks += groups
            self._first_words.append(word)
            word += len(program.kernel.buffers) + len(program.packs)
            if program.scratch_bytes:
                self._scratch_words.append(word)
                word += 1
        self._words = numpy.zeros(word, numpy.uint64)
        self._words[: len(records)] = records
        self._view = self._words.data  # whose single words are found faster
        self._posters = [team.poster(TaskMemory(word, len(programs), team.cores), tasks) for _ in range(COPIES)]
        self._is_changed = [True] * COPIES
        self._submissions = 0

    def put(self, launch: int, position: int, memory: Any) -> None:
        assert memory.address, "memory of a processor has an address"
        self._write(self._first_words[launch] + position, memory.address)

    def set(self, launch: int, position: int, number: Number) -> None:
        pack = self._packs[launch][position]
        if number is not self._packed_number or pack is not self._pack:  # many launches have the same
            self._packed_number, self._pack = number, pack
            self._packed = int.from_bytes(pack(number), sys.byteorder)
        self._write(self._first_words[launch] + self._buffers[launch] + position, self._packed)

    def _write(self, word: int, value: int) -> None:
        if self._view[word] != value:
            self._view[word] = value
            self._is_changed = [True] * COPIES

    def submit(self) -> None:
        """Posts the list as it is now."""
        device, team = self._device, self._team
        # Held until it is submitted: the garbage collector may run something that wants more, and a larger piece.
        scratch = device.scratch_allocation(self._scratch_bytes) if self._scratch_words else None
        if scratch is not None:
            memory = scratch.memory
            if memory.serial != self._scratch_serial:
                self._scratch_serial = memory.serial
                for word in self._scratch_words:
                    self._write(word, memory.address)
        copy = self._submissions % COPIES
        self._submissions += 1
        poster = self._posters[copy]
        if team.ended < poster.memory.post:
            team.join(poster.memory.post)
        if self._is_changed[copy]:
            poster.memory.words[:] = self._words
            self._is_changed[copy] = False
        device.post(poster, self._names)
