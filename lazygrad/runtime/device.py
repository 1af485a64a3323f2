"""What a backend provides: devices that evaluate graphs (the reference) or compile kernels (all others)."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy

from lazygrad.ir.dtype import DTYPES, DType
from lazygrad.ir.layout import row_major
from lazygrad.ir.node import Node
from lazygrad.ir.shape import Shape
from lazygrad.kernel.kernel import Kernel
from lazygrad.kernel.machine import Machine
from lazygrad.runtime.buffer import Buffer
from lazygrad.runtime.pool import Pool


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
    """An opened device. ``name`` is canonical: backend, colon, number. ``is_processor``: it is the host's own."""

    name: str
    is_processor: bool = False
    information: DeviceInformation
    dtypes: frozenset[DType] = frozenset(DTYPES)

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
    """A compiled kernel, ready to be launched."""

    kernel: Kernel

    @abstractmethod
    def launch(self, buffers: Sequence[Any], offsets: Sequence[int], scalars: Sequence[bool | int | float]) -> None:
        """Submits one run and returns: memories in the order of the kernel's buffers, element offsets, scalars."""


class CompilingDevice(Device):
    """Compiles kernels and launches them in order."""

    capabilities: Capabilities
    pool: Pool

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

    @abstractmethod
    def compile(self, kernels: Sequence[Kernel]) -> Sequence[Program]:
        """One program for each kernel; builds what is not in the cache."""

    def source(self, kernel: Kernel) -> str:
        """The generated source, for debugging."""
        raise NotImplementedError

    # ---- tuning

    is_tunable: ClassVar[bool] = False  # whether there are alternatives

    def alternatives(self, kernel: Kernel) -> Sequence[Alternative]:
        """The ways to cut the kernel that are worth a trial, the heuristic's first."""
        return (HEURISTIC,)

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
