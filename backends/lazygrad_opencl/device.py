"""An opened OpenCL device: one context, one in-order queue, one pool of memory, its programs.

Work is submitted and not waited for; only ``to_host`` and ``synchronize`` wait. In-order execution is what makes
it safe to hand memory out again while submitted work still uses it.

On PoCL, work that comes again is run by a team of threads beside the queue (``team.py``). Either begins only when
the other has nothing left: ``queue`` waits for the team, ``post`` for the queue.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from ctypes import memmove
from dataclasses import replace
from threading import RLock
from typing import Any, cast

import numpy
import pyopencl

from lazygrad.ir.dtype import DType
from lazygrad.ir.layout import row_major
from lazygrad.ir.node import user_place
from lazygrad.kernel.kernel import Kernel
from lazygrad.runtime import Buffer, Capabilities, CompileError, CompilingDevice, Pool, Program, forking, profile
from lazygrad.runtime.arrange import row_major_array
from lazygrad.runtime.batch import Batch
from lazygrad.runtime.buffer import Allocation
from lazygrad.runtime.pool import size_class
from lazygrad.runtime.statistics import total
from lazygrad_opencl import driver_cache, task_list
from lazygrad_opencl.build import Built, ProgramBuilder, unique_function
from lazygrad_opencl.capabilities import read_capabilities
from lazygrad_opencl.devices import FoundDevice
from lazygrad_opencl.entry import MOST_ITEMS, Function, Home, can_enter
from lazygrad_opencl.generated import GeneratedSource
from lazygrad_opencl.loaded_code import LoadedCode
from lazygrad_opencl.memory import Memory
from lazygrad_opencl.prelude import prelude
from lazygrad_opencl.profile import Profile
from lazygrad_opencl.programs import OpenCLProgram, SharedFunction, signature
from lazygrad_opencl.task_list import TaskList
from lazygrad_opencl.team import Poster, Runner, Team

# Some drivers hold work back until they are told to start, so they are told after so many launches.
LAUNCHES_BETWEEN_FLUSHES = 32
logger = logging.getLogger("lazygrad")


# From a kernel and what the device can do to OpenCL C.
Generator = Callable[[Kernel, Capabilities], GeneratedSource]


class OpenCLDevice(CompilingDevice):
    """One OpenCL device. ``queue`` is PyOpenCL's; ``profile`` is None when nobody asked for times.

    ``generator`` makes the source of a kernel; tests give their own.
    """

    def __init__(self, found: FoundDevice, generator: Generator | None = None) -> None:
        self.information = found.information
        self.name = found.information.name
        self.is_processor = bool(found.handle.type & pyopencl.device_type.CPU)
        self.capabilities = read_capabilities(found.handle)
        self.dtypes = self.capabilities.dtypes
        self.region_alignment = max(OpenCLDevice.region_alignment, found.handle.mem_base_addr_align // 8)
        self.pool = Pool(self, self.name, found.handle.global_mem_size)
        self.profile = Profile() if profile.is_wanted() else None
        self._generator = generator
        self._context = pyopencl.Context([found.handle])
        self._queue = pyopencl.CommandQueue(self._context, found.handle)
        if self.profile is not None:
            timed = pyopencl.command_queue_properties.PROFILING_ENABLE
            self._queue = pyopencl.CommandQueue(self._context, found.handle, timed)
            profile.at_exit(self.name, self._runs)
        # Only code of our own, for processors, is known to bear a launch without buffers.
        self._is_own_code = generator is None and self.capabilities.machine.flavour == "cpu"
        self._builder = ProgramBuilder(self._context, found.handle, prelude(self.capabilities), self._is_own_code)
        is_pocl = found.handle.platform.name == driver_cache.PLATFORM_NAME
        self.loaded_code = LoadedCode(driver_cache.folder()) if is_pocl else None
        # PoCL's processors have no memory but the host's.
        self._shares_memory = is_pocl and self.capabilities.machine.flavour == "cpu"
        # A script may end while kernels still run; neither their memory nor their programs may go first.
        forking.at_exit(self._queue.finish)
        self._may_have_team = is_pocl and self._is_own_code and task_list.is_possible()
        self._team: Team | None = None
        self._team_function: str | None = None  # "" where the driver refuses it
        self.is_launching = False  # something through the queue, at this moment
        self._runners: dict[str, int] = {}  # by kernel; 0 where there is none that can be called
        self._programs: dict[Kernel, OpenCLProgram] = {}
        self._functions: dict[str, SharedFunction] = {}  # by names that are unique to their texts
        self._lock = RLock()
        self._last_event: Any = None
        self._unflushed = 0
        self._uploads: deque[tuple[Any, Any]] = deque()  # event, and the host memory it reads
        self._scratch: Any = None

    @property
    def queue(self) -> Any:
        """PyOpenCL's queue, when all that the team was given has ended."""
        if self._team is not None:
            self._team.join()
        return self._queue

    @property
    def _is_idle(self) -> bool:
        """Whether all that was submitted has ended."""
        is_queue_idle = self._last_event is None or _has_ended(self._last_event)
        return is_queue_idle and (self._team is None or self._team.is_idle)

    # ---- memory

    def allocate(self, size: int) -> Memory:
        return Memory(self._context, size, on_host=self.capabilities.machine.flavour == "cpu")

    def free(self, memory: Memory) -> None:
        if memory.mapped:
            self.queue.finish()
        memory.release()

    def region(self, memory: Memory, start: int, size: int) -> Memory:
        return memory.region(start, size)

    def reserve_scratch(self, size: int) -> None:
        if self.scratch_growth(size):
            self._scratch = None  # its memory may serve the larger piece
            self._scratch = self.pool.take(size)

    def scratch_growth(self, size: int) -> int:
        reserved = 0 if self._scratch is None else self._scratch.memory.size
        return size_class(size) - reserved if size > reserved else 0

    def scratch_allocation(self, size: int) -> Allocation:
        """Memory that one kernel uses while it runs; all share it, because they run one after the other."""
        self.reserve_scratch(size)
        allocation: Allocation = self._scratch
        return allocation

    def scratch(self, size: int) -> Memory:
        """The same, for a launch that follows at once."""
        memory: Memory = self.scratch_allocation(size).memory
        return memory

    # ---- programs

    def expect(self, nodes: int) -> None:
        self._builder.expect(nodes)

    def compile(self, kernels: Sequence[Kernel]) -> Sequence[OpenCLProgram]:
        missing = [kernel for kernel in dict.fromkeys(kernels) if kernel not in self._programs]
        if missing:
            common = prelude(self.capabilities)
            sources: list[GeneratedSource] = []
            has_team = self._may_have_team and len(missing) >= task_list.FEW_LAUNCHES
            beside = [task_list.team_function(common)] if has_team else []
            built = self._builder.build(self._functions_of(missing, common, sources), beside)
            for kernel, source in zip(missing, sources, strict=True):
                self._programs[kernel] = self._program(kernel, built[source.function], source)
        return [self._programs[kernel] for kernel in kernels]

    def _functions_of(
        self, kernels: Sequence[Kernel], common: str, sources: list[GeneratedSource]
    ) -> Iterator[Function]:
        """Each kernel's function, generated when it is asked for. What is left of its source is put into the list."""
        for kernel in kernels:
            source = self._generate(kernel, self.capabilities)
            called = signature(kernel, source)
            has_entry = self._is_own_code and source.work_groups <= MOST_ITEMS and can_enter([called])
            function = unique_function(source.function, source.text, common, called if has_entry else None)
            sources.append(replace(source, text="", function=function.name))
            yield function

    def code_identity(self) -> str | None:
        return self._builder.identity if self._generator is None and self._builder.is_kept else None

    def remember(self, program: Program) -> Any:
        assert isinstance(program, OpenCLProgram)
        return [program.name, self._builder.home(program.name), *program.launch_sizes]

    def recall(self, kernels: Sequence[Kernel], remembered: Sequence[Any]) -> Sequence[OpenCLProgram] | None:
        built = self._builder.load({name: Home(*home) for name, home, *_ in remembered})
        if built is None:
            return None
        return [
            self._program(kernel, built[name], GeneratedSource("", name, *sizes))
            for kernel, (name, _, *sizes) in zip(kernels, remembered, strict=True)
        ]

    def source(self, kernel: Kernel) -> str:
        return self._generate(kernel, self.capabilities).text

    def _generate(self, kernel: Kernel, capabilities: Capabilities) -> GeneratedSource:
        if self._generator is not None:
            return self._generator(kernel, capabilities)
        from lazygrad_opencl.source import generate  # which a process does without that finds its programs on disk

        return generate(kernel, capabilities)

    def _program(self, kernel: Kernel, built: Built, source: GeneratedSource) -> OpenCLProgram:
        """``source.function`` is the name that is unique to the text."""
        shared = self._functions.setdefault(source.function, SharedFunction(built))
        return OpenCLProgram(self, kernel, shared, source.function, source)

    # ---- launches

    def batch(self, programs: Sequence[Program], waits: Callable[[], Sequence[int]]) -> Batch:
        if self._may_have_team:
            return TaskList(self, cast("Sequence[OpenCLProgram]", programs), waits)
        return super().batch(programs, waits)

    def runner(self, home: Home) -> int:
        """The address of what runs a work-group of a function from a list of tasks; 0 where there is none."""
        found = self._runners.get(home.kernel)
        if found is None:
            found = self._builder.runner(home)
            # PoCL unloads machine code that was not launched for long.
            if found and (self.loaded_code is None or not self.loaded_code.keep(home.kernel)):
                found = 0
            self._runners[home.kernel] = found
        return found

    def prepare_team(self) -> None:
        """Builds what a team runs, unless that was done: in a loop's first step, as all else is built then."""
        if self._team_function is None:
            function = task_list.team_function(prelude(self.capabilities))
            self._team_function = ""
            try:
                self._builder.build_beside(function)
            except CompileError as error:
                logger.debug("kernels are launched one by one: %s", error)
            else:
                self._team_function = function.name

    def team(self) -> Team | None:
        """The threads that run lists of tasks; None where the driver refuses what they would run."""
        self.prepare_team()
        if self._team is None and self._team_function:
            with self._lock:
                home = self._builder.home(self._team_function)
                address = self.runner(home)
                if self._team is None and address:
                    cores = min(self.capabilities.machine.cores, len(os.sched_getaffinity(0)))
                    self._team = Team(Runner(address, home.number or 0), cores)
        return self._team

    def post(self, poster: Poster, names: Sequence[str]) -> None:
        """Has the team run a list of launches of programs with these names."""
        assert self._team is not None
        self._queue.finish()
        if self.profile is not None:
            self.profile.collect()
        self._team.post(poster)
        if self.profile is not None:
            self.profile.add_list(names, poster.memory, self._team)

    def submitted(self, name: str, event: Any) -> None:
        """Called by programs after each launch."""
        self._last_event = event
        self._unflushed += 1
        if self._unflushed >= LAUNCHES_BETWEEN_FLUSHES:
            self._unflushed = 0
            self._queue.flush()
        if self.profile is not None:
            self.profile.add(name, event)

    def synchronize(self) -> None:
        self._wait()
        self._keep_code()

    def _wait(self) -> None:
        if self._team is not None:
            self._team.join()
        self._queue.finish()
        self._unflushed = 0
        with self._lock:
            self._forget_uploads()

    def _keep_code(self) -> None:
        """To be called after a wait: what the driver has compiled and loaded stays there."""
        self._builder.collect()
        if self.loaded_code is not None:
            self.loaded_code.hold()

    def _runs(self) -> Sequence[profile.Run]:
        self.synchronize()
        return self.profile.runs if self.profile is not None else ()

    # ---- transfers

    def from_host(self, array: numpy.ndarray[Any, Any], dtype: DType) -> Buffer:
        flat = numpy.ascontiguousarray(array, dtype.numpy).reshape(-1).view(numpy.uint8)
        allocation = self.pool.take(flat.nbytes, user_place())
        if flat.nbytes:
            self._upload(allocation.memory, flat)
            total.host_to_device_transfers += 1
            total.host_to_device_bytes += flat.nbytes
        return Buffer(allocation, array.shape, dtype, self.name, row_major(array.shape))

    def _upload(self, memory: Memory, flat: numpy.ndarray[Any, Any]) -> None:
        """Copies at once when the device is idle; else submits the copy of a copy and does not wait."""
        with self._lock:
            self._forget_uploads()
            if self._is_idle:
                if self._shares_memory:
                    memmove(memory.address, flat.ctypes.data, flat.nbytes)
                else:
                    pyopencl.enqueue_copy(self.queue, memory.buffer, flat, is_blocking=True)
            elif self._team is not None and not self._team.is_idle:
                self._team.copy(memory.address, flat.copy())
            else:
                self._copy_later(memory.buffer, flat.copy())

    def _copy_later(self, buffer: Any, array: numpy.ndarray[Any, Any]) -> None:
        """Submits a copy of an array, which nobody may change afterwards."""
        event = pyopencl.enqueue_copy(self.queue, buffer, array, is_blocking=False)
        self._last_event = event
        self._uploads.append((event, array))

    def _forget_uploads(self) -> None:
        while self._uploads and _has_ended(self._uploads[0][0]):
            self._uploads.popleft()

    def to_host(self, buffer: Buffer) -> numpy.ndarray[Any, Any]:
        layout = buffer.layout
        flat = numpy.empty(layout.size, buffer.dtype.numpy)
        if flat.nbytes:
            memory, start = buffer.allocation.memory, buffer.offset * flat.itemsize
            if self._shares_memory:
                self._wait()
                memmove(flat.ctypes.data, memory.address + start, flat.nbytes)
            else:
                data = flat.view(numpy.uint8)
                pyopencl.enqueue_copy(self.queue, data, memory.buffer, src_offset=start, is_blocking=True)
            total.device_to_host_transfers += 1
            total.device_to_host_bytes += flat.nbytes
            self._keep_code()
        return row_major_array(flat, layout)


def _has_ended(event: Any) -> bool:
    """Whether a command has ended, well or not."""
    return cast("bool", event.command_execution_status <= pyopencl.command_execution_status.COMPLETE)
