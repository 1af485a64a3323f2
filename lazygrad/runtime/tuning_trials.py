"""Trials of a kernel's alternatives on a device: whether each computes what the heuristic's does, and how fast.

In: a device, a kernel and its alternatives, the heuristic's first. Out: for each how many seconds a run takes, or why
it is out. Inputs are random. All this runs in a process of its own (see ``tuning_worker``), which an alternative may
ruin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy

from lazygrad.ir.dtype import DType, bool_, float32
from lazygrad.ir.index import Index, Variable
from lazygrad.ir.value import LOAD, constant
from lazygrad.kernel.kernel import Access, Body, BufferDeclaration, Kernel, Stage, Store
from lazygrad.runtime.buffer import Buffer
from lazygrad.runtime.device import Alternative, CompilingDevice, Program
from lazygrad.runtime.watching import difference

# An alternative is timed for so many seconds, in so many runs at least and at most.
SECONDS_OF_RUNS = 0.05
FEWEST_RUNS = 3
MOST_RUNS = 50
# Compilers work on several cores. What they made is tried before they go on, lest a deadline finds nothing tried.
COMPILED_TOGETHER = 8
# As many random elements are made, and repeated in larger buffers. A prime, so that no two tiles hold the same.
RANDOM_ELEMENTS = 1_000_003
# Results are compared in parts of so many elements: a comparison takes eight times the memory.
COMPARED_ELEMENTS = 1 << 22
# Integers that index nothing lie below this: not so large that products overflow, and no zeros to divide by.
LARGEST_INTEGER = 100
# What written buffers hold before a run: numbers that a kernel hardly computes, so that what is not stored is seen.
UNWRITTEN_FLOAT, UNWRITTEN_INTEGER = 0.171875, 77
# So many times the second-level cache is written between runs, to have inputs come from memory as in a long program.
FLUSHED_CACHES = 2


class Compiling(NamedTuple):
    """Nothing is tried for a while: alternatives are compiled."""


class Started(NamedTuple):
    """The next thing that happens is the trial of the alternative of this number."""

    number: int


class Timed(NamedTuple):
    """The alternative computes the right thing in so many seconds."""

    number: int
    seconds: float


class Refused(NamedTuple):
    """The alternative is out. ``ruined``: it failed while it ran, after which nothing on the device is reliable."""

    number: int
    reason: str
    ruined: bool = False


Answer = Compiling | Started | Timed | Refused


def trials(
    device: CompilingDevice, kernel: Kernel, alternatives: Sequence[Alternative], numbers: Sequence[int]
) -> Iterator[Answer]:
    """Tries the heuristic's alternative and those of the numbers, which is said in the order in which it happens.

    Ends after an answer that is ``ruined``, and where the heuristic's own alternative cannot serve as the reference.
    """
    numbers = [0, *(number for number in numbers if number)]
    trial: _Trial | None = None
    for place, number in enumerate(numbers):
        if place % COMPILED_TOGETHER == 0:
            yield Compiling()
            together = numbers[place : place + COMPILED_TOGETHER]
            _compile_together(device, kernel, [alternatives[each] for each in together])
        yield Started(number)
        try:
            (program,) = device.compile_alternatives([kernel], [alternatives[number]])
        except Exception as error:
            yield Refused(number, _words(error))
            if number == 0:
                return
            continue
        try:
            if trial is None:
                trial = _Trial(device, kernel, program)
            wrong = trial.wrong(program)
            answer: Answer = Timed(number, trial.seconds(program)) if wrong is None else Refused(number, wrong)
        except Exception as error:
            answer = Refused(number, _words(error), ruined=True)
        yield answer
        if isinstance(answer, Refused) and (answer.ruined or number == 0):
            return


def _compile_together(device: CompilingDevice, kernel: Kernel, alternatives: Sequence[Alternative]) -> None:
    """What fails is compiled again by itself, to know what it was."""
    try:
        device.compile_alternatives([kernel] * len(alternatives), alternatives)
    except Exception:
        return


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


class _Trial:
    """Buffers of the kernel with random inputs, and what the reference makes of them."""

    def __init__(self, device: CompilingDevice, kernel: Kernel, reference: Program) -> None:
        self._device = device
        self._kernel = kernel
        self._flush = _flush(device)
        self._scalars = _scalars(kernel)
        self._written = [number for number, declared in enumerate(kernel.buffers) if declared.written]
        self._fill(positive=False)
        self._expected = self._results(reference)
        if any(array.dtype.kind not in "biu" and numpy.isnan(array).any() for array in self._expected):
            # Roots and logarithms: what is not a number is equal to everything that is none.
            self._fill(positive=True)
            self._expected = self._results(reference)

    def wrong(self, program: Program) -> str | None:
        """How the results differ from the reference's; None if they do not."""
        for number, want, got in zip(self._written, self._expected, self._results(program), strict=True):
            for start in range(0, want.size, COMPARED_ELEMENTS):
                part = slice(start, start + COMPARED_ELEMENTS)
                if numpy.array_equal(want[part].view(numpy.uint8), got[part].view(numpy.uint8)):
                    continue
                different = difference(want[part], got[part])
                if different is not None:
                    return f"wrong results in buffer {number} from element {start} on: {different}"
        return None

    def seconds(self, program: Program) -> float:
        """The median of several runs, each with inputs that come from memory."""

        def run() -> None:
            self._launch(program)

        first = self._device.seconds(run, self._flush)
        count = min(MOST_RUNS, max(FEWEST_RUNS, round(SECONDS_OF_RUNS / max(first, 1e-9))))
        return median(self._device.seconds(run, self._flush) for _ in range(count))

    def _launch(self, program: Program) -> None:
        memories = [buffer.allocation.memory for buffer in self._buffers]
        program.launch(memories, [0 for declared in self._kernel.buffers if declared.movable], self._scalars)

    def _results(self, program: Program) -> list[numpy.ndarray[Any, Any]]:
        for number in self._written:
            declared = self._kernel.buffers[number]
            self._buffers[number] = self._device.from_host(_unwritten(declared), declared.dtype)
        self._launch(program)
        return [self._device.to_host(self._buffers[number]) for number in self._written]

    def _fill(self, positive: bool) -> None:
        random = numpy.random.default_rng(0)
        limit = _smallest_extent(self._kernel)
        self._buffers: list[Buffer] = []
        for declared in self._kernel.buffers:
            block = _random(random, declared.dtype, min(declared.size, RANDOM_ELEMENTS), limit, positive)
            self._buffers.append(self._device.from_host(numpy.resize(block, declared.size), declared.dtype))


def _random(
    random: numpy.random.Generator, dtype: DType, count: int, limit: int | None, positive: bool
) -> numpy.ndarray[Any, Any]:
    """Elements of a buffer that is read; integers may index what has ``limit`` elements."""
    if dtype.is_float:
        floats = random.standard_normal(count)
        return (numpy.abs(floats) if positive else floats).astype(dtype.numpy)
    if dtype is bool_:
        return random.integers(0, 2, count).astype(bool)
    low, high = (1, LARGEST_INTEGER) if limit is None else (0, min(limit, int(dtype.maximum) + 1))
    return random.integers(low, high, count).astype(dtype.numpy)


def _unwritten(declared: BufferDeclaration) -> numpy.ndarray[Any, Any]:
    dtype = declared.dtype
    number = UNWRITTEN_FLOAT if dtype.is_float else False if dtype is bool_ else UNWRITTEN_INTEGER
    return numpy.full(declared.size, number, dtype.numpy)


def _scalars(kernel: Kernel) -> list[bool | int | float]:
    """Numbers that every scalar may be: an index, a rate, a counter."""
    index = min(1, (_smallest_extent(kernel) or 2) - 1)
    return [0.5 if dtype.is_float else True if dtype is bool_ else index for dtype in kernel.scalars]


def _smallest_extent(kernel: Kernel) -> int | None:
    """How many elements the smallest thing has that integers of the kernel's buffers index; None if none do."""
    found: list[int] = []
    for body in kernel.bodies:
        for stage in body.stages:
            accesses = [value.payload for value in stage.values if value.op == LOAD]
            accesses += [store.access for store in stage.stores]
            found += [variable.extent for access in accesses for variable in access.dynamic]
    return min(found, default=None)


def _flush(device: CompilingDevice) -> Callable[[], None] | None:
    """Writes so much that nothing useful is left in the device's caches. None where the host's own cores compute.

    That it takes a while helps too: launches that follow are submitted before the device gets to them.
    """
    if device.is_processor:
        return None
    size = FLUSHED_CACHES * device.capabilities.machine.level2_cache // float32.itemsize
    axis = Variable("i0", size)
    store = Store(Access(0, Index(0, ((axis, 1),))), constant(0.0, float32))
    kernel = Kernel("flush", (Body((axis,), (Stage((), (), (store,)),)),), (BufferDeclaration(float32, size, True),))
    (program,) = device.compile([kernel])
    memory = device.empty((size,), float32)
    return lambda: program.launch([memory.allocation.memory], [], [])
