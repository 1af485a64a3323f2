"""From generated functions to kernels that can be launched: few programs of many functions, kept on disk.

In: the sources of kernel functions. Out: PyOpenCL kernels. A driver charges much more for a program than for a
function in it, so what is missing is built in programs of ``FUNCTIONS_PER_PROGRAM``. On disk, below
``<cache>/opencl/<device and versions>/``, lie

    <program>.cl        its source, for people
    <program>.binary    the driver's binary of it; PoCL's: LLVM's bitcode
    <function>.program  which program holds a function
    <function>.machine  what PoCL has made of a function's bitcode (see driver_cache.py)
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any

import pyopencl

from lazygrad.runtime import CompileError
from lazygrad.runtime.cache import Store, digest
from lazygrad.runtime.statistics import total
from lazygrad_opencl import driver_cache
from lazygrad_opencl.compiler import OPTIONS, QUICK_OPTIONS, RefusedError, compile_program, load_program
from lazygrad_opencl.generated import BODY
from lazygrad_opencl.parallel import Function, ParallelCompiler, program_source
from lazygrad_opencl.worker import Compiled, Launch

FUNCTIONS_PER_PROGRAM = 30
# Compilers write "file:line:column: error: ..." or, as PoCL does, "error: file:line:column: ...".
_LINE_IN_LOG = re.compile(r"^.*?[:(](\d+)[:,]\d+\)?:.*?error|^error:.*?:(\d+):\d+:", re.MULTILINE)
# Nobody reads more of a compiler's log than this.
LOG_LINES = 30
logger = logging.getLogger("lazygrad")


def unique_function(
    name: str, text: str, prelude: str, arguments: tuple[int, ...] | None = None, sizes: tuple[int, int] = (1, 1)
) -> Function:
    """The function renamed so that it can be in one program with any other.

    ``arguments`` and ``sizes`` say how to launch it without buffers, as :class:`Launch` does.
    """
    unique = f"{name}_{digest(prelude, text)[:16]}"
    launch = None if arguments is None else Launch(unique, arguments, *sizes)
    return Function(unique, re.sub(rf"(?<![\w.]){re.escape(name)}(?=\b|{BODY}\d)", unique, text), launch)


class ProgramBuilder:
    """Builds and keeps the programs of one device."""

    def __init__(self, context: Any, handle: Any, prelude: str, in_workers: bool = False) -> None:
        self._context = context
        self._handle = handle
        self._prelude = prelude
        self._lock = Lock()
        self._programs: dict[str, Any] = {}
        self._homes: dict[str, str] = {}  # which program holds a function
        is_pocl = handle.platform.name == driver_cache.PLATFORM_NAME
        # PoCL's version has the processor's kind in it.
        versions = (handle.platform.version, handle.version, handle.name, handle.driver_version, OPTIONS, QUICK_OPTIONS)
        self.identity = digest(*versions)[:16]
        self.store = Store("opencl", self.identity)
        self._driver_cache = driver_cache.DriverCache(self.store) if is_pocl else None
        self._parallel = ParallelCompiler(handle, prelude) if is_pocl and in_workers else None

    def build(self, functions: Iterable[Function]) -> dict[str, Any]:
        """A new PyOpenCL kernel for each function, by name; from memory, disk or the driver's compiler.

        Functions may be generated while others are compiled already.
        """
        with self._lock:
            program_of: dict[str, Any] = {}
            for group, compiled in self._compiled(self._unknown(functions, program_of)):
                program = self._adopted(group, compiled) if compiled is not None else None
                if program is None:
                    program = self._build_group(group)
                total.programs_built += 1
                total.kernels_built += len(group)
                program_of.update((function.name, program) for function in group)
            return self._kernels(program_of)

    def _unknown(self, functions: Iterable[Function], program_of: dict[str, Any]) -> Iterator[Function]:
        """The functions that have to be built; the programs of others are put into the dictionary."""
        seen: set[str] = set()
        for function in functions:
            if function.name in seen:
                continue
            seen.add(function.name)
            program = self._known(function.name)
            if program is None:
                yield function
            else:
                program_of[function.name] = program
                total.kernels_loaded += 1

    def _compiled(self, functions: Iterator[Function]) -> Iterator[tuple[Sequence[Function], Compiled | None]]:
        """Groups of functions for a program each, and those that were compiled by other processes as these did it."""
        if self._parallel is not None:
            yield from self._parallel.compile(functions)
            return
        missing = list(functions)
        for start in range(0, len(missing), FUNCTIONS_PER_PROGRAM):
            yield missing[start : start + FUNCTIONS_PER_PROGRAM], None

    def _adopted(self, group: Sequence[Function], compiled: Compiled) -> Any:
        """The program of what another process compiled; None when it cannot be used here."""
        assert self._driver_cache is not None
        source = program_source(self._prelude, group)
        program = self._from_binary(compiled.binary)
        if program is None:
            return None
        name = _program_name(source)
        self.store.write_plain(f"{name}.cl", source.encode())
        for function, contents in compiled.machine.items():
            self._driver_cache.adopt(function, contents)
        self._keep(name, compiled.binary, group)
        self._programs[name] = program
        self._homes.update((function.name, name) for function in group)
        return program

    def _keep(self, name: str, binary: bytes, group: Sequence[Function]) -> None:
        self.store.write(f"{name}.binary", binary)
        for function in group:
            self.store.write(f"{function.name}.program", name.encode())

    def load(self, functions: Mapping[str, str]) -> dict[str, Any] | None:
        """A new PyOpenCL kernel for each function, from memory or disk; None when one is not there.

        Functions come with the names of their programs, so that nothing has to be looked up.
        """
        with self._lock:
            program_of: dict[str, Any] = {}
            for function, name in functions.items():
                program = self._program(name)
                if program is None:
                    return None
                program_of[function] = program
                self._homes[function] = name
            total.kernels_loaded += len(program_of)
            return self._kernels(program_of)

    def program_of(self, function: str) -> str:
        """The name of the program that holds a function which was built or loaded before."""
        return self._homes[function]

    def _kernels(self, program_of: Mapping[str, Any]) -> dict[str, Any]:
        if self._driver_cache is not None:
            self._driver_cache.restore(program_of)
        return {name: pyopencl.Kernel(program, name) for name, program in program_of.items()}

    def collect(self) -> None:
        """Keeps what the driver has made since the last call. Called when the device has been waited for."""
        if self._driver_cache is not None:
            self._driver_cache.collect()

    def _known(self, function: str) -> Any:
        """The program that holds a function, from this process or from disk; else None."""
        entry = self.store.read(f"{function}.program")
        if entry is None:
            return None
        self._homes[function] = entry.decode()
        return self._program(entry.decode())

    def _program(self, name: str) -> Any:
        if name not in self._programs:
            program = self._load(name)
            if program is None:
                return None
            self._programs[name] = program
            total.programs_loaded += 1
        return self._programs[name]

    def _load(self, name: str) -> Any:
        binary = self.store.read(f"{name}.binary")
        if binary is None:
            return None
        program = load_program(self._context, self._handle, binary)
        if program is None:
            logger.warning("the driver refuses the cached binary of program %s; it is built again", name)
            self.store.remove(f"{name}.binary")
        return program if program is not None and self._is_kept() else None

    def _build_group(self, group: Sequence[Function]) -> Any:
        source = program_source(self._prelude, group)
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
        binary = self._binary(program, group[0].name)
        loaded = self._from_binary(binary) if binary is not None else None
        if binary is not None and loaded is not None:
            program = loaded  # other processes' programs; the driver may have files for this form alone
            self._keep(name, binary, group)
        self._programs[name] = program
        self._homes.update((function.name, name) for function in group)
        return program

    def _binary(self, program: Any, function: str) -> bytes | None:
        """What the driver loads instead of the source; None when there is no such thing.

        PoCL is not asked for it: its answer has machine code of every function, which takes 200 ms each.
        """
        if self._driver_cache is not None:
            return driver_cache.bitcode(function)
        binary: bytes = program.get_info(pyopencl.program_info.BINARIES)[0]
        return binary

    def _from_binary(self, binary: bytes) -> Any:
        """The program; None when the driver refuses it, or keeps what it makes of it where nothing is checked."""
        program = load_program(self._context, self._handle, binary)
        return program if program is not None and self._is_kept() else None

    def _is_kept(self) -> bool:
        """Whether what the driver makes of a binary is kept where it is checked."""
        return self._driver_cache is None or driver_cache.is_in_use()


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
