"""A team: threads of this process, one for each core, that run lists of tasks. It stands in for the driver's queue.

PoCL puts threads to sleep between two launches. Waking them takes 50 to 100 us, more on virtual machines, and waking
the one that waits as long again: as much as a small product takes, and a tenth of a perceptron's step. Here the threads
stay awake for a while, and who waits for a result helps to compute it instead of sleeping, so that small work needs
nobody else. What the threads do is compiled like kernels (``team_text.py``): they run no Python, nor hold its locks.

In: lists in memory (``task_list.py``). Out: their effects, one list after the other in the order in which they were
posted. The device sees to it that the driver's queue is empty while the team works, and the other way round.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from time import monotonic_ns
from typing import Any, NamedTuple

import numpy

from lazygrad.runtime import forking
from lazygrad_opencl.memory import host_memory
from lazygrad_opencl.team_text import (
    CONTROL_WORDS,
    COPY,
    CORES,
    CYCLES,
    HEAD,
    HELP,
    HELPERS,
    JOIN,
    LINE,
    NUMBER,
    POST,
    POSTED,
    RECORD,
    SEATS,
    SHARES,
    STOP,
    SYSTEM_CORES,
    TURN,
)

WORD = 8
# Seconds that the end of a process waits for the end of a thread.
PATIENCE = 1.0
# How a runner is called (``entry.py``): a function's number, the address of its arguments, a work-group.
_RUNNER = (None, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_int)
logger = logging.getLogger("lazygrad")


class Runner(NamedTuple):
    """A function that can be called: the address of what calls it, and its number there."""

    address: int
    number: int


class TaskMemory:
    """A list in memory: ``words`` are its records and arguments, ``state`` tells when each launch ran.

    ``post`` is the number of lists that will have ended when this one has: 0 if it was never posted.
    """

    def __init__(self, words: int, launches: int, cores: int) -> None:
        self.words = zeros(words)
        self.state = zeros(HEAD + LINE * launches + cores * LINE * -(-launches // LINE))
        self.launches = launches
        self._post = _word(self.state, NUMBER)

    @property
    def post(self) -> int:
        """See above."""
        return self._post.value

    @property
    def cycles(self) -> numpy.ndarray[Any, Any]:
        """``[launch, 2]``: when its first task began and its last ended, by the processor's cycles."""
        return self.state[HEAD : HEAD + LINE * self.launches].reshape(-1, LINE)[:, 1:3]

    @property
    def addresses(self) -> tuple[int, int]:
        """Of words and state."""
        return self.words.ctypes.data, self.state.ctypes.data


class Poster(NamedTuple):
    """A list with what the command that posts it is told."""

    memory: TaskMemory
    arguments: Any


class Team:
    """``cores`` threads, of which one may be anybody who waits."""

    def __init__(self, runner: Runner, cores: int) -> None:
        self._runner = runner
        self._control = zeros(CONTROL_WORDS)
        self.cores = cores
        self._control[CORES] = cores
        self._shares = shares_of_cores(cores)
        self._control[SHARES] = self._shares.ctypes.data
        self._address = self._control.ctypes.data
        self._posted, self._turn = _word(self._control, POSTED), _word(self._control, TURN)
        # Posting is done in a microsecond, and one at a time: the interpreter's lock is kept.
        self._call_at_once = ctypes.PYFUNCTYPE(*_RUNNER)(runner.address)
        self._call = ctypes.CFUNCTYPE(*_RUNNER)(runner.address)
        # Lists may not go before they have ended.
        self._held: dict[int, TaskMemory] = {}  # by the number of their post
        self._helpers = self._start(cores)
        self._start_cycles, self._start_time = self._now()
        forking.never_destroy((self._control, self._shares, self._call))  # threads may outlive the interpreter
        forking.at_exit(self.stop)

    def _start(self, cores: int) -> list[threading.Thread]:
        """As many threads as there may be: without any, those who wait do everything."""
        helpers: list[threading.Thread] = []
        for number in range(cores):
            arguments = (self._runner.number, self._arguments(HELP), 0)
            helper = threading.Thread(target=self._call, args=arguments, name=f"lazygrad-{number}", daemon=True)
            self._control[HELPERS] = number + 1
            try:
                helper.start()
            except RuntimeError as error:
                self._control[HELPERS] = number
                logger.debug("a team of %d threads instead of %d: %s", number, cores, error)
                break
            helpers.append(helper)
        return helpers

    def _arguments(self, command: int, *numbers: int) -> Any:
        return (ctypes.c_uint64 * 6)(self._address, command, *numbers)

    @property
    def ended(self) -> int:
        """How many lists have ended."""
        return self._turn.value // SEATS

    @property
    def is_idle(self) -> bool:
        """Whether all lists have ended."""
        return self._turn.value // SEATS == self._posted.value

    def poster(self, memory: TaskMemory, tasks: int) -> Poster:
        """A list of so many tasks, ready to be posted any number of times."""
        return Poster(memory, self._arguments(POST, *memory.addresses, memory.launches, tasks))

    def post(self, poster: Poster) -> None:
        """Has a list run when those have ended that were posted before. It must have ended since its last post."""
        memory, arguments = poster
        self._call_at_once(self._runner.number, arguments, 0)
        while not memory.post:  # too many have not ended
            self.join(self.ended + 1)
            self._call_at_once(self._runner.number, arguments, 0)
        self._held[memory.post] = memory
        self._forget()

    def _forget(self) -> None:
        """Lets go of lists that have ended; another thread, or a finalizer, may be doing so too."""
        ended = self.ended
        for number in list(self._held):  # in the order of posts
            if number > ended:
                break
            self._held.pop(number, None)

    def join(self, number: int | None = None) -> None:
        """Returns when so many lists have ended, or all; the caller takes part."""
        if number is None:
            number = self._posted.value
        if self.ended < number:
            self._call(self._runner.number, self._arguments(JOIN, number), 0)
            self._forget()

    def copy(self, to: int, array: numpy.ndarray[Any, Any]) -> None:
        """Has the bytes of an array, which nobody changes, copied to an address in the order of lists."""
        memory = CopyMemory(self._runner, self.cores, self._address, to, array)
        self.post(self.poster(memory, 1))

    def nanoseconds(self, cycles: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
        """What the system's monotonic clock showed at these cycles, which go evenly."""
        now, time = self._now()
        length = (time - self._start_time) / (now - self._start_cycles)
        since = (cycles - numpy.uint64(self._start_cycles)).astype(numpy.float64)
        return self._start_time + (since * length).round().astype(numpy.int64)

    def _now(self) -> tuple[int, int]:
        """The processor's count of cycles, and nanoseconds of the system's monotonic clock."""
        cycles = ctypes.c_uint64()
        self._call_at_once(self._runner.number, self._arguments(CYCLES, ctypes.addressof(cycles)), 0)
        return cycles.value, monotonic_ns()

    def stop(self) -> None:
        """Waits for all lists, and ends the threads."""
        self.join()
        self._call(self._runner.number, self._arguments(STOP), 0)
        for helper in self._helpers:
            helper.join(PATIENCE)
        self._helpers.clear()


class CopyMemory(TaskMemory):
    """A list of one task, which copies; holds what is copied."""

    def __init__(self, runner: Runner, cores: int, control: int, to: int, array: numpy.ndarray[Any, Any]) -> None:
        super().__init__(RECORD + 6, launches=1, cores=cores)
        self._array = array
        self.words[:RECORD] = [*runner, 1, 0, RECORD, 0, 0, 0]
        self.words[RECORD:] = [control, COPY, to, array.ctypes.data, array.nbytes, 0]


def shares_of_cores(cores: int) -> numpy.ndarray[Any, Any]:
    """For each core of the system the share of a launch that is its own, the same for all lists.

    So a core finds in its caches what it wrote. Neighbours in the system's numbers, which often share a cache, have
    neighbouring shares.
    """
    shares = zeros(SYSTEM_CORES)
    shares[:] = numpy.arange(SYSTEM_CORES) % cores
    mine = sorted(os.sched_getaffinity(0))
    for position, core in enumerate(mine):
        shares[core % SYSTEM_CORES] = position * cores // max(cores, len(mine))
    return shares


def zeros(words: int) -> numpy.ndarray[Any, Any]:
    """So many words that are 0, aligned to cache lines.

    Raises:
        MemoryError: there is no memory for them.
    """
    pages = host_memory(words * WORD)
    if pages is None:
        raise MemoryError(f"no memory for a list of {words} words")
    memory = pages.view(numpy.uint64)
    memory[:] = 0
    return memory


def _word(memory: numpy.ndarray[Any, Any], position: int) -> ctypes.c_uint64:
    """A word of memory that others write, to be read without an array's overhead; it holds the memory."""
    return ctypes.c_uint64.from_buffer(memory.data, position * WORD)
