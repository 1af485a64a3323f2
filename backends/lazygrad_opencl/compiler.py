"""The driver's compiler: source text to a program.

Worker processes use this file without lazygrad, so it imports nothing of it.
"""

from __future__ import annotations

from typing import Any

import pyopencl

# a * b + c may become one fused operation; nothing else is relaxed: NaN and infinity keep their meaning.
OPTIONS = "-cl-mad-enable -cl-std=CL1.2"
# PoCL's compiler is faster when it does not read OpenCL's 17,000 functions, most of which nobody calls (prelude.py
# declares the others); when it does not optimise before PoCL does, which does it twice; and when it does not mark where
# each variable's life begins and ends, for all passes to read. The last two are options that PoCL passes on only behind
# one that it knows. A compiler that refuses any of this is asked again without.
QUICK_OPTIONS = f"{OPTIONS} -D_OPENCL_H_ -DWITHOUT_LIBRARY\t-disable-llvm-passes\t-disable-lifetime-markers"


class RefusedError(Exception):
    """The compiler refuses a source; the message is its log."""


def compile_program(context: Any, handle: Any, source: str, quick: bool) -> Any:
    """The built program; ``quick`` for sources that may be compiled with ``QUICK_OPTIONS``.

    Raises:
        RefusedError: the compiler says that there is an error in the source.
    """
    if quick:
        try:
            return _build(context, handle, source, QUICK_OPTIONS)
        except RefusedError:
            pass
    return _build(context, handle, source, OPTIONS)


def _build(context: Any, handle: Any, source: str, options: str) -> Any:
    # Not pyopencl.Program: it keeps a second cache of sources and adds an include path, which is a property of the
    # installation and would become part of the driver's cache key.
    program = pyopencl._cl._Program(context, source)
    try:
        program._build(options.encode(), [handle])
    except pyopencl.Error as error:
        log = str(program.get_build_info(handle, pyopencl.program_build_info.LOG))
        raise RefusedError(log or str(error)) from error
    return program


def load_program(context: Any, handle: Any, binary: bytes) -> Any:
    """The program of a binary that the driver has made; None when it refuses it.

    PoCL's binary is bitcode, which it parses in about 8 ms for each 100 KB.
    """
    try:
        program = pyopencl._cl._Program(context, [handle], [binary])
        program._build(OPTIONS.encode(), [handle])
    except pyopencl.Error:
        return None
    return program
