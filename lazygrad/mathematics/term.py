"""Terms: mathematical expressions as data, interned, so that equal terms are one object.

A term has one of five kinds:

    number   data: a Fraction
    symbol   data: a name
    sum      data: one coefficient for each child; a child that is the number 1 carries the constant
    product  data: (coefficient, one exponent for each child)
    map      data: (name, attributes); a function of each element of its children
    call     data: (name, attributes); any other function

Shapes broadcast as in NumPy, from the right, so a value and the same value repeated along an axis are one
term. ``weight`` is about the number of characters the term takes when it is written out, and ``ordinal``
counts terms in the order of their making: both are fixed by what was built before, never by memory addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, Literal

from lazygrad.ir.shape import Shape
from lazygrad.mathematics.numbers import number_text

Kind = Literal["number", "symbol", "sum", "product", "map", "call"]
Factor = tuple["Term", Fraction]

# Weights stop growing here: shared terms would otherwise have weights of thousands of digits.
WEIGHT_LIMIT = 10**9
# Only terms that are lighter than this are taken apart again; it also bounds the depth of recursion.
SMALL = 400

ONE = Fraction(1)


class Term:
    """One expression. Made by :class:`Book` only; compared by identity."""

    __slots__ = ("book", "children", "data", "kind", "ordinal", "shape", "weight")

    book: Book
    kind: Kind
    children: tuple[Term, ...]
    data: Any
    shape: Shape
    ordinal: int
    weight: int

    @property
    def name(self) -> str:
        """What a map or call is named; empty for every other kind."""
        return str(self.data[0]) if self.kind in ("map", "call") else ""

    @property
    def attributes(self) -> Any:
        """What a map or call has besides its children."""
        return self.data[1]

    @property
    def is_small(self) -> bool:
        """Whether the term may be taken apart again."""
        return self.weight < SMALL

    def is_number(self, value: int) -> bool:
        """Whether the term is this number."""
        return self.kind == "number" and bool(self.data == value)

    def depends(self, place: int) -> bool:
        """Whether the value changes along the axis that is ``place``-th from the right, counted from 1."""
        return len(self.shape) >= place and self.shape[-place] != 1

    def __repr__(self) -> str:
        inner = f" {self.data}" if self.kind in ("number", "symbol", "map", "call") else ""
        return f"<{self.kind}{inner} #{self.ordinal}>"


class Book:
    """The terms of one expression: makes each only once, and numbers them."""

    def __init__(self, digits: int = 7) -> None:
        self.digits = digits
        self._table: dict[Any, Term] = {}
        self.zero = self.number(Fraction(0))
        self.one = self.number(ONE)

    def _make(self, key: Any, kind: Kind, children: tuple[Term, ...], data: Any, shape: Shape, weight: int) -> Term:
        found = self._table.get(key)
        if found is None:
            found = Term()
            found.book, found.kind, found.children, found.data, found.shape = (
                self,
                kind,
                children,
                data,
                shape,
            )
            found.ordinal = len(self._table)
            found.weight = min(weight, WEIGHT_LIMIT)
            self._table[key] = found
        return found

    def number(self, value: Fraction | int) -> Term:
        """A number."""
        value = Fraction(value)
        return self._make(("number", value), "number", (), value, (), len(number_text(value, self.digits)))

    def symbol(self, name: str, shape: Shape) -> Term:
        """A leaf."""
        return self._make(("symbol", name), "symbol", (), name, shape, len(name))

    def sum(self, entries: Sequence[tuple[Fraction, Term]]) -> Term:
        """A sum as it stands:

        two entries or more, no child twice, no coefficient 0. Order is for the eye only.
        """
        coefficients = tuple(c for c, _ in entries)
        children = tuple(t for _, t in entries)
        weight = 3 * (len(entries) - 1) + sum(
            len(number_text(abs(c), self.digits)) if t is self.one else scaled_weight(c, t, self.digits)
            for c, t in entries
        )
        key = ("sum", frozenset(zip(coefficients, children, strict=True)))
        return self._make(key, "sum", children, coefficients, joint_shape(children), weight)

    def product(self, coefficient: Fraction, factors: Sequence[Factor]) -> Term:
        """A product as it stands: no base twice, no exponent 0."""
        ordered = sorted(factors, key=_factor_order)
        bases = tuple(base for base, _ in ordered)
        exponents = tuple(exponent for _, exponent in ordered)
        weight = len(ordered) - 1
        for base, exponent in ordered:
            size = abs(exponent)
            weight += base.weight + (2 if base.kind == "sum" and len(ordered) > 1 else 0)
            weight += 0 if size == 1 else 6 if size == Fraction(1, 2) else 2 + len(number_text(size, self.digits))
        if all(exponent < 0 for exponent in exponents):
            weight += 2
        if abs(coefficient) != 1:
            weight += len(number_text(abs(coefficient), self.digits)) + 1
        key = ("product", coefficient, bases, exponents)
        return self._make(key, "product", bases, (coefficient, exponents), joint_shape(bases), weight)

    def map(self, name: str, children: Sequence[Term], attributes: Any = None) -> Term:
        """A function of each element; shapes broadcast."""
        given = tuple(children)
        return self._make(
            ("map", name, given, attributes),
            "map",
            given,
            (name, attributes),
            joint_shape(given),
            _weight(name, given),
        )

    def call(self, name: str, children: Sequence[Term], attributes: Any, shape: Shape) -> Term:
        """Any other function."""
        given = tuple(children)
        return self._make(
            ("call", name, given, attributes, shape), "call", given, (name, attributes), shape,
            _weight(name, given) + len(repr(attributes)) // 2,
        )  # fmt: skip


def scaled_weight(coefficient: Fraction, term: Term, digits: int) -> int:
    """The weight of a term behind a coefficient."""
    size = abs(coefficient)
    return term.weight if size == 1 else term.weight + 1 + len(number_text(size, digits))


def joint_shape(terms: Iterable[Term]) -> Shape:
    """The shape to which the terms' shapes broadcast."""
    result: list[int] = []
    for term in terms:
        shape = term.shape
        if len(shape) > len(result):
            result = [1] * (len(shape) - len(result)) + result
        for place in range(1, len(shape) + 1):
            if shape[-place] != 1:
                result[-place] = shape[-place]
    return tuple(result)


def all_terms(root: Term, children: Callable[[Term], Sequence[Term]] = lambda term: term.children) -> list[Term]:
    """Every term below ``root`` and itself, children before parents. Iterative: depth costs nothing."""
    order: list[Term] = []
    seen = {root}
    stack = [(root, iter(children(root)))]
    while stack:
        current, remaining = stack[-1]
        for child in remaining:
            if child not in seen:
                seen.add(child)
                stack.append((child, iter(children(child))))
                break
        else:
            order.append(current)
            stack.pop()
    return order


def _weight(name: str, children: Sequence[Term]) -> int:
    return len(name) + 2 + sum(child.weight for child in children) + 2 * max(len(children) - 1, 0)


# Within a product: symbols, then functions, then sums, each in the order of their making.
_RANK = {"number": 0, "symbol": 0, "map": 1, "call": 1, "product": 2, "sum": 3}


def _factor_order(factor: Factor) -> tuple[int, int]:
    base, _ = factor
    return _RANK[base.kind], base.ordinal
