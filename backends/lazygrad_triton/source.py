"""Kernels as files of Triton functions: the frame, and each body from the skeleton that suits it.

In: a kernel and the device's capabilities. Out: a ``GeneratedSource``. Equal kernels give equal texts.
"""

from __future__ import annotations

import itertools

from lazygrad.kernel.expand import expand
from lazygrad.kernel.forms import has_contraction, is_pointwise
from lazygrad.kernel.kernel import Kernel
from lazygrad.kernel.levels import INDENT
from lazygrad.kernel.printer import print_kernel
from lazygrad.runtime import Capabilities
from lazygrad_triton import contraction, pointwise, reduction
from lazygrad_triton.generated import GeneratedSource, Launch
from lazygrad_triton.library import definitions
from lazygrad_triton.operations import NATIVE
from lazygrad_triton.program import BodyContext, Phase, Skeleton


def generate(kernel: Kernel, capabilities: Capabilities) -> GeneratedSource:
    """The kernel's file: what it computes as a comment, library functions, one function for each launch."""
    used: dict[str, None] = {}
    names = itertools.count(1)
    phases = []
    for body in kernel.bodies:
        context = BodyContext(expand(body, NATIVE), kernel.buffers, capabilities.machine, used, names)
        phases.append(_skeleton(context)(context))
    count = max(len(each) for each in phases)
    functions: list[str] = []
    launches = []
    for number in range(count):
        name = function_name(kernel, number)
        lines, launch = _function(kernel, name, [each[number] for each in phases if number < len(each)])
        functions += ["", "", "@triton.jit", *lines]
        launches.append(launch)
    lines = [f"# {line}".rstrip() for line in print_kernel(kernel).splitlines()]
    lines += ["import triton", "import triton.language as tl", "", "", *definitions(used)]
    while lines[-1] == "":
        lines.pop()
    return GeneratedSource("\n".join([*lines, *functions]) + "\n", tuple(launches))


def function_name(kernel: Kernel, launch: int = 0) -> str:
    """The name of the function of a launch."""
    return f"{kernel.name}_kernel" + (f"_{launch + 1}" if launch else "")


def _skeleton(context: BodyContext) -> Skeleton:
    if has_contraction(context.body):
        return contraction.generate_body
    return pointwise.generate_body if is_pointwise(context.body) else reduction.generate_body


def _function(kernel: Kernel, name: str, phases: list[Phase]) -> tuple[list[str], Launch]:
    """The function that runs one phase of each body, and its launch."""
    parameters = [f"b{number}" for number in range(len(kernel.buffers))]
    parameters += [f"o{number}" for number, buffer in enumerate(kernel.buffers) if buffer.movable]
    parameters += [f"s{number}" for number in range(len(kernel.scalars))]
    lines = [f"def {name}({', '.join(parameters)}):", f"{INDENT}program = tl.program_id(0)"]
    lines += [f"{INDENT}b{n} = b{n} + o{n}" for n, buffer in enumerate(kernel.buffers) if buffer.movable]
    first = 0
    for number, phase in enumerate(phases):
        indent = INDENT
        if len(phases) > 1:
            last = number == len(phases) - 1
            condition = f"if program < {first + phase.programs}:" if not last else "else:"
            lines.append(f"{INDENT}{'el' if number and not last else ''}{condition}")
            indent += INDENT
            if first:
                lines.append(f"{indent}program = program - {first}")
        lines += [f"{indent}{line}" for line in phase.lines]
        first += phase.programs
    warps, stages = max(phase.warps for phase in phases), max(phase.stages for phase in phases)
    return lines, Launch(name, first, warps, stages)
