"""From generated functions to kernels that can be launched: few programs of many functions, kept on disk.

In: the sources of kernel functions. Out: PyOpenCL kernels. A driver charges much more for a program than for a
function in it, so what is missing is built in programs of ``FUNCTIONS_PER_PROGRAM``. On disk, below
``<cache>/opencl/<device and versions>/``, lie

    <program>.cl        its source, for people
    <program>.code      PoCL's machine code of it, with the bitcode of its stub (see machine_code.py)
    <program>.binary    else the driver's binary of it; PoCL's: LLVM's bitcode
    <function>.program  where a function is: its program, the kernel, how that is told (``entry.Home``)
    <function>.machine  what PoCL has made of a function's bitcode (see driver_cache.py)
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple

import numpy
import pyopencl

from lazygrad.runtime import CompileError
from lazygrad.runtime.cache import Store, digest
from lazygrad.runtime.statistics import total
from lazygrad_opencl import driver_cache
from lazygrad_opencl.compiler import OPTIONS, QUICK_OPTIONS, RefusedError, compile_program, load_program
from lazygrad_opencl.entry import ADDRESS, Function, Home, Signature, merge, program_text
from lazygrad_opencl.generated import BODY
from lazygrad_opencl.machine_code import Compiled, compile_job, entry
from lazygrad_opencl.parallel import ParallelCompiler

FUNCTIONS_PER_PROGRAM = 30
# Compilers write "file:line:column: error: ..." or, as PoCL does, "error: file:line:column: ...".
_LINE_IN_LOG = re.compile(r"^.*?[:(](\d+)[:,]\d+\)?:.*?error|^error:.*?:(\d+):\d+:", re.MULTILINE)
# Nobody reads more of a compiler's log than this.
LOG_LINES = 30
# Work-items of an empty launch: more than other launches have, as a rule, and done in 60 us.
USUAL_ITEMS = 4096
# Beside the names of machine code's files, the stub's.
_STUB = "stub"
logger = logging.getLogger("lazygrad")


def unique_function(name: str, text: str, prelude: str, signature: Signature | None = None) -> Function:
    """The function renamed so that it can be in one program with any other."""
    unique = f"{name}_{digest(prelude, text)[:16]}"
    renamed = re.sub(rf"(?<![\w.]){re.escape(name)}(?=\b|{BODY}\d)", unique, text)
    return Function(unique, renamed, signature)


class Built(NamedTuple):
    """A kernel object of one function's own, and how it is told what to run."""

    kernel: Any
    home: Home


class ProgramBuilder:
    """Builds and keeps the programs of one device."""

    def __init__(self, context: Any, handle: Any, prelude: str, is_own_code: bool = False) -> None:
        """``is_own_code``: a launch without buffers is known to be harmless."""
        self._context = context
        self._handle = handle
        self._prelude = prelude
        self._lock = Lock()
        self._programs: dict[str, Any] = {}
        self._homes: dict[str, Home] = {}
        is_pocl = handle.platform.name == driver_cache.PLATFORM_NAME
        # PoCL's version has the processor's kind in it.
        versions = (handle.platform.version, handle.version, handle.name, handle.driver_version, OPTIONS, QUICK_OPTIONS)
        self.identity = digest(*versions)[:16]
        self.store = Store("opencl", self.identity)
        self._driver_cache = driver_cache.DriverCache(self.store) if is_pocl else None
        self._parallel = ParallelCompiler(handle, prelude) if is_pocl and is_own_code else None
        self._empty_launches: Any = None
        self._runs_machine_code = True
        self.is_kept = True  # what is built here is found again by other processes

    def expect(self, nodes: int) -> None:
        """A graph of so many nodes will be scheduled now, and its functions built."""
        if self._parallel is not None:
            self._parallel.expect(nodes)

    def build(self, functions: Iterable[Function], beside: Sequence[Function] = ()) -> dict[str, Built]:
        """A new PyOpenCL kernel for each function, by name; from memory, disk or the driver's compiler.

        Functions may be generated while others are compiled already. Where any has to be compiled, so are those
        ``beside`` them, which belong to no schedule: statistics do not count them.
        """
        with self._lock:
            names: list[str] = []
            for group, compiled in self._compiled(self._with(beside, self._unknown(functions, names))):
                # Without what is beside them, which may be what was refused.
                self._make(group, compiled, [each for each in group if each not in beside])
                total.programs_built += 1
                total.kernels_built += sum(each not in beside for each in group)
            return self._kernels(names)

    def _with(self, beside: Sequence[Function], functions: Iterator[Function]) -> Iterator[Function]:
        """The functions, and behind them, if there are any, those beside them that are not known."""
        is_any = False
        for function in functions:
            is_any = True
            yield function
        if is_any:
            yield from (function for function in beside if not self._is_known(function.name))

    def build_beside(self, function: Function) -> None:
        """Builds a function that belongs to no schedule, unless it is known: statistics do not count it."""
        with self._lock:
            if self._is_known(function.name):
                return
            for group, compiled in self._compiled(iter([function])):
                self._make(group, compiled, group)

    def _make(self, group: Sequence[Function], compiled: Compiled | None, otherwise: Sequence[Function]) -> None:
        """Makes the program of a group known, by the machine code that there may be; else that of other functions."""
        if compiled is None or not self._adopt(group, compiled):
            self._build_group(otherwise)

    def _unknown(self, functions: Iterable[Function], names: list[str]) -> Iterator[Function]:
        """The functions that have to be built; the names of all are put into the list."""
        seen: set[str] = set()
        for function in functions:
            if function.name in seen:
                continue
            seen.add(function.name)
            names.append(function.name)
            if self._is_known(function.name):
                total.kernels_loaded += 1
            else:
                yield function

    def _compiled(self, functions: Iterator[Function]) -> Iterator[tuple[Sequence[Function], Compiled | None]]:
        """Groups of functions for a program each, and those that were compiled to machine code as these are."""
        alone: list[Function] = []
        if self._parallel is not None:
            for group, compiled in self._parallel.compile(_callable(functions, alone)):
                yield group, compiled if compiled is not None else self._compiled_here(group)
        else:
            alone.extend(functions)
        for start in range(0, len(alone), FUNCTIONS_PER_PROGRAM):
            yield alone[start : start + FUNCTIONS_PER_PROGRAM], None

    def _compiled_here(self, group: Sequence[Function]) -> Compiled | None:
        """What a worker process would answer; None where this cannot be had."""
        assert self._parallel is not None
        job = self._parallel.job(group)
        try:
            return compile_job(self._context, self._handle, self._launches(), driver_cache.folder(), job)
        except (RefusedError, RuntimeError, OSError, pyopencl.Error) as error:
            logger.debug("a program is compiled function by function: %s", error)
            return None

    def _launches(self) -> Any:
        """A queue for launches that do nothing: they wait for nothing, and nothing waits for them."""
        if self._empty_launches is None:
            self._empty_launches = pyopencl.CommandQueue(self._context, self._handle)
        return self._empty_launches

    def _adopt(self, group: Sequence[Function], compiled: Compiled) -> bool:
        """Makes the program of a group known, of which there is machine code; whether it can be used."""
        merged = merge(self._prelude, group)
        assert merged is not None
        name = _program_name(merged.text)
        home = Home(name, merged.kernel, 0, merged.pointers, merged.words)
        program = self._with_machine_code(home, compiled)
        if program is None:
            return False
        self.store.write_plain(f"{name}.cl", merged.text.encode())
        self.store.write(f"{name}.code", driver_cache.pack({_STUB: compiled.stub, **compiled.machine}))
        self._keep(program, {each.name: home._replace(number=number) for number, each in enumerate(group)})
        return True

    def _with_machine_code(self, home: Home, compiled: Compiled) -> Any:
        """The program of a stub that runs other machine code; None where the driver does not run that."""
        if not self._runs_machine_code:
            return None
        program = load_program(self._context, self._handle, compiled.stub)
        if program is None or not self._keeps():
            return None
        try:
            placed = driver_cache.place(home.kernel, compiled.machine)
        except OSError as error:
            logger.debug("%s", error)
            return None
        # It looks for machine code at the first launch, and loads it anew at a wider one.
        empty = entry(program, home.kernel, home.pointers, home.words)
        pyopencl.enqueue_nd_range_kernel(self._launches(), empty, (USUAL_ITEMS,), (1,))
        self._launches().finish()
        if not driver_cache.is_in_place(home.kernel, placed):
            # Nor may it be tried again: the stub's own code lies there now.
            logger.warning("PoCL does not use the machine code that it made before; kernels are built one by one")
            self._runs_machine_code = self.is_kept = False
            return None
        return program

    def _keep(self, program: Any, homes: Mapping[str, Home]) -> None:
        """Remembers where functions are, here and on disk, when their program is there."""
        for function, home in homes.items():
            self.store.write(f"{function}.program", json.dumps(home).encode())
            self._programs[home.program] = program
        self._homes.update(homes)

    def load(self, functions: Mapping[str, Home]) -> dict[str, Built] | None:
        """A new PyOpenCL kernel for each function, from memory or disk; None when one is not there.

        Functions come with where they are, so that nothing has to be looked up.
        """
        with self._lock:
            if not all(self._has_program(home) for home in functions.values()):
                return None
            self._homes.update(functions)
            total.kernels_loaded += len(functions)
            return self._kernels(functions)

    def runner(self, home: Home) -> int:
        """The address of the runner beside an entry; 0 where there is none."""
        found = numpy.zeros(1, numpy.uint64)
        if home.number is not None:
            flags = pyopencl.mem_flags.WRITE_ONLY | pyopencl.mem_flags.COPY_HOST_PTR
            answer = pyopencl.Buffer(self._context, flags, hostbuf=found)
            asked = entry(self._programs[home.program], home.kernel, home.pointers, home.words, ADDRESS)
            asked.set_arg(1, answer)
            pyopencl.enqueue_nd_range_kernel(self._launches(), asked, (1,), (1,))
            pyopencl.enqueue_copy(self._launches(), found, answer)
        return int(found[0])

    def home(self, function: str) -> Home:
        """Where a function is that was built or loaded before."""
        return self._homes[function]

    def _kernels(self, functions: Iterable[str]) -> dict[str, Built]:
        homes = {name: self._homes[name] for name in functions}
        if self._driver_cache is not None:
            self._driver_cache.restore(home.kernel for home in homes.values() if home.number is None)
        return {name: Built(self._kernel(home), home) for name, home in homes.items()}

    def _kernel(self, home: Home) -> Any:
        program = self._programs[home.program]
        if home.number is None:
            return pyopencl.Kernel(program, home.kernel)
        return entry(program, home.kernel, home.pointers, home.words, home.number)

    def collect(self) -> None:
        """Keeps what the driver has made since the last call. Called when the device has been waited for."""
        if self._driver_cache is not None:
            self._driver_cache.collect()

    def _is_known(self, function: str) -> bool:
        """Whether there is a program that holds a function, from this process or from disk."""
        if function in self._homes and self._homes[function].program in self._programs:
            return True
        data = self.store.read(f"{function}.program")
        if data is None:
            return False
        try:
            home = Home(*json.loads(data))
        except (TypeError, ValueError):
            return False
        if not self._has_program(home):
            return False
        self._homes[function] = home
        return True

    def _has_program(self, home: Home) -> bool:
        if home.program not in self._programs:
            program = self._load(home)
            if program is None:
                return False
            self._programs[home.program] = program
            total.programs_loaded += 1
        return True

    def _load(self, home: Home) -> Any:
        """The program from disk."""
        if home.number is not None and self._driver_cache is not None:
            data = self.store.read(f"{home.program}.code")
            if data is None:
                return None
            machine = driver_cache.unpack(data)
            return self._with_machine_code(home, Compiled(machine.pop(_STUB), machine))
        binary = self.store.read(f"{home.program}.binary")
        if binary is None:
            return None
        program = load_program(self._context, self._handle, binary)
        if program is None:
            logger.warning("the driver refuses the cached binary of program %s; it is built again", home.program)
            self.store.remove(f"{home.program}.binary")
        return program if program is not None and self._keeps() else None

    def _build_group(self, group: Sequence[Function]) -> None:
        """Makes the program of a group known, by the driver's own way from a source to a program that can be kept."""
        if not group:
            return
        # PoCL's entries come with machine code, or not at all: it would find a stub's under the same name.
        merged = merge(self._prelude, group) if self._driver_cache is None else None
        source = program_text(self._prelude, group) if merged is None else merged.text
        name = _program_name(source)
        path = self.store.write_plain(f"{name}.cl", source.encode())
        try:
            program = compile_program(self._context, self._handle, source, self._driver_cache is not None)
        except RefusedError as error:
            log = "\n".join(str(error).strip().split("\n")[:LOG_LINES])
            raise CompileError(
                f"{self._handle.name} ({self._handle.platform.name}) refused generated source: "
                f"{_culprit(log, source, group)}. The source is "
                f"{f'in {path}' if path is not None else 'below'}. The compiler says:\n{log}"
                + ("" if path is not None else f"\n{source}")
            ) from error
        homes = {
            each.name: Home(name, each.name)
            if merged is None
            else Home(name, merged.kernel, number, merged.pointers, merged.words)
            for number, each in enumerate(group)
        }
        binary, loaded = self._reloaded(program, homes[group[0].name])
        if binary is not None:
            # As other processes do; the driver may have files for this form alone.
            self.store.write(f"{name}.binary", binary)
            self._keep(loaded, homes)
        else:
            self._programs[name] = program
            self._homes.update(homes)

    def _reloaded(self, program: Any, home: Home) -> tuple[bytes | None, Any]:
        """What the driver loads instead of the source of a program, and the program as loaded from that; or None, None.

        None where there is no such thing, the driver refuses it, or keeps what it makes of it where nothing is checked.
        """
        for binary in self._binaries(program, home.kernel):
            loaded = load_program(self._context, self._handle, binary)
            if loaded is None or not self._keeps():
                return None, None
            if home.kernel in loaded.get_info(pyopencl.program_info.KERNEL_NAMES).split(";"):
                return binary, loaded
        return None, None

    def _binaries(self, program: Any, kernel: str) -> Iterator[bytes]:
        """Candidates for a program of this kernel.

        PoCL is not asked for it: its answer has machine code of every function, which takes 200 ms each.
        """
        if self._driver_cache is not None:
            yield from driver_cache.bitcodes(kernel)
        else:
            yield program.get_info(pyopencl.program_info.BINARIES)[0]

    def _keeps(self) -> bool:
        """Whether what the driver makes of a binary is kept where it is checked."""
        if self._driver_cache is not None and not driver_cache.is_in_use():
            self.is_kept = False
        return self.is_kept


def _callable(functions: Iterable[Function], others: list[Function]) -> Iterator[Function]:
    """The functions that an entry may call; the others are put into the list."""
    for function in functions:
        if function.signature is None:
            others.append(function)
        else:
            yield function


def _program_name(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:32]


def _culprit(log: str, source: str, group: Sequence[Function]) -> str:
    """Which functions the log's first error is in."""
    found = _LINE_IN_LOG.search(log)
    if found is not None:
        lines = source.split("\n")[: int(found[1] or found[2])]
        above = [function.name for function in group if any(function.name in line for line in lines)]
        if above:
            return f"kernel {above[-1]}"
    return f"one of the kernels from {group[0].name} to {group[-1].name}"
