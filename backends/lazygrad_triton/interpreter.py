"""Running generated functions in Triton's interpreter.

In: a function as ``loading.interpreter_functions`` makes it, a number of programs, buffers and numbers. Out: the
buffers hold what the launch writes. All programs of a portion run at once. Where control flow depends on something
in which they differ, what they stored is undone, and they run again in groups that agree.

While a function runs, parts of the module ``triton.language`` are replaced, as Triton's own interpreter does it for
every launch; they are put back afterwards, so that the compiler finds the language as it was.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import pairwise
from threading import RLock
from types import FunctionType
from typing import Any, NamedTuple

import numpy
import triton.language as tl
from triton.runtime.interpreter import TensorHandle

from lazygrad_triton import versions
from lazygrad_triton.interpreter_builder import BlockBuilder, Divergence, element_type, uniform
from lazygrad_triton.interpreter_memory import AddressSpace, Array, Region
from lazygrad_triton.loading import interpreter_functions, single_expressions

# More programs than these do not run at once: their blocks would no longer be in the processor's caches.
PROGRAMS_AT_ONCE = 128
# How NumPy reduces what these functions of two partial results, x and y, do.
_REDUCTIONS: dict[str, numpy.ufunc] = {
    "x + y": numpy.add,
    "x * y": numpy.multiply,
    "x | y": numpy.bitwise_or,
    "x & y": numpy.bitwise_and,
    "tl.maximum(x, y, propagate_nan=tl.PropagateNan.ALL)": numpy.maximum,
    "tl.minimum(x, y, propagate_nan=tl.PropagateNan.ALL)": numpy.minimum,
}
_MISSING = object()
_builder = BlockBuilder()
# Held while the language is changed.
language_lock = RLock()


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
        self._functions = interpreter_functions(text, path, versions.to_tensor(_builder), _truth)
        for name, expression in single_expressions(text).items():
            if expression in _REDUCTIONS:
                self._functions[name].__dict__["reduction"] = _REDUCTIONS[expression]
        # The groups in which the programs of a launch agreed the last time.
        self._groups: dict[tuple[str, int], list[Array]] = {}

    def launch(self, function: str, programs: int, arguments: Sequence[Buffer | Number]) -> None:
        """Runs all programs of a grid. RuntimeError with the line of the generated file when one fails."""
        with language_lock, _language_for_interpreter(), numpy.errstate(all="ignore"):
            memory = AddressSpace()
            _builder.memory = memory
            _builder.program_count = programs
            tensors = [_argument(argument, memory) for argument in arguments]
            try:
                groups = self._groups.get((function, programs)) or _portions(programs)
                self._groups[function, programs] = _run(self._functions[function], groups, tensors, memory)
            except Exception as error:
                place = _line_of(error, self.path)
                raise RuntimeError(
                    f"{function} failed in Triton's interpreter at {place}: {type(error).__name__}: {error}"
                ) from error
            finally:
                _builder.memory = AddressSpace()


def _portions(programs: int) -> list[Array]:
    numbers = numpy.arange(programs, dtype=numpy.int32)
    return [numbers[start : start + PROGRAMS_AT_ONCE] for start in range(0, programs, PROGRAMS_AT_ONCE)]


def _run(
    function: Callable[..., Any], groups: Sequence[Array], arguments: Sequence[Any], memory: AddressSpace
) -> list[Array]:
    """Runs every group. Returns the groups that agreed."""
    agreed = []
    waiting = list(reversed(groups))
    while waiting:
        group = waiting.pop()
        _builder.programs = group
        try:
            function(*arguments)
        except Divergence as parting:
            memory.undo()
            kinds = numpy.unique(parting.values)
            waiting += [group[parting.values == kind] for kind in kinds[::-1]]
        else:
            memory.commit()
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


# ---- the language


@contextmanager
def _language_for_interpreter() -> Iterator[None]:
    replacements = _replacements()
    for owner, name, _, new in replacements:
        setattr(owner, name, new)
    try:
        yield
    finally:
        _put_back(replacements)


def _put_back(replacements: Iterable[tuple[Any, str, Any, Any]]) -> None:
    for owner, name, old, _ in replacements:
        if old is _MISSING:
            delattr(owner, name)
        else:
            setattr(owner, name, old)


@lru_cache(maxsize=1)
def _replacements() -> tuple[tuple[Any, str, Any, Any], ...]:
    """What is replaced: owner, name, what it is, what it becomes. Found by letting Triton do it and looking."""
    owners = [tl, tl.core, tl.math, *(value for value in vars(tl.core).values() if inspect.isclass(value))]
    before = [dict(vars(owner)) for owner in owners]
    versions.patch_language(FunctionType((lambda: None).__code__, {"tl": tl, "core": tl.core}))
    after = [dict(vars(owner)) for owner in owners]
    replaced = [
        (owner, name, old.get(name, _MISSING), value)
        for owner, old, new in zip(owners, before, after, strict=True)
        for name, value in new.items()
        if value is not old.get(name, _MISSING)
    ]
    _put_back(replaced)
    changes: dict[tuple[int, str], tuple[Any, str, Any, Any]] = {}
    for owner, name, old, value in replaced:
        original = getattr(owner, name, None)
        own = _bound(original) if original is not None and tl.core.is_builtin(original) else value
        changes[id(owner), name] = (owner, name, old, own)
    for owner, name, value in _own_replacements():
        changes[id(owner), name] = (owner, name, vars(owner).get(name, _MISSING), value)
    return tuple(changes.values())


def _bound(builtin: Callable[..., Any]) -> Callable[..., Any]:
    """The function of the language with the interpreter's builder."""
    keyword, argument = versions.language_argument(_builder)
    fixed = {keyword: argument}

    def call(*positional: Any, **named: Any) -> Any:
        return builtin(*positional, **(named | fixed) if named else fixed)

    return call


def _own_replacements() -> Iterator[tuple[Any, str, Any]]:
    yield tl.tensor, "__bool__", lambda _: True  # as for the compiler; conditions of functions ask for the value
    yield tl.tensor, "__index__", lambda tensor: int(uniform(tensor))
    yield tl.tensor, "T", property(_transposed)
    for module in (tl, tl.core):
        yield module, "reduce", _reduce
        yield module, "associative_scan", _scan


def _block(data: Array, dtype: Any) -> Any:
    """A tensor of an array whose first axis is the programs'."""
    shape = list(data.shape[1:])
    return tl.tensor(TensorHandle(data, dtype), tl.block_type(dtype, shape) if shape else dtype)


def _truth(value: Any) -> bool:
    return bool(uniform(value)) if isinstance(value, tl.tensor) else bool(value)


def _transposed(tensor: Any) -> Any:
    return _block(tensor.handle.data.swapaxes(-1, -2), tensor.dtype)


def _combined(
    combine: Callable[..., Any], left: Sequence[Array], right: Sequence[Array], types: Sequence[Any]
) -> list[Array]:
    both = [_block(data, dtype) for data, dtype in zip((*left, *right), (*types, *types), strict=True)]
    results = combine(*both)
    return [result.handle.data for result in (results if isinstance(results, tuple) else (results,))]


def _reduce(input: Any, axis: int | None, combine_fn: Callable[..., Any], keep_dims: bool = False, **_: Any) -> Any:
    """As NumPy reduces, or neighbours are combined, all pairs at once, until one is left.

    Triton's interpreter takes element by element.
    """
    tensors = input if isinstance(input, tuple) else (input,)
    types = [tensor.dtype for tensor in tensors]
    arrays = [tensor.handle.data for tensor in tensors]
    rank = arrays[0].ndim - 1
    if axis is None:
        arrays = [data.reshape(data.shape[0], -1) for data in arrays]
    along = 1 if axis is None else int(axis) % rank + 1
    arrays = [numpy.moveaxis(data, along, -1) for data in arrays]
    reduction = getattr(combine_fn, "reduction", None)
    if reduction is not None and types[0] is not tl.bfloat16:
        arrays = [reduction.reduce(data, axis=-1, dtype=data.dtype, keepdims=True) for data in arrays]
    while (count := arrays[0].shape[-1]) > 1:
        pairs = count // 2
        rest = [data[..., 2 * pairs :] for data in arrays]
        left, right = ([data[..., start : 2 * pairs : 2] for data in arrays] for start in (0, 1))
        arrays = _combined(combine_fn, left, right, types)
        if count % 2:
            arrays = [numpy.concatenate(parts, axis=-1) for parts in zip(arrays, rest, strict=True)]
    results = []
    for data, dtype in zip(arrays, types, strict=True):
        reduced = data[..., 0]
        if keep_dims:
            reduced = reduced.reshape(-1, *(1,) * rank) if axis is None else numpy.expand_dims(reduced, along)
        results.append(_block(reduced, dtype))
    return tuple(results) if isinstance(input, tuple) else results[0]


def _scan(input: Any, axis: int, combine_fn: Callable[..., Any], reverse: bool = False, **_: Any) -> Any:
    """Along the axis one position after the other, everything beside it at once."""
    tensors = input if isinstance(input, tuple) else (input,)
    types = [tensor.dtype for tensor in tensors]
    along = int(axis) % (tensors[0].handle.data.ndim - 1) + 1
    arrays = [numpy.moveaxis(tensor.handle.data, along, -1) for tensor in tensors]
    results = [data.copy() for data in arrays]
    positions = range(arrays[0].shape[-1])
    order = list(reversed(positions)) if reverse else list(positions)
    for before, position in pairwise(order):
        combined = _combined(
            combine_fn, [data[..., before] for data in results], [data[..., position] for data in arrays], types
        )
        for result, data in zip(results, combined, strict=True):
            result[..., position] = data
    scanned = [_block(numpy.moveaxis(data, -1, along), dtype) for data, dtype in zip(results, types, strict=True)]
    return tuple(scanned) if isinstance(input, tuple) else scanned[0]
