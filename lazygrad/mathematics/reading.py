"""Reading: from a graph of nodes to a term.

One visit to each node, inputs first. Each operation's reading says what it is in mathematics; an operation
without one is written as a function by its own name, so that a new primitive shows up at once.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from lazygrad.ir.composition import meaning
from lazygrad.ir.dtype import bool_
from lazygrad.ir.node import Node, topological
from lazygrad.ir.op import Family
from lazygrad.ir.shape import Shape
from lazygrad.mathematics import axes, functions, numbers, reductions
from lazygrad.mathematics.arithmetic import add, multiply, scale
from lazygrad.mathematics.leaves import Leaves
from lazygrad.mathematics.term import ONE, Book, Term

Reading = Callable[[Node, list[Term]], Term]


def read(root: Node, leaves: Leaves, book: Book) -> Term:
    """The simplified term of ``root``."""
    terms: dict[Node, Term] = {}
    for of in topological([root], lambda n: () if n in leaves.names or n in leaves.numbers else meaning(n)):
        name = leaves.names.get(of)
        if name is not None:
            terms[of] = book.symbol(name, of.shape)
        elif of in leaves.numbers:
            terms[of] = _number(book, leaves.numbers[of], of)
        elif not of.inputs:
            terms[of] = _source(book, of)
        else:
            terms[of] = _READINGS.get(of.op.name, _by_name)(of, [terms[i] for i in meaning(of)])
    return terms[root]


def _number(book: Book, value: bool | int | float, of: Node) -> Term:
    number = numbers.exact(value, of.dtype)
    return book.symbol(str(value), ()) if number is None else book.number(number)


def _source(book: Book, of: Node) -> Term:
    match of.op.name:
        case "constant":
            return _number(book, of.attributes.value.number, of)
        case "argument":
            return _number(book, of.attributes.handle.value, of)
        case "arange":
            return book.call("arange", [book.number(of.attributes.extent)], None, of.shape)
        case _:
            return book.symbol(of.op.name, of.shape)


def _by_name(of: Node, x: list[Term]) -> Term:
    book = x[0].book
    if of.op.family is Family.COMPOSITE:
        return x[0]
    if of.op.family is Family.ELEMENTWISE:
        return functions.function(of.op.name, x[0]) if len(x) == 1 else book.map(of.op.name, x)
    return book.call(of.op.name, [_whole(term, i.shape) for term, i in zip(x, of.inputs, strict=True)], None, of.shape)


def _whole(term: Term, shape: Shape) -> Term:
    """A term with all axes of the value, for functions in which an axis has a number."""
    return axes.expand(term, shape) if len(term.shape) != len(shape) else term


def _cast(of: Node, x: list[Term]) -> Term:
    """Between floats a cast is nothing;

    a condition becomes 1 or 0; a float loses its fraction on the way to an integer.
    """
    (source,) = of.inputs
    if source.dtype is bool_:
        return x[0] if of.dtype is bool_ else functions.indicator(x[0])
    if of.dtype.is_integer and source.dtype.is_float:
        return functions.function("trunc", x[0])
    return x[0]


def _bits(name: str) -> Reading:
    return lambda of, x: functions.logic(name, x[0], x[1], of.dtype is bool_)


def _not(of: Node, x: list[Term]) -> Term:
    return functions.negate(x[0]) if of.dtype is bool_ else x[0].book.map("invert", x)


def _reduce(of: Node, x: list[Term]) -> Term:
    return reductions.reduce(of.op.name, x[0], of.inputs[0].shape, of.attributes.axes)


def _arg_reduce(of: Node, x: list[Term]) -> Term:
    return reductions.arg_reduce(of.op.name, x[0], of.inputs[0].shape, of.attributes.axes[0])


def _contract(of: Node, x: list[Term]) -> Term:
    at = of.attributes
    extents = dict(zip((*at.a, *at.b), (*of.inputs[0].shape, *of.inputs[1].shape), strict=True))
    return reductions.contract(x[0], at.a, x[1], at.b, at.out, extents)


def _slice(of: Node, x: list[Term]) -> Term:
    return axes.slice_(x[0], [(r.start, r.start + (r.length - 1) * r.step + 1, r.step) for r in of.attributes.ranges])


def _pad(of: Node, x: list[Term]) -> Term:
    (term,) = x
    if term.is_number(0):
        return term
    missing = of.rank - len(term.shape)
    for axis, padding in enumerate(of.attributes.paddings):
        if padding != (0, 0, 0) and (axis < missing or term.shape[axis - missing] != of.inputs[0].shape[axis]):
            term, missing = axes.expand(term, of.inputs[0].shape), 0
            break
    paddings = tuple(of.attributes.paddings[missing:])
    shape = tuple(
        e if p == (0, 0, 0) else of.shape[a + missing]
        for a, (e, p) in enumerate(zip(term.shape, paddings, strict=True))
    )
    return term.book.call("pad", [term], paddings, shape)


def _windows(of: Node, x: list[Term]) -> Term:
    (term,) = x
    source = of.inputs[0]
    taps = len(of.attributes.windows)
    missing = source.rank - len(term.shape)
    kept = []
    still = []
    for position, window in enumerate(of.attributes.windows):
        if term.depends(source.rank - window.axis):
            kept.append(window._replace(axis=window.axis - missing))
        else:
            still.append(taps - position)
    if kept:
        extents = list(term.shape)
        for window in kept:
            extents[window.axis] = window.positions(extents[window.axis])
        shape = (*extents, *(window.size for window in kept))
        term = term.book.call("windows", [term], tuple(kept), shape)
    return axes.insert_all(term, still)


def _gather(of: Node, x: list[Term]) -> Term:
    source, index = (_whole(term, i.shape) for term, i in zip(x, of.inputs, strict=True))
    return source.book.call("gather", [source, index], of.attributes.axis, of.shape)


def _scatter(of: Node, x: list[Term]) -> Term:
    book = x[0].book
    base, index, source = (_whole(term, i.shape) for term, i in zip(x, of.inputs, strict=True))
    name = "scatter_add" if of.attributes.mode == "add" else "scatter"
    return book.call(name, [base, index, source], of.attributes.axis, of.shape)


def _view(of: Node, x: list[Term]) -> Term:
    return x[0].book.call("view", [_whole(x[0], of.inputs[0].shape)], of.attributes.map, of.shape)


def _same(of: Node, x: list[Term]) -> Term:
    return x[0]


_MINUS = Fraction(-1)
_READINGS: dict[str, Reading] = {
    "add": lambda of, x: add(x[0].book, [(ONE, x[0]), (ONE, x[1])]),
    "sub": lambda of, x: add(x[0].book, [(ONE, x[0]), (_MINUS, x[1])]),
    "mul": lambda of, x: multiply(*x),
    "div": lambda of, x: functions.divided(*x),
    "neg": lambda of, x: scale(x[0], -1),
    "pow": lambda of, x: functions.raised(*x),
    "maximum": lambda of, x: functions.extremum("maximum", *x),
    "minimum": lambda of, x: functions.extremum("minimum", *x),
    "lt": lambda of, x: functions.compare("lt", *x),
    "le": lambda of, x: functions.compare("le", *x),
    "eq": lambda of, x: functions.compare("eq", *x),
    "ne": lambda of, x: functions.compare("ne", *x),
    "where": lambda of, x: functions.where(*x),
    "bitwise_and": _bits("and"),
    "bitwise_or": _bits("or"),
    "bitwise_xor": _bits("xor"),
    "bitwise_not": _not,
    "cast": _cast,
    "detach": _same,
    "leaf": _same,
    "checkpoint": _same,
    "after": _same,
    "sum": _reduce,
    "prod": _reduce,
    "max": _reduce,
    "min": _reduce,
    "argmax": _arg_reduce,
    "argmin": _arg_reduce,
    "contract": _contract,
    "reshape": lambda of, x: axes.reshape(x[0], of.inputs[0].shape, of.shape),
    "permute": lambda of, x: axes.permute(x[0], of.attributes.axes),
    "expand": _same,
    "slice": _slice,
    "pad": _pad,
    "flip": lambda of, x: axes.flip(x[0], of.attributes.axes, of.rank),
    "windows": _windows,
    "gather": _gather,
    "scatter": _scatter,
    "view": _view,
}


def digits_of(dtype: Any) -> int:
    """How many digits of a number that is no short decimal are written for results of a dtype."""
    return 10 if dtype.bits == 64 else 7
