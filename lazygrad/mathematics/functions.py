"""Elementwise functions: what is known about each, applied while a term is made."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from lazygrad.mathematics.arithmetic import (
    add,
    entries_of,
    factors_of,
    multiply,
    power,
    product,
    scale,
    softmax,
    split,
)
from lazygrad.mathematics.axes import insert_all, squeeze_all
from lazygrad.mathematics.term import ONE, Book, Term

_ODD = frozenset({"sin", "tanh", "erf", "asin", "atan", "sign", "trunc", "round"})
_EVEN = frozenset({"cos", "abs"})
_AT_ZERO: dict[str, Fraction | int] = {
    "exp": 1, "expm1": 0, "log1p": 0, "sin": 0, "cos": 1, "asin": 0, "atan": 0, "tanh": 0, "erf": 0,
    "sigmoid": Fraction(1, 2), "relu": 0, "abs": 0, "sign": 0, "floor": 0, "ceil": 0, "trunc": 0, "round": 0,
}  # fmt: skip
_OPPOSITE = {"lt": "le", "le": "lt", "eq": "ne", "ne": "eq"}


def function(name: str, argument: Term) -> Term:
    """A function of one argument."""
    book = argument.book
    if argument.is_number(0) and name in _AT_ZERO:
        return book.number(Fraction(_AT_ZERO[name]))
    match name:
        case "sqrt":
            return power(argument, Fraction(1, 2))
        case "rsqrt":
            return power(argument, Fraction(-1, 2))
        case "exp":
            return _exp(argument)
        case "log":
            return _log(argument)
        case "abs" if argument.kind == "number":
            return book.number(abs(argument.data))
        case "sign" if argument.kind == "number":
            return book.number(1 if argument.data > 0 else -1)
        case "relu" if argument.kind == "number":
            return book.number(max(argument.data, Fraction(0)))
    if argument.name == name and name in ("relu", "abs", "floor", "ceil", "trunc", "round", "sign"):
        return argument
    if name in _ODD | _EVEN and _is_negative(argument):
        positive = function(name, scale(argument, -1))
        return positive if name in _EVEN else scale(positive, -1)
    return book.map(name, [argument])


def _is_negative(term: Term) -> bool:
    """Whether a minus sign in front makes the term plainer."""
    if term.kind == "sum":
        return all(c < 0 for c in term.data)
    return split(term)[0] < 0


def _exp(argument: Term) -> Term:
    if argument.name == "log":
        return argument.children[0]
    for coefficient, term in entries_of(argument):
        total = term.children[0] if term.name == "insert" else term
        if coefficient == -1 and total.name == "logsumexp":
            rest = add(argument.book, [(ONE, argument), (ONE, term)])
            if rest is total.children[0]:
                return softmax(rest, total.attributes)
    return argument.book.map("exp", [argument])


def _log(argument: Term) -> Term:
    book = argument.book
    if argument.is_number(1):
        return book.zero
    if argument.name == "exp":
        return argument.children[0]
    if argument.name == "softmax":
        (inner,) = argument.children
        places = [len(inner.shape) - axis for axis in argument.attributes]
        return add(book, [(ONE, inner), (-ONE, insert_all(logsumexp(inner, argument.attributes), places))])
    inner = argument.children[0] if argument.name == "insert" else argument
    if inner.name == "sum" and inner.children[0].name == "exp":
        total = logsumexp(inner.children[0].children[0], inner.attributes)
        return insert_all(total, argument.attributes) if argument is not inner else total
    return book.map("log", [argument])


def logsumexp(argument: Term, axes: tuple[int, ...]) -> Term:
    """log(sum(exp(x))) along ``axes`` of the argument.

    What is constant along them comes out: the usual shift.
    """
    book = argument.book
    places = sorted(len(argument.shape) - axis for axis in axes)
    inside = [(c, t) for c, t in entries_of(argument) if any(t.depends(place) for place in places)]
    outside = [(c, t) for c, t in entries_of(argument) if not any(t.depends(place) for place in places)]
    plain = add(book, inside)
    if plain.shape != argument.shape:
        plain, outside = argument, []
    shape = tuple(extent for axis, extent in enumerate(argument.shape) if axis not in axes)
    total = book.call("logsumexp", [plain], axes, shape)
    return add(book, [(ONE, total), *((c, squeeze_all(t, places)) for c, t in outside)])


def compare(name: str, left: Term, right: Term) -> Term:
    """A condition. Numbers go to the right, common signs and positive factors go."""
    book = left.book
    if left.kind == "number" and right.kind == "number":
        a, b = left.data, right.data
        holds = {"lt": a < b, "le": a <= b, "eq": a == b, "ne": a != b}[name]
        return book.number(int(holds))
    if left is right:
        return book.number(int(name in ("le", "eq")))
    # relu(x) > 0 is x > 0.
    if name == "lt" and left.is_number(0) and right.name == "relu":
        right = right.children[0]
    return book.map(name, [left, right])


def negate(condition: Term) -> Term:
    """The opposite of a condition."""
    book = condition.book
    if condition.kind == "number":
        return book.number(1 - condition.data)
    if condition.name in _OPPOSITE:
        left, right = condition.children
        if condition.name in ("lt", "le"):
            left, right = right, left
        return book.map(_OPPOSITE[condition.name], [left, right])
    if condition.name == "not":
        return condition.children[0]
    return book.map("not", [condition])


def logic(name: str, left: Term, right: Term, is_bool: bool) -> Term:
    """Bitwise and, or, exclusive or."""
    book = left.book
    if is_bool and name in ("and", "or"):
        absorbing = int(name == "or")
        for one, other in ((left, right), (right, left)):
            if one.kind == "number":
                return one if one.data == absorbing else other
    if left is right and name in ("and", "or"):
        return left
    return book.map(name, sorted((left, right), key=lambda term: term.ordinal))


def indicator(condition: Term) -> Term:
    """1 where the condition holds, else 0."""
    return condition if condition.kind == "number" else condition.book.map("indicator", [condition])


def where(condition: Term, yes: Term, no: Term) -> Term:
    """One of two. A zero branch makes it the other branch times an indicator; common factors come out."""
    book = condition.book
    if condition.kind == "number":
        return yes if condition.data else no
    if yes is no:
        return yes
    # Inside a branch its condition is known.
    yes, no = _given(condition, yes, True), _given(condition, no, False)
    if no.is_number(0):
        return multiply(yes, indicator(condition))
    if yes.is_number(0):
        return multiply(no, indicator(negate(condition)))
    (c, a), (d, b) = factors_of(yes), factors_of(no)
    shared = {
        base: min(exponent, b[base]) if exponent > 0 else max(exponent, b[base])
        for base, exponent in a.items()
        if base in b and exponent * b[base] > 0
    }
    if shared:
        inverse = [(base, -exponent) for base, exponent in shared.items()]
        inner = where(condition, product(book, ONE, [(yes, ONE), *inverse]), product(book, ONE, [(no, ONE), *inverse]))
        return product(book, ONE, [*shared.items(), (inner, ONE)])
    if c < 0 and d < 0:
        return scale(where(condition, scale(yes, -1), scale(no, -1)), -1)
    return book.map("where", [condition, yes, no])


def _given(condition: Term, branch: Term, holds: bool) -> Term:
    """A branch where the condition is known to hold or not to."""
    opposite = negate(condition)
    if branch.name == "where" and branch.children[0] in (condition, opposite):
        first = (branch.children[0] is condition) == holds
        return branch.children[1 if first else 2]
    coefficient, powers = factors_of(branch)
    for base in list(powers):
        if base.name == "indicator" and base.children[0] in (condition, opposite):
            if (base.children[0] is condition) != holds:
                return branch.book.zero
            del powers[base]
            return product(branch.book, coefficient, list(powers.items()))
    return branch


def raised(base: Term, exponent: Term) -> Term:
    """``base ** exponent``."""
    if exponent.kind == "number" and abs(exponent.data) < 10**6:
        return power(base, exponent.data)
    return base.book.map("pow", [base, exponent])


def divided(left: Term, right: Term) -> Term:
    """``left / right``."""
    return product(left.book, ONE, [(left, ONE), (right, -ONE)])


def extremum(name: str, left: Term, right: Term) -> Term:
    """``maximum`` or ``minimum``."""
    if left is right:
        return left
    if left.kind == "number" and right.kind == "number":
        return left if (left.data > right.data) == (name == "maximum") else right
    if name == "maximum":
        for one, other in ((left, right), (right, left)):
            if one.is_number(0):
                return function("relu", other)
    if left.kind == "number":
        left, right = right, left
    return left.book.map(name, [left, right])


def apply(book: Book, name: str, arguments: Sequence[Term]) -> Term:
    """Any elementwise function by name, for rebuilding one with other arguments."""
    match name:
        case "where":
            return where(*arguments)
        case "indicator":
            return indicator(arguments[0])
        case "lt" | "le" | "eq" | "ne":
            return compare(name, *arguments)
        case "pow":
            return raised(*arguments)
        case "maximum" | "minimum":
            return extremum(name, *arguments)
        case _ if len(arguments) == 1:
            return function(name, arguments[0])
        case _:
            return book.map(name, arguments)
