"""Kernels as files of Triton functions: the frame, and each body from the skeleton that suits it.

In: a kernel and the device's capabilities. Out: a ``GeneratedSource``. Equal kernels give equal texts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from lazygrad.kernel.block_size import BlockSize
from lazygrad.kernel.expand import expand
from lazygrad.kernel.forms import has_contraction, is_pointwise, is_streaming
from lazygrad.kernel.kernel import Kernel
from lazygrad.kernel.levels import INDENT
from lazygrad.kernel.printer import print_kernel
from lazygrad.runtime import HEURISTIC, Alternative, Capabilities
from lazygrad_triton import contraction, pointwise, reduction, streaming
from lazygrad_triton.generated import GeneratedSource, Launch
from lazygrad_triton.library import definitions
from lazygrad_triton.operations import FAST, NATIVE
from lazygrad_triton.program import BodyContext, Phase, Skeleton


def generate(kernel: Kernel, capabilities: Capabilities, alternative: Alternative = HEURISTIC) -> GeneratedSource:
    """The kernel's file: what it computes as a comment, library functions, one function for each launch."""
    used: dict[str, None] = {}
    phases = [
        _skeleton(context).generate_body(context) for context in _contexts(kernel, capabilities, alternative, used)
    ]
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


def alternatives(kernel: Kernel, capabilities: Capabilities) -> list[Alternative]:
    """What ``generate`` may be told, the heuristic's first. Numbers are those of a ``BlockSize``.

    All bodies change together: kernels of many bodies are those of optimizers, whose bodies are alike.
    """
    sizes = [_skeleton(context).sizes(context) for context in _contexts(kernel, capabilities, HEURISTIC, {})]
    together = itertools.zip_longest(*sizes, fillvalue=())
    return [HEURISTIC, *(tuple(tuple(size) for size in chosen) for chosen in together)]


def _contexts(
    kernel: Kernel, capabilities: Capabilities, alternative: Alternative, used: dict[str, None]
) -> Iterator[BodyContext]:
    """Each body, and what it is generated for."""
    names = itertools.count(1)
    for body, numbers in zip(kernel.bodies, alternative or ((),) * len(kernel.bodies), strict=True):
        native = NATIVE | FAST if is_streaming(body) else NATIVE
        size = BlockSize(*numbers) if numbers else None
        yield BodyContext(expand(body, native), kernel.buffers, capabilities.machine, used, names, size)


def function_name(kernel: Kernel, launch: int = 0) -> str:
    """The name of the function of a launch."""
    return f"{kernel.name}_kernel" + (f"_{launch + 1}" if launch else "")


def _skeleton(context: BodyContext) -> Skeleton:
    if is_streaming(context.body):
        return Skeleton(streaming.generate_body, streaming.sizes)
    if has_contraction(context.body):
        return Skeleton(contraction.generate_body, contraction.sizes)
    if is_pointwise(context.body):
        return Skeleton(pointwise.generate_body, pointwise.sizes)
    return Skeleton(reduction.generate_body, reduction.sizes)


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
