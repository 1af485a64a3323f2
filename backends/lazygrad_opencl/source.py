"""Kernels as OpenCL C: the function's frame, and each of its bodies from the skeleton that suits it.

In: a kernel and the device's capabilities. Out: the text of one ``__kernel`` function and how to launch it.
Equal kernels give equal texts. Arguments, in order: a pointer ``bN`` for each buffer, a ``long oN``
(elements) for each movable buffer, the scalars ``sN``, and a pointer to scratch memory where
``scratch_bytes`` is not 0.
"""

from __future__ import annotations

from functools import partial

from lazygrad.kernel.expand import expand
from lazygrad.kernel.forms import has_contraction, is_pointwise
from lazygrad.kernel.in_place import in_place_pairs
from lazygrad.kernel.kernel import Kernel
from lazygrad.runtime import Capabilities
from lazygrad_opencl import (
    cpu_contraction,
    cpu_pointwise,
    cpu_reduction,
    gpu_contraction,
    gpu_pointwise,
    gpu_reduction,
)
from lazygrad_opencl.generated import BODY, GeneratedSource
from lazygrad_opencl.outer_loops import hide_outer_indices
from lazygrad_opencl.prelude import prelude
from lazygrad_opencl.sharing import Call, share
from lazygrad_opencl.single_runs import without_single_runs
from lazygrad_opencl.skeleton import BodyCode, BodyContext, Skeleton
from lazygrad_opencl.types import argument_type, memory_type

# Threads of one group on graphics processors; a multiple of every known warp or wave.
GPU_WORK_GROUP = 256
SCRATCH_ALIGNMENT = 128
# What the compilers for graphics processors have as fast built-in functions of floats. Not tanh: OpenCL lets it
# miss 1 by some bits for large arguments, and then 1 - tanh(x) is not 0 and infinity times it not nan.
NATIVE = frozenset(
    {
        "acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "erf", "exp", "exp2", "expm1", "floor",
        "fmod", "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "pow", "round", "rsqrt",
        "sin", "sinh", "tan", "trunc",
    }
)  # fmt: skip


def generate(kernel: Kernel, capabilities: Capabilities) -> GeneratedSource:
    """The kernel's function; it needs :func:`prelude` before it."""
    machine = capabilities.machine
    cpu = machine.flavour == "cpu"
    size = 1 if cpu else _power_of_two(min(GPU_WORK_GROUP, machine.work_group_limit))
    codes = []
    for number, body in enumerate(kernel.bodies):
        context = BodyContext(kernel, expand(body, frozenset() if cpu else NATIVE), number, machine, size)
        codes.append(choose(context)(context))
    scratch = 0
    starts = []
    for code in codes:
        starts.append(scratch)
        scratch += -(-code.scratch_bytes // SCRATCH_ALIGNMENT) * SCRATCH_ALIGNMENT
    functions, calls = _body_functions(kernel, codes) if cpu else ([], [])
    lines = [
        *dict.fromkeys(text for code in codes for text in code.shared),
        *functions,
        *_signature(kernel, size, scratch > 0),
        *_frame(kernel, codes, starts, calls),
        "}",
    ]
    groups = sum(code.work_groups for code in codes)
    return GeneratedSource("\n".join(lines) + "\n", function_name(kernel), groups, size, scratch)


def choose(context: BodyContext) -> Skeleton:
    """The skeleton for a body."""
    cpu = context.machine.flavour == "cpu"
    if has_contraction(context.body):
        return cpu_contraction.generate_body if cpu else gpu_contraction.generate_body
    if is_pointwise(context.body):
        return cpu_pointwise.generate_body if cpu else gpu_pointwise.generate_body
    return cpu_reduction.generate_body if cpu else gpu_reduction.generate_body


def function_name(kernel: Kernel) -> str:
    """The function's name: not the kernel's own, which may be a function of the library (sin)."""
    return f"{kernel.name}_kernel"


def _power_of_two(size: int) -> int:
    """The largest one that is not larger: results are joined by halves."""
    return 1 << (size.bit_length() - 1)


def _signature(kernel: Kernel, work_group_size: int, scratch: bool) -> list[str]:
    arguments = [_buffer(kernel, number, f"b{number}") for number in range(len(kernel.buffers))]
    arguments += [f"long o{number}" for number, buffer in enumerate(kernel.buffers) if buffer.movable]
    arguments += [_scalar(kernel, number, f"s{number}") for number in range(len(kernel.scalars))]
    if scratch:
        arguments.append("__global uchar* restrict all_scratch")
    head = f"__kernel __attribute__((reqd_work_group_size({work_group_size}, 1, 1))) void {function_name(kernel)}("
    return [head, ",\n".join(f"    {argument}" for argument in arguments) + ") {"]


def _frame(kernel: Kernel, codes: list[BodyCode], scratch_starts: list[int], calls: list[Call]) -> list[str]:
    """The kernel's statements; ``calls`` of its bodies' functions on processors, none where they stand in it."""
    lines = [f"    {line}" for code in codes for line in code.declarations]
    if calls:
        lines.append("    if (!b0) return; // a launch without buffers: only to have the kernel compiled")
    else:
        lines.append("    const int item = (int)get_local_id(0);")
    lines += [f"    b{number} += o{number};" for number, buffer in enumerate(kernel.buffers) if buffer.movable]
    first = 0
    for number, code in enumerate(codes):
        last = number == len(codes) - 1
        guard = "" if last else f"if (get_group_id(0) < {first + code.work_groups}) "
        group = f"(int)get_group_id(0){f' - {first}' if first else ''}"
        scratch = f"all_scratch + {scratch_starts[number]}"
        if calls:
            values = {"scratch": scratch, "group": group}
            passed = ", ".join(values.get(argument, argument) for argument in calls[number].arguments)
            name = _body_name(kernel, calls[number].number)
            lines.append(f"    {'else ' if number else ''}{guard}{name}({passed});")
        else:
            lines.append(f"    {'else ' if number else ''}{guard}{{")
            lines.append(f"        const int group = {group};")
            if code.scratch_bytes:
                lines.append(f"        __global uchar* const scratch = {scratch};")
            lines += [f"        {line}" for line in code.lines]
            lines.append("    }")
        first += code.work_groups
    return lines


def _body_functions(kernel: Kernel, codes: list[BodyCode]) -> tuple[list[str], list[Call]]:
    """The bodies as functions of their own, and each body's call.

    PoCL compiles three copies of a kernel, for callers of three kinds; of what a kernel calls, and does not inline,
    there is one.
    """
    functions, calls = share([code.lines for code in codes], partial(_parameter, kernel))
    lines = []
    for function in functions:
        lines.append(f"NOT_INLINE void {_body_name(kernel, function.number)}(")
        lines.append(",\n".join(f"    {parameter}" for parameter in function.parameters) + ") {")
        lines += [f"    {line}" for line in hide_outer_indices(without_single_runs(function.lines))]
        lines.append("}")
    return lines, calls


def _body_name(kernel: Kernel, number: int) -> str:
    return f"{function_name(kernel)}{BODY}{number}"


def _parameter(kernel: Kernel, name: str, new: str) -> str:
    """The declaration of a body's parameter, under a new name, for what a name is in the kernel."""
    if name == "scratch":
        return f"__global uchar* restrict {new}"
    if name == "group":
        return f"const int {new}"
    number = int(name[1:])
    return _scalar(kernel, number, new) if name[0] == "s" else _buffer(kernel, number, new)


def _buffer(kernel: Kernel, number: int, name: str) -> str:
    buffer = kernel.buffers[number]
    # What is written may lie in the memory of what is read. Told otherwise, compilers make two loops of one whose
    # where() has one condition for all points, each a copy, and the first overwrites what the second is to copy.
    may_share = any(number in pair for pair in in_place_pairs(kernel))
    restrict = "" if may_share else "restrict "
    return f"__global {'' if buffer.written else 'const '}{memory_type(buffer.dtype)}* {restrict}{name}"


def _scalar(kernel: Kernel, number: int, name: str) -> str:
    return f"{argument_type(kernel.scalars[number])} {name}"


__all__ = ["GeneratedSource", "generate", "prelude"]
