"""Running generated functions in Triton's interpreter.

In: a function as ``loading.interpreter_functions`` makes it, a number of programs, buffers and numbers. Out: the
buffers hold what the launch writes. All programs of a portion run at once. Where control flow depends on something
in which they differ, what they stored is undone, and they run again in groups that agree.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy
import triton.language as tl
from triton.runtime.interpreter import TensorHandle

from lazygrad_triton import versions
from lazygrad_triton.interpreter_builder import Divergence, element_type
from lazygrad_triton.interpreter_language import builder, interpreted_language, truth
from lazygrad_triton.interpreter_memory import AddressSpace, Array, Region
from lazygrad_triton.interpreter_reductions import REDUCTIONS
from lazygrad_triton.loading import interpreter_functions, single_expressions

# More programs than these do not run at once: their blocks would no longer be in the processor's caches.
PROGRAMS_AT_ONCE = 128


class Buffer(NamedTuple):
    """A pointer argument: a buffer's bytes, the pointer's type as Triton writes it, which bytes may be touched."""

    bytes: Array
    type: str
    first: int
    last: int
    written: bool


class Number(NamedTuple):
    """A scalar argument and its type as Triton writes it."""

    value: bool | int | float
    type: str


class InterpretedFile:
    """The functions of one generated file."""

    def __init__(self, text: str, path: str) -> None:
        self.path = path
        self._functions = interpreter_functions(text, path, versions.to_tensor(builder), truth)
        for name, expression in single_expressions(text).items():
            if expression in REDUCTIONS:
                self._functions[name].__dict__["reduction"] = REDUCTIONS[expression]
        # The groups in which the programs of a launch agreed the last time.
        self._groups: dict[tuple[str, int], list[Array]] = {}

    def launch(self, function: str, programs: int, arguments: Sequence[Buffer | Number]) -> None:
        """Runs all programs of a grid. RuntimeError with the line of the generated file when one fails."""
        with interpreted_language(), numpy.errstate(all="ignore"):
            memory = builder.memory = AddressSpace()
            builder.program_count = programs
            tensors = [_argument(argument, memory) for argument in arguments]
            try:
                groups = self._groups.get((function, programs)) or _portions(programs)
                self._groups[function, programs] = _run(self._functions[function], groups, tensors)
            except Exception as error:
                place = _line_of(error, self.path)
                raise RuntimeError(
                    f"{function} failed in Triton's interpreter at {place}: {type(error).__name__}: {error}"
                ) from error
            finally:
                builder.memory = AddressSpace()


def _portions(programs: int) -> list[Array]:
    numbers = numpy.arange(programs, dtype=numpy.int32)
    return [numbers[start : start + PROGRAMS_AT_ONCE] for start in range(0, programs, PROGRAMS_AT_ONCE)]


def _run(function: Callable[..., Any], groups: Sequence[Array], arguments: Sequence[Any]) -> list[Array]:
    """Runs every group. Returns the groups that agreed."""
    agreed = []
    waiting = list(reversed(groups))
    while waiting:
        group = waiting.pop()
        builder.programs = group
        try:
            function(*arguments)
        except Divergence as parting:
            builder.memory.undo()
            kinds = numpy.unique(parting.values)
            waiting += [group[parting.values == kind] for kind in kinds[::-1]]
        else:
            builder.memory.commit()
            agreed.append(group)
    return agreed


def _line_of(error: BaseException, path: str) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f"{path}:{lines[-1]}" if lines else path


# ---- arguments


def _argument(argument: Buffer | Number, memory: AddressSpace) -> Any:
    if isinstance(argument, Buffer):
        address = memory.add(Region(argument.bytes, argument.first, argument.last, argument.written))
        kind = tl.pointer_type(_type(argument.type.removeprefix("*")))
        return tl.tensor(TensorHandle(numpy.array([address], numpy.uint64), kind), kind)
    kind = _type(argument.type)
    return tl.tensor(TensorHandle(numpy.array([argument.value]).astype(element_type(kind)), kind), kind)


@cache
def _type(name: str) -> Any:
    names = {"i": "int", "u": "uint", "fp": "float", "bf": "bfloat"}
    letters = name.rstrip("0123456789")
    return getattr(tl, names[letters] + name[len(letters) :])
