"""From generated functions to kernels that can be launched: few programs of many functions, kept on disk.

In: the sources of kernel functions. Out: PyOpenCL kernels. A driver charges much more for a program than for a
function in it, so what is missing is built in programs of ``FUNCTIONS_PER_PROGRAM``. On disk, below
``<cache>/opencl/<device and versions>/``, lie

    <program>.cl        its source, for people and for building it again
    <program>.binary    the driver's binary of it (not for PoCL: see driver_cache.py)
    <function>.program  which program holds a function
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from threading import Lock
from typing import Any, NamedTuple

import pyopencl

from lazygrad.runtime import CompileError
from lazygrad.runtime.cache import Store, digest
from lazygrad.runtime.statistics import total
from lazygrad_opencl import driver_cache

FUNCTIONS_PER_PROGRAM = 30
# a * b + c may become one fused operation; nothing else is relaxed: NaN and infinity keep their meaning.
OPTIONS = "-cl-mad-enable -cl-std=CL1.2"
# Compilers write "file:line:column: error: ..." or, as PoCL does, "error: file:line:column: ...".
_LINE_IN_LOG = re.compile(r"^.*?[:(](\d+)[:,]\d+\)?:.*?error|^error:.*?:(\d+):\d+:", re.MULTILINE)
# Nobody reads more of a compiler's log than this.
LOG_LINES = 30
logger = logging.getLogger("lazygrad")


class Function(NamedTuple):
    """One kernel function with a name that no other source has. Same text, same name, in every process."""

    name: str
    text: str


def unique_function(name: str, text: str, prelude: str) -> Function:
    """The function renamed so that it can be in one program with any other."""
    unique = f"{name}_{digest(prelude, text)[:16]}"
    return Function(unique, re.sub(rf"(?<![\w.]){re.escape(name)}\b", unique, text))


class ProgramBuilder:
    """Builds and keeps the programs of one device."""

    def __init__(self, context: Any, handle: Any, prelude: str, keep_binaries: bool | None = None) -> None:
        self._context = context
        self._handle = handle
        self._prelude = prelude
        self._lock = Lock()
        self._programs: dict[str, Any] = {}
        is_pocl = handle.platform.name == driver_cache.PLATFORM_NAME
        self._keep_binaries = not is_pocl if keep_binaries is None else keep_binaries
        versions = (handle.platform.version, handle.name, handle.driver_version, pyopencl.VERSION_TEXT, OPTIONS)
        self.store = Store("opencl", digest(*versions)[:16])
        self._driver_cache = driver_cache.DriverCache(self.store) if is_pocl else None

    def build(self, functions: Sequence[Function]) -> dict[str, Any]:
        """A new PyOpenCL kernel for each function, by name; from memory, disk or the driver's compiler."""
        with self._lock:
            wanted = {function.name: function for function in functions}
            program_of: dict[str, Any] = {}
            for name in wanted:
                program = self._known(name)
                if program is not None:
                    program_of[name] = program
                    total.kernels_loaded += 1
            missing = [function for name, function in wanted.items() if name not in program_of]
            for start in range(0, len(missing), FUNCTIONS_PER_PROGRAM):
                group = missing[start : start + FUNCTIONS_PER_PROGRAM]
                program = self._build_group(group)
                program_of.update((function.name, program) for function in group)
                total.kernels_built += len(group)
            return {name: pyopencl.Kernel(program_of[name], name) for name in wanted}

    def _known(self, function: str) -> Any:
        """The program that holds a function, from this process or from disk; else None."""
        entry = self.store.read(f"{function}.program")
        if entry is None:
            return None
        name = entry.decode()
        if name not in self._programs:
            program = self._load(name)
            if program is None:
                return None
            self._programs[name] = program
            total.programs_loaded += 1
        return self._programs[name]

    def _load(self, name: str) -> Any:
        if self._keep_binaries:
            binary = self.store.read(f"{name}.binary")
            if binary is not None:
                try:
                    program = pyopencl._cl._Program(self._context, [self._handle], [binary])
                    program._build(OPTIONS.encode(), [self._handle])
                    return program
                except pyopencl.Error as error:
                    logger.warning("the driver refuses the cached binary of program %s (%s)", name, error)
                    self.store.remove(f"{name}.binary")
            return None
        path = self.store.path(f"{name}.cl")
        try:
            source = path.read_bytes().decode(errors="replace")
        except OSError:
            return None
        if _program_name(source) != name:
            logger.warning("the cached source %s is damaged; it is built again", path)
            return None
        if self._driver_cache is not None:
            if not self._driver_cache.check(name):
                return None
            self._driver_cache.use(name, re.findall(r"__kernel.*?void\s+(\w+)", source, re.DOTALL))
        try:
            return self._compile(source)
        except pyopencl.Error as error:
            logger.warning("the driver refuses the cached source %s (%s)", path, error)
            return None

    def _build_group(self, group: Sequence[Function]) -> Any:
        source = "\n".join([self._prelude, *(function.text for function in group)])
        name = _program_name(source)
        path = self.store.write_plain(f"{name}.cl", source.encode())
        if self._driver_cache is not None:
            self._driver_cache.check(name)  # the driver may know the program though the index does not
        try:
            program = self._compile(source)
        except pyopencl.Error as error:
            log = "\n".join((self._last_log or str(error)).strip().split("\n")[:LOG_LINES])
            raise CompileError(
                f"{self._handle.name} ({self._handle.platform.name}) refused generated source: "
                f"{_culprit(log, source, group)}. The source is "
                f"{f'in {path}' if path is not None else 'below'}. The compiler says:\n{log}"
                + ("" if path is not None else f"\n{source}")
            ) from error
        total.programs_built += 1
        self._programs[name] = program
        if self._keep_binaries:
            binaries = program.get_info(pyopencl.program_info.BINARIES)
            self.store.write(f"{name}.binary", binaries[0])
        if self._driver_cache is not None:
            self._driver_cache.use(name, [function.name for function in group])
        for function in group:
            self.store.write(f"{function.name}.program", name.encode())
        return program

    def _compile(self, source: str) -> Any:
        # Not pyopencl.Program: it keeps a second cache of sources and adds an include path, which is a property of
        # the installation and would become part of the driver's cache key.
        program = pyopencl._cl._Program(self._context, source)
        self._last_log = ""
        try:
            program._build(OPTIONS.encode(), [self._handle])
        except pyopencl.Error:
            self._last_log = str(program.get_build_info(self._handle, pyopencl.program_build_info.LOG))
            raise
        return program


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
