"""What a compiled function takes of a core, as the compilers tell: registers, spills, shared memory.

In: a ``Binary``. Out: ``Resources``. For CUDA the assembler that ships inside Triton is asked again, with its report
switched on; AMD's compiler writes the numbers into its assembly.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from lazygrad_triton.binaries import Binary
from lazygrad_triton.versions import assembler

_PTX_TARGET = re.compile(r"^\.target\s+(\w+)", re.MULTILINE)
_NVIDIA = {
    "registers": r"Used (\d+) registers",
    "stack": r"(\d+) bytes stack frame",
    "stores": r"(\d+) bytes spill stores",
    "static": r"(\d+) bytes smem",
}
_AMD = {
    "registers": r"\.vgpr_count:\s+(\d+)",
    "stack": r"\.private_segment_fixed_size:\s*(\d+)",
    "spills": r"\.vgpr_spill_count:\s*(\d+)",
    "static": r"\.group_segment_fixed_size:\s*(\d+)",
}
_REGISTER_BYTES = 4


class Resources(NamedTuple):
    """``registers`` of 32 bits and bytes of ``spills`` and ``stack`` for each thread, ``shared`` bytes for a block."""

    registers: int
    spills: int
    stack: int
    shared: int


def resources(binary: Binary) -> Resources:
    """The resources of a function.

    RuntimeError when the assembler cannot be run or its report is not understood.
    """
    if binary.target.backend == "hip":
        found = _numbers(binary.assembly, _AMD)
        return Resources(
            found["registers"], found["spills"] * _REGISTER_BYTES, found["stack"], max(found["static"], binary.shared)
        )
    found = _numbers(_assembler_report(binary), _NVIDIA)
    return Resources(found["registers"], found["stores"], found["stack"], found["static"] + binary.shared)


def _numbers(report: str, patterns: dict[str, str]) -> dict[str, int]:
    found = {}
    for name, pattern in patterns.items():
        match = re.search(pattern, report)
        if match is None and name != "static":  # the assembler is silent where there is none
            raise RuntimeError(f"the compiler's report has no {name}:\n{report}")
        found[name] = int(match[1]) if match is not None else 0
    return found


def _assembler_report(binary: Binary) -> str:
    match = _PTX_TARGET.search(binary.assembly)
    if match is None:
        raise RuntimeError("the PTX names no target")
    with tempfile.TemporaryDirectory(prefix="lazygrad-triton-") as folder:
        source = Path(folder, "kernel.ptx")
        source.write_text(binary.assembly)
        command = [*assembler(int(binary.target.architecture)), "-v", f"--gpu-name={match[1]}", str(source)]
        done = subprocess.run([*command, "-o", os.devnull], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr}")
    return done.stderr
