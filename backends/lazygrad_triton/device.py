"""An opened CUDA device: a context with one stream, a pool of memory, compiled programs.

Work is submitted and not waited for; only ``to_host`` and ``synchronize`` wait. In-order execution is what makes it
safe to hand memory out again while submitted work still uses it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, Protocol

import numpy

from lazygrad.ir.dtype import DType
from lazygrad.ir.layout import row_major
from lazygrad.ir.node import user_place
from lazygrad.kernel.kernel import Kernel
from lazygrad.runtime import (
    HEURISTIC,
    Alternative,
    Buffer,
    Capabilities,
    CompilingDevice,
    Pool,
    Program,
    forking,
    profile,
)
from lazygrad.runtime.arrange import row_major_array
from lazygrad.runtime.statistics import total
from lazygrad_triton.binaries import Binary, Target
from lazygrad_triton.capabilities import compute_capability, cuda_capabilities
from lazygrad_triton.compiling import Compiler, Request
from lazygrad_triton.context import Context, Function, Memory
from lazygrad_triton.devices import FoundDevice
from lazygrad_triton.driver import DriverError
from lazygrad_triton.generated import GeneratedSource
from lazygrad_triton.graphs import Graph
from lazygrad_triton.profile import Profile
from lazygrad_triton.programs import TritonProgram
from lazygrad_triton.remembered import Remembered
from lazygrad_triton.signature import signature
from lazygrad_triton.staging import Staging

logger = logging.getLogger("lazygrad")

MILLISECONDS = 1000  # in a second: the driver's unit of time
# From a kernel and what the device can do to a file of Triton functions.
Generator = Callable[[Kernel, Capabilities], GeneratedSource]


class Builder(Protocol):
    """What makes binaries of generated files."""

    def build(self, requests: Sequence[Request]) -> Sequence[tuple[Binary, ...]]:
        """The binaries of each request, one for each launch."""


class TritonDevice(CompilingDevice):
    """One CUDA device. ``profile`` is None when nobody asked for times.

    ``generator`` makes the source of a kernel and ``builder`` its machine code; tests give their own.
    """

    is_tunable = True

    def __init__(self, found: FoundDevice, generator: Generator | None = None, builder: Builder | None = None) -> None:
        self.information = found.information
        self.name = found.information.name
        self.capabilities = cuda_capabilities(found.attributes)
        self.dtypes = self.capabilities.dtypes
        self.context = Context(found.driver, found.handle)
        self.launch_kernel = found.driver.bindings.cuLaunchKernel
        self.pool = Pool(self, self.name, found.memory)
        self.profile = Profile(self.context) if profile.is_wanted() else None
        if self.profile is not None:
            profile.at_exit(self.name, self._runs)
        self._generator = generator
        # Only what the real generator and the real compiler make is remembered.
        self._keeping: Compiler | None = None
        if builder is None:
            builder = compiler = Compiler(Target("cuda", compute_capability(found.attributes)))
            self._keeping = compiler if generator is None else None
        self._builder = builder
        self._staging = Staging(self.context)
        self._programs: dict[tuple[Kernel, Alternative], TritonProgram] = {}
        self._latest: dict[Kernel, Alternative] = {}
        self._clock: tuple[Any, Any] | None = None
        self._lock = Lock()
        self._scratch: Any = None
        self._recording: Graph | None = None
        # A script may end while kernels still run; their memory must not go first.
        forking.at_exit(self._finish)

    # ---- memory

    def allocate(self, size: int) -> Memory:
        return self.context.allocate(size)

    def free(self, memory: Memory) -> None:
        self.context.free(memory)

    def region(self, memory: Memory, start: int, size: int) -> Memory:
        return Memory(memory.address + start, size)

    def scratch(self, size: int) -> Memory:
        """Memory that one kernel uses while it runs; all share it, because they run one after the other."""
        if self._scratch is None or self._scratch.memory.size < size:
            self._scratch = self.pool.take(size)
        memory: Memory = self._scratch.memory
        return memory

    # ---- programs

    def compile(self, kernels: Sequence[Kernel]) -> Sequence[TritonProgram]:
        return self.compile_alternatives(kernels, [HEURISTIC] * len(kernels))

    def compile_alternatives(self, kernels: Sequence[Kernel], chosen: Sequence[Alternative]) -> Sequence[TritonProgram]:
        with self._lock:
            wanted = list(zip(kernels, chosen, strict=True))
            missing = [each for each in dict.fromkeys(wanted) if each not in self._programs]
            sources = [self._generate(kernel, alternative) for kernel, alternative in missing]
            requests = [
                Request(kernel.name, source, signature(kernel))
                for (kernel, _), source in zip(missing, sources, strict=True)
            ]
            built = self._builder.build(requests) if requests else ()
            for each, source, binaries in zip(missing, sources, built, strict=True):
                self._programs[each] = self._program(*each, source, binaries)
            self._latest.update(wanted)
            return [self._programs[each] for each in wanted]

    def alternatives(self, kernel: Kernel) -> Sequence[Alternative]:
        from lazygrad_triton.source import alternatives

        return alternatives(kernel, self.capabilities)

    def seconds(self, run: Callable[[], None], before: Callable[[], None] | None = None) -> float:
        context = self.context
        context.activate()
        if self._clock is None:
            self._clock = context.event(timed=True), context.event(timed=True)
        start, end = self._clock
        if before is not None:
            before()
        context.record(start)
        run()
        context.record(end)
        context.wait(end)
        return float(context.driver.cuEventElapsedTime(start, end)) / MILLISECONDS

    def _program(
        self, kernel: Kernel, alternative: Alternative, source: GeneratedSource, aligned_binaries: Sequence[Binary]
    ) -> TritonProgram:
        def load(aligned: bool) -> Sequence[Function]:
            binaries = aligned_binaries
            if not aligned:
                (binaries,) = self._builder.build([Request(kernel.name, source, signature(kernel), aligned=False)])
            return [self.context.load(binary) for binary in binaries]

        program = TritonProgram(self, kernel, source.launches, load)
        if self._keeping is not None:
            program.remembered = self._keeping.remembered(kernel, alternative, source)
        return program

    # ---- remembering on disk

    def code_identity(self) -> str | None:
        return None if self._keeping is None else self._keeping.identity

    def remember(self, program: Program) -> Any:
        assert isinstance(program, TritonProgram)
        assert program.remembered is not None
        return program.remembered.to_list()

    def recall(self, kernels: Sequence[Kernel], remembered: Sequence[Any]) -> Sequence[TritonProgram] | None:
        if self._keeping is None:
            return None
        wanted = [Remembered.from_list(each) for each in remembered]
        found = self._keeping.load([each.aligned for each in wanted])
        if found is None:
            return None
        return [self._recalled(*each) for each in zip(kernels, wanted, found, strict=True)]

    def _recalled(self, kernel: Kernel, wanted: Remembered, aligned_binaries: Sequence[Binary]) -> TritonProgram:
        def load(aligned: bool) -> Sequence[Function]:
            binaries: Sequence[Binary] = aligned_binaries
            if not aligned:
                known = self._keeping.load([wanted.unaligned]) if self._keeping is not None else None
                if known is not None:
                    (binaries,) = known
                else:  # no process has needed them yet
                    source = self._generate(kernel, wanted.alternative)
                    (binaries,) = self._builder.build([Request(kernel.name, source, signature(kernel), aligned=False)])
            return [self.context.load(binary) for binary in binaries]

        program = TritonProgram(self, kernel, wanted.launches, load)
        program.remembered = wanted
        return program

    def source(self, kernel: Kernel) -> str:
        return self._generate(kernel, self._latest.get(kernel, HEURISTIC)).text

    def _generate(self, kernel: Kernel, alternative: Alternative) -> GeneratedSource:
        if self._generator is not None:
            return self._generator(kernel, self.capabilities)
        from lazygrad_triton.source import generate

        return generate(kernel, self.capabilities, alternative)

    def begin_timing(self) -> Any:
        """Called by programs before a launch. None where no times are taken."""
        return None if self.profile is None or self._recording is not None else self.profile.begin()

    def end_timing(self, kernel: str, start: Any) -> None:
        """Called by programs after it."""
        if self.profile is not None:
            self.profile.end(kernel, start)

    def synchronize(self) -> None:
        with self.lock:
            self._refuse_while_recording("wait for the device")
            self.context.synchronize()
            if self.profile is not None:
                self.profile.collect()

    def _runs(self) -> Sequence[profile.Run]:
        self.synchronize()
        return self.profile.runs if self.profile is not None else ()

    def _finish(self) -> None:
        try:
            self.context.synchronize()
        except DriverError as error:
            logger.error("%s: %s", self.name, error)

    # ---- recording

    @contextmanager
    def capture(self) -> Iterator[Graph]:
        """Records the launches inside the block into a graph, which can be replayed after it.

        What belongs to the graph and what the caller must keep is said in ``lazygrad_triton.graphs``. Nothing can be
        copied or waited for inside the block; RuntimeError says so.
        """
        with self.lock:  # what other threads submitted would be recorded as well
            self._refuse_while_recording("record")
            pool = self.pool
            graph = Graph(self.context, Pool(self, self.name, pool.limit))
            graph.begin()
            succeeded = False
            try:
                self._recording, self.pool = graph, graph.pool
                yield graph
                succeeded = True
            finally:
                self._recording, self.pool = None, pool
                graph.end(succeeded, self._scratch)

    @property
    def is_recording(self) -> bool:
        return self._recording is not None

    def _refuse_while_recording(self, what: str) -> None:
        if self.is_recording:
            raise RuntimeError(f"{self.name} cannot {what} while it records launches")

    # ---- transfers

    def from_host(self, array: numpy.ndarray[Any, Any], dtype: DType) -> Buffer:
        self._refuse_while_recording("copy from the host")
        flat = numpy.ascontiguousarray(array, dtype.numpy).reshape(-1).view(numpy.uint8)
        allocation = self.pool.take(flat.nbytes, user_place())
        if flat.nbytes:
            self.context.activate()
            self._staging.upload(allocation.memory.address, flat)
            total.host_to_device_transfers += 1
            total.host_to_device_bytes += flat.nbytes
        return Buffer(allocation, array.shape, dtype, self.name, row_major(array.shape))

    def to_host(self, buffer: Buffer) -> numpy.ndarray[Any, Any]:
        flat = numpy.empty(buffer.layout.size, buffer.dtype.numpy)
        with self.lock:  # a copy between the launches of a recording would end it
            self._refuse_while_recording("copy to the host")
            if flat.nbytes:
                self.context.activate()
                start = buffer.allocation.memory.address + buffer.offset * flat.itemsize
                self._staging.download(flat.view(numpy.uint8), start)
        if flat.nbytes:
            total.device_to_host_transfers += 1
            total.device_to_host_bytes += flat.nbytes
        return row_major_array(flat, buffer.layout)
