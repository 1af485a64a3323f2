"""All launches of a step as one: a kernel whose work-groups, one for each core, take tasks from a list in memory.

A driver charges for each launch: the host submits it, one thread finishes the kernel before and wakes the others, and
until they run their cores stand idle. That is a tenth of a millisecond of a core for each of the 200 launches of a
ResNet's step. Here the cores stay awake from the first task to the last, and who has no task left of one kernel goes on
with the next, if that one touches nothing that is still being computed.

In: the launches of a batch, whose programs have runners (``entry.py``). Out: one launch. The list in memory:

    for each launch a record of RECORD words: the runner's address, the function's number, its work-groups, how many
    there are in all launches before, how many of these launches must have ended, and where its arguments begin
    the arguments: addresses and numbers, as the runner reads them

A *ticket* is the number of a task, over all launches in order, and each is drawn once. Who draws one has only to wait
for launches whose tasks have all been drawn, by work-groups that run: so nobody waits for what never comes, however few
work-groups the driver runs at once.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy
import pyopencl

from lazygrad.ir.value import Number
from lazygrad.runtime.batch import Batch
from lazygrad.runtime.statistics import total
from lazygrad_opencl.build import Built, unique_function
from lazygrad_opencl.entry import KERNEL, Function, Signature

if TYPE_CHECKING:
    from lazygrad_opencl.device import OpenCLDevice
    from lazygrad_opencl.programs import OpenCLProgram

RECORD = 8
# Words of a cache line: what different cores write lies in different ones.
LINE = 8
# Lines before those of the launches: the next ticket and when the first work-group began, and how many work-groups have
# found no more tickets.
HEAD = 2
# How often a waiting core looks before it lets other threads of the system run: about 50 us.
LOOKS = 1000
# With fewer launches there is little to save.
FEWEST_LAUNCHES = 2
FUNCTION = "run_tasks"
_COMPLETE = pyopencl.command_execution_status.COMPLETE

# OpenCL C has no function pointers, so the call is written for the machine: by the System V convention, beyond the 128
# bytes that belong to the function which does not know of the call.
SOURCE = f"""\
NOT_INLINE void call_runner(ulong runner, ulong number, __global const ulong* words, ulong group) {{
    __asm__ volatile(
        "movq %%rsp, %%rbx\\n leaq -128(%%rsp), %%rsp\\n andq $-64, %%rsp\\n call *%%rax\\n movq %%rbx, %%rsp"
        : "+a"(runner), "+D"(number), "+S"(words), "+d"(group)
        :
        : "rbx", "rcx", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
          "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
}}
NOT_INLINE void let_others_run() {{
    long answer = 24; // sched_yield
    __asm__ volatile("syscall" : "+a"(answer) : : "rcx", "r11", "memory");
}}
{KERNEL}{FUNCTION}(
    __global const ulong* list, __global ulong* state, const ulong launches, const ulong workers) {{
    if (!list) return;
    __global ulong* const done = state + {HEAD * LINE};
    if (!state[1]) state[1] = __builtin_readcyclecounter();
    const ulong begun = state[1];
    ulong launch = 0, ended = 0;
    for (;;) {{
        const ulong ticket = __atomic_fetch_add(state, 1ul, __ATOMIC_SEQ_CST);
        while (launch < launches && ticket >= list[launch * {RECORD} + 3] + list[launch * {RECORD} + 2]) launch++;
        if (launch == launches) break;
        __global const ulong* const record = list + launch * {RECORD};
        for (; ended < record[4]; ended++) {{
            uint looks = 0;
            while (__atomic_load_n(done + ended * {LINE}, __ATOMIC_ACQUIRE) < list[ended * {RECORD} + 2]) {{
                if (++looks < {LOOKS}) __builtin_ia32_pause();
                else let_others_run();
            }}
        }}
        if (done[launch * {LINE} + 1] < begun) done[launch * {LINE} + 1] = __builtin_readcyclecounter();
        call_runner(record[0], record[1], list + record[5], ticket - record[3]);
        const ulong before = __atomic_fetch_add(done + launch * {LINE}, 1ul, __ATOMIC_SEQ_CST);
        if (before == record[2] - 1) done[launch * {LINE} + 2] = __builtin_readcyclecounter();
    }}
    // The last to leave makes everything ready for the next time.
    if (__atomic_fetch_add(state + {LINE}, 1ul, __ATOMIC_SEQ_CST) == workers - 1) {{
        for (ulong i = 0; i < launches; i++) done[i * {LINE}] = 0;
        state[{LINE}] = 0;
        state[1] = 0;
        state[0] = 0;
    }}
}}
"""


def list_function(prelude: str) -> Function:
    """What runs lists, for programs with this prelude."""
    return unique_function(FUNCTION, SOURCE, prelude, Signature(2, ("ulong", "ulong"), has_scratch=False))


def is_possible() -> bool:
    """Whether this machine runs ``SOURCE``."""
    return platform.machine() == "x86_64" and sys.platform == "linux"


class TaskList(Batch):
    """Launches that are submitted as one from the second time on: what runs once is not worth a list."""

    def __init__(self, device: OpenCLDevice, programs: Sequence[OpenCLProgram], waits: Sequence[int]) -> None:
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
        if self._list is None:
            super().submit()
            if self._submissions == 1 and len(self.launches) >= FEWEST_LAUNCHES:
                self._device.prepare_lists()  # so that nothing is compiled when a loop comes to its second step
            return
        self.submitted = 0
        self._list.submit()
        self.submitted = len(self.launches)
        total.kernels_launched += self.submitted

    def _written(self) -> _List | None:
        runners = [self._device.runner(program) for program in self._programs]
        built = self._device.list_kernel() if len(runners) >= FEWEST_LAUNCHES and all(runners) else None
        if built is None:
            return None
        written = _List(self._device, built, self._programs, runners, self.waits)
        for number, launch in enumerate(self.launches):
            for position, memory in enumerate(launch.memories):
                written.put(number, position, memory)
            for position, value in enumerate(launch.numbers):
                written.set(number, position, value)
        return written


class _List:
    """A list in memory, and the kernel that runs it."""

    def __init__(
        self,
        device: OpenCLDevice,
        built: Built,
        programs: Sequence[OpenCLProgram],
        runners: Sequence[int],
        waits: Sequence[int],
    ) -> None:
        self._device = device
        self._kernel = built.kernel
        self._names = [program.name for program in programs]
        self._first_words: list[int] = []
        self._packs = [program.packs for program in programs]
        self._buffers = [len(program.kernel.buffers) for program in programs]
        self._scratch_words: list[int] = []
        self._scratch_bytes = max(program.scratch_bytes for program in programs)
        self._scratch_serial = 0
        records: list[int] = []
        tasks, scratch_user = 0, 0
        word = RECORD * len(programs)
        for number, (program, runner, wait) in enumerate(zip(programs, runners, waits, strict=True)):
            if program.scratch_bytes:  # which all share
                wait, scratch_user = max(wait, scratch_user), number + 1
            groups = program.launch_sizes[0]
            records += [runner, program.home.number or 0, groups, tasks, wait, word, 0, 0]
            tasks += groups
            self._first_words.append(word)
            word += len(program.kernel.buffers) + len(program.packs)
            if program.scratch_bytes:
                self._scratch_words.append(word)
                word += 1
        self._words = numpy.zeros(word, numpy.uint64)
        self._words[: len(records)] = records
        self._is_changed = True
        self._last_run: Any = None
        workers = min(device.capabilities.machine.cores, tasks)
        self._global = (workers,)
        self._state_words = LINE * (HEAD + len(programs))
        self._memory, self._written = device.list_memory(word)
        self._state, _ = device.list_memory(self._state_words)
        pointers = (self._memory, self._state)
        for position, memory in enumerate(pointers, built.home.first_pointer):
            self._kernel.set_arg(position, memory)
        for position, count in enumerate((len(programs), workers), built.home.first_word(len(pointers))):
            self._kernel.set_arg(position, numpy.uint64(count))

    def put(self, launch: int, position: int, memory: Any) -> None:
        assert memory.address, "memory of a processor has an address"
        self._write(self._first_words[launch] + position, memory.address)

    def set(self, launch: int, position: int, number: Number) -> None:
        word = self._first_words[launch] + self._buffers[launch] + position
        self._write(word, int.from_bytes(self._packs[launch][position](number), sys.byteorder))

    def _write(self, word: int, value: int) -> None:
        if self._words[word] != value:
            self._words[word] = value
            self._is_changed = True

    def submit(self) -> None:
        """Submits the launch, and before it what has changed."""
        device = self._device
        # Held until it is submitted: the garbage collector may run something that wants more, and a larger piece.
        scratch = device.scratch_allocation(self._scratch_bytes) if self._scratch_words else None
        if scratch is not None:
            memory = scratch.memory
            if memory.serial != self._scratch_serial:
                self._scratch_serial = memory.serial
                for word in self._scratch_words:
                    self._write(word, memory.address)
        if self._is_changed:
            self._renew()
            self._is_changed = False
        event = pyopencl.enqueue_nd_range_kernel(device.queue, self._kernel, self._global, (1,))
        self._last_run = event
        device.submitted_list(self._names, event, self._state, self._state_words)

    def _renew(self) -> None:
        """Lets the list be what its words are now.

        Its memory is the host's. A command that copies takes a tenth of a millisecond, in which the cores stand idle;
        where a run that was submitted before still reads the list, they do not, and the copy has to come behind it.
        """
        if self._last_run is None or self._last_run.command_execution_status == _COMPLETE:
            self._written[:] = self._words
        else:
            self._device.copy_later(self._memory, self._words.copy())
