"""What a backend provides: devices that evaluate graphs (the reference) or compile kernels (all others)."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import RLock
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy

from lazygrad.ir.dtype import DTYPES, DType
from lazygrad.ir.layout import row_major
from lazygrad.ir.node import Node
from lazygrad.ir.shape import Shape
from lazygrad.kernel.kernel import Kernel
from lazygrad.kernel.machine import Machine
from lazygrad.runtime.batch import Batch
from lazygrad.runtime.buffer import Buffer
from lazygrad.runtime.pool import Pool

AnyDevice = TypeVar("AnyDevice", bound="Device")


@dataclass(frozen=True)
class DeviceInformation:
    """One line of ``python -m lazygrad info``."""

    name: str
    description: str
    driver: str


@dataclass(frozen=True)
class Capabilities:
    """What the device can do; the core decides by these and by nothing else.

    ``machine`` describes the processor for tilings and the cost model. ``dtypes`` are all that it can store; half-width
    floats are computed in float32 everywhere. ``argument_limit`` bounds the buffers of one kernel.
    """

    machine: Machine
    dtypes: frozenset[DType] = frozenset(DTYPES)
    argument_limit: int = 64


class Device(ABC):
    """An opened device. ``name`` is canonical: backend, colon, number. ``is_processor``: it is the host's own.

    ``lock``: held by the thread that schedules, compiles, submits work or copies to the device, so a backend's methods
    need none of their own; ``to_host`` and ``synchronize``, which wait, are called without it. It may be entered again,
    because the garbage collector may run a finalizer that computes something. No thread waits for a second device's
    while it holds one. ``survives_fork``: the device is nothing but the host's memory.
    """

    name: str
    is_processor: bool = False
    survives_fork: ClassVar[bool] = False
    information: DeviceInformation
    dtypes: frozenset[DType] = frozenset(DTYPES)
    lock: AbstractContextManager[bool]
    is_submitting: bool = False  # a graph: whoever gets the lock and finds it so has interrupted that

    def __new__(cls: type[AnyDevice], *_: Any, **__: Any) -> AnyDevice:
        """Backends need not call any constructor of this class."""
        made = super().__new__(cls)
        made.lock = RLock()
        return made

    @abstractmethod
    def from_host(self, array: numpy.ndarray[Any, Any], dtype: DType) -> Buffer:
        """The elements of a host array as a row-major buffer."""

    @abstractmethod
    def to_host(self, buffer: Buffer) -> numpy.ndarray[Any, Any]:
        """The elements as a new row-major host array; waits for everything that is pending."""

    @abstractmethod
    def synchronize(self) -> None:
        """Waits until all submitted work is done."""


class EvaluatingDevice(Device):
    """Evaluates nodes one by one: the reference."""

    @abstractmethod
    def evaluate(self, roots: Sequence[Node]) -> None:
        """Fills ``result`` of every root."""


# How a kernel is cut, where a backend can cut it in several ways: numbers for each of its bodies, none for a body that
# the backend's heuristic cuts. What they mean is the backend's affair.
Alternative: TypeAlias = tuple[tuple[int, ...], ...]
# Every body as the heuristic has it.
HEURISTIC: Alternative = ()


class Program(ABC):
    """A compiled kernel, ready to be launched. Running, it uses ``scratch_bytes`` of the device's scratch memory."""

    kernel: Kernel
    scratch_bytes: int = 0

    @property
    def identity(self) -> Hashable:
        """Equal for programs of one device that do the same."""
        return self

    @abstractmethod
    def launch(self, buffers: Sequence[Any], offsets: Sequence[int], scalars: Sequence[bool | int | float]) -> None:
        """Submits one run and returns: memories in the order of the kernel's buffers, element offsets, scalars."""


class CompilingDevice(Device):
    """Compiles kernels and launches them in order."""

    capabilities: Capabilities
    pool: Pool

    @property
    def is_recording(self) -> bool:
        """Whether launches do not run now, but later, and more than once."""
        return False

    def empty(self, shape: Shape, dtype: DType) -> Buffer:
        """An uninitialised row-major buffer."""
        layout = row_major(shape)
        return Buffer(self.pool.take(layout.size * dtype.itemsize), shape, dtype, self.name, layout)

    @abstractmethod
    def allocate(self, size: int) -> Any:
        """Device memory of ``size`` bytes; MemoryError when there is none."""

    @abstractmethod
    def free(self, memory: Any) -> None:
        """Gives memory back to the system."""

    # Where in memory a region may begin, in bytes.
    region_alignment: int = 256

    @abstractmethod
    def region(self, memory: Any, start: int, size: int) -> Any:
        """A part of memory, as memory: ``size`` bytes from ``start`` on, valid until the whole is freed."""

    def reserve_scratch(self, size: int) -> None:
        """Takes what programs that use ``size`` bytes of scratch memory need; OutOfMemoryError if there is none."""

    def scratch_growth(self, size: int) -> int:
        """The bytes by which :meth:`reserve_scratch` would take more than is taken now."""
        return 0

    @abstractmethod
    def compile(self, kernels: Sequence[Kernel]) -> Sequence[Program]:
        """One program for each kernel; builds what is not in the cache."""

    def batch(self, programs: Sequence[Program], waits: Callable[[], Sequence[int]]) -> Batch:
        """The launches of a schedule; arguments as of ``Batch``."""
        return Batch(programs, waits)

    def source(self, kernel: Kernel) -> str:
        """The generated source, for debugging."""
        raise NotImplementedError

    # ---- remembering on disk

    def code_identity(self) -> str | None:
        """What its programs depend on besides kernels, capabilities and sources: the versions of driver and compiler.

        None: they are not remembered.
        """
        return None

    def remember(self, program: Program) -> Any:
        """What ``recall`` makes the program from, of numbers, strings and lists; what is large is on disk already."""
        raise NotImplementedError

    def recall(self, kernels: Sequence[Kernel], remembered: Sequence[Any]) -> Sequence[Program] | None:
        """One program for each kernel from what ``remember`` gave; None when anything has gone from the disk."""
        return None

    # ---- tuning

    is_tunable: ClassVar[bool] = False  # whether there are alternatives

    def alternatives(self, kernel: Kernel) -> Sequence[Alternative]:
        """The ways to cut the kernel that are worth a trial, the heuristic's first."""
        return (HEURISTIC,)

    def expect(self, nodes: int) -> None:
        """A graph of so many nodes will be scheduled now, and what comes of it compiled."""

    def compile_alternatives(self, kernels: Sequence[Kernel], chosen: Sequence[Alternative]) -> Sequence[Program]:
        """One program for each kernel, cut as chosen for it."""
        return self.compile(kernels)

    def seconds(self, run: Callable[[], None], before: Callable[[], None] | None = None) -> float:
        """How long the work takes that ``run`` submits; what ``before`` submits runs first and does not count."""
        if before is not None:
            before()
        self.synchronize()
        start = time.perf_counter()
        run()
        self.synchronize()
        return time.perf_counter() - start
