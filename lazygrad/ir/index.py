"""Index algebra: quasi-affine integer expressions over loop variables, canonical by construction.

In: variables with known extents. Out: ``Index`` objects, each a constant plus integer multiples of atoms,
where an atom is a variable, a floor division or a remainder. Afterwards: two expressions that the rules
below can prove equal are the same tuple, and every expression knows its smallest and largest value, so that
masks and divisions that cannot matter vanish while they are built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from math import gcd
from operator import attrgetter
from typing import Any, TypeAlias

from lazygrad.ir.interning import InternTable


class Variable:
    """A loop variable that runs over 0 <= value < extent. Interned: of equal name and extent there is one object."""

    __slots__ = ("__weakref__", "extent", "high", "low", "name", "order")

    extent: int
    high: int
    low: int
    name: str
    order: tuple[int, str]

    def __new__(cls, name: str, extent: int) -> Variable:
        key = (name, extent)
        found = _VARIABLES.get(key)
        if found is not None:
            return found
        made = super().__new__(cls)
        made.name = name
        made.extent = extent
        made.low, made.high = 0, max(extent - 1, 0)
        made.order = (0, name)
        return _VARIABLES.add(key, made)

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:  # a copy from another process is the object of this one
        return Variable, (self.name, self.extent)


class Quotient:
    """An atom ``index // divisor`` (rounded to minus infinity) or ``index % divisor`` (never negative). Interned."""

    __slots__ = ("__weakref__", "divisor", "high", "index", "low", "order", "remainder")

    divisor: int
    high: int
    index: Index
    low: int
    order: tuple[int, str]
    remainder: bool

    def __new__(cls, index: Index, divisor: int, remainder: bool) -> Quotient:
        key = (index, divisor, remainder)
        found = _QUOTIENTS.get(key)
        if found is not None:
            return found
        made = super().__new__(cls)
        made.index = index
        made.divisor = divisor
        made.remainder = remainder
        if remainder:
            made.low, made.high = 0, min(divisor - 1, index.high) if index.low >= 0 else divisor - 1
        else:
            made.low, made.high = index.low // divisor, index.high // divisor
        made.order = (1, repr(made))
        return _QUOTIENTS.add(key, made)

    def __repr__(self) -> str:
        return f"({self.index}) {'%' if self.remainder else '//'} {self.divisor}"

    def __reduce__(self) -> tuple[Any, ...]:
        return Quotient, (self.index, self.divisor, self.remainder)


Atom: TypeAlias = Variable | Quotient
_VARIABLES: InternTable[Variable] = InternTable()
_QUOTIENTS: InternTable[Quotient] = InternTable()


_order = attrgetter("order")


class Index:
    """``constant + sum(coefficient * atom)``, immutable, hashable, with its exact-enough bounds.

    >>> i, j = variable("i", 4), variable("j", 8)
    >>> flat = i * 8 + j
    >>> flat // 8, flat % 8, (flat // 16) * 2 + (flat // 8) % 2
    (i, j, i)
    """

    __slots__ = ("_hash", "constant", "high", "low", "terms")

    low: int
    high: int

    def __init__(self, constant: int, terms: tuple[tuple[Atom, int], ...] = ()) -> None:
        self.constant = constant
        self.terms = terms
        low = high = constant
        for atom, coefficient in terms:
            if coefficient > 0:
                low += coefficient * atom.low
                high += coefficient * atom.high
            else:
                low += coefficient * atom.high
                high += coefficient * atom.low
        self.low, self.high = low, high
        self._hash = hash((constant, terms))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Index)
            and self._hash == other._hash
            and self.constant == other.constant
            and self.terms == other.terms
        )

    def __reduce__(self) -> tuple[Any, ...]:  # hashes are this process's own
        return Index, (self.constant, self.terms)

    @property
    def is_constant(self) -> bool:
        return not self.terms

    def coefficient(self, atom: Atom) -> int:
        """How often ``atom`` itself (outside divisions) is in the sum."""
        for candidate, coefficient in self.terms:
            if candidate is atom:
                return coefficient
        return 0

    def __add__(self, other: Index | int) -> Index:
        if isinstance(other, int):
            return Index(self.constant + other, self.terms) if other else self
        if not other.terms:
            return self + other.constant
        if not self.terms:
            return other + self.constant
        return combination(0, ((self, 1), (other, 1)))

    __radd__ = __add__

    def __mul__(self, factor: int) -> Index:
        if factor == 1:
            return self
        if factor == 0:
            return Index(0)
        return Index(self.constant * factor, tuple((atom, c * factor) for atom, c in self.terms))

    __rmul__ = __mul__

    def __neg__(self) -> Index:
        return self * -1

    def __sub__(self, other: Index | int) -> Index:
        return self + (-other)

    def __floordiv__(self, divisor: int) -> Index:
        return self if divisor == 1 else _divide(self, divisor)[0]

    def __mod__(self, divisor: int) -> Index:
        return Index(0) if divisor == 1 else _divide(self, divisor)[1]

    def __repr__(self) -> str:
        parts: list[str] = []
        for atom, coefficient in self.terms:
            text = f"({atom!r})" if isinstance(atom, Quotient) and abs(coefficient) != 1 else repr(atom)
            sign = "-" if coefficient < 0 else "+"
            parts.append(f"{sign} {text if abs(coefficient) == 1 else f'{abs(coefficient)}*{text}'}")
        if self.constant or not parts:
            parts.append(f"{'-' if self.constant < 0 else '+'} {abs(self.constant)}")
        text = " ".join(parts)
        return text[2:] if text.startswith("+") else "-" + text[2:]


def variable(name: str, extent: int) -> Index:
    """The expression of one loop variable; a variable that can only be 0 is the constant 0."""
    return Index(0, ((Variable(name, extent), 1),)) if extent > 1 else Index(0)


def constant(value: int) -> Index:
    """The expression that is one number."""
    return Index(value)


def combination(constant_part: int, parts: Iterable[tuple[Index, int]]) -> Index:
    """``constant_part`` plus the sum of each index times its factor, at once.

    >>> combination(3, [(variable("i", 4), 8), (variable("j", 8) + 1, 2)])
    8*i + 2*j + 5
    """
    terms: dict[Atom, int] = {}
    for index, factor in parts:
        if factor:
            constant_part += index.constant * factor
            for atom, coefficient in index.terms:
                terms[atom] = terms.get(atom, 0) + coefficient * factor
    return _sum(constant_part, terms)


def _sum(constant_part: int, terms: dict[Atom, int]) -> Index:
    """Rejoins ``d*(x//d) + x%d`` into ``x``, and puts the terms in order."""
    for atom, coefficient in terms.items():
        if coefficient and isinstance(atom, Quotient) and atom.remainder:
            quotient = atom.index // atom.divisor
            if len(quotient.terms) != 1 or quotient.constant or quotient.terms[0][1] != 1:
                continue
            whole = quotient.terms[0][0]
            if terms.get(whole) == coefficient * atom.divisor:
                rest = {a: c for a, c in terms.items() if a is not atom and a is not whole}
                return _sum(constant_part, rest) + atom.index * coefficient
    kept = [atom for atom, coefficient in terms.items() if coefficient]
    if len(kept) > 1:
        kept.sort(key=_order)
    return Index(constant_part, tuple([(atom, terms[atom]) for atom in kept]))


@lru_cache(maxsize=65536)
def _divide(index: Index, divisor: int) -> tuple[Index, Index]:
    """``(index // divisor, index % divisor)``, both canonical."""
    if divisor <= 0:
        raise ValueError(f"division of the index {index} by {divisor}; a divisor must be positive")
    # Each coefficient gives its multiple of the divisor away, rounded to zero: 6*k // 5 == k + k // 5.
    split = [(atom, c, c // divisor if c >= 0 else -(-c // divisor)) for atom, c in index.terms]
    whole = Index(index.constant // divisor, tuple((atom, q) for atom, _, q in split if q))
    inside = tuple((atom, c - q * divisor) for atom, c, q in split if c != q * divisor)
    rest = Index(index.constant % divisor, inside)
    if rest.low // divisor == rest.high // divisor:
        shift = rest.low // divisor
        return whole + shift, rest - shift * divisor
    for common in sorted({gcd(c, divisor) for _, c in inside}, reverse=True):
        # (g*x + y) // (g*d) == x // d when 0 <= y < g.
        if common == 1:
            break
        low_part = Index(rest.constant % common, tuple(term for term in inside if term[1] % common))
        if low_part.low >= 0 and low_part.high < common:
            high_terms = tuple((atom, c // common) for atom, c in inside if c % common == 0)
            quotient, remainder = _divide(Index(rest.constant // common, high_terms), divisor // common)
            return whole + quotient, remainder * common + low_part
    if len(inside) == 1 and rest.constant == 0 and inside[0][1] == 1:
        atom = inside[0][0]
        if isinstance(atom, Quotient):
            if not atom.remainder:  # (x // a) // b == x // (a * b)
                return whole + atom.index // (atom.divisor * divisor), Index(0, ((Quotient(rest, divisor, True), 1),))
            if atom.divisor % divisor == 0:  # (x % ab) % b == x % b, (x % ab) // b == (x // b) % a
                return whole + (atom.index // divisor) % (atom.divisor // divisor), atom.index % divisor
    return (
        whole + Index(0, ((Quotient(rest, divisor, False), 1),)),
        Index(0, ((Quotient(rest, divisor, True), 1),)),
    )


def substitute(index: Index, values: Mapping[Variable, Index]) -> Index:
    """``index`` with every variable in ``values`` replaced, canonical again."""
    return Substitution(values)(index)


class Substitution:
    """One substitution with its memory: shared inner expressions are replaced once."""

    def __init__(self, values: Mapping[Variable, Index]) -> None:
        self.values = values
        self.atoms: dict[Atom, Index] = {}

    def __call__(self, index: Index) -> Index:
        if len(index.terms) == 1:
            ((atom, coefficient),) = index.terms
            return self._atom(atom) * coefficient + index.constant
        return combination(index.constant, [(self._atom(atom), coefficient) for atom, coefficient in index.terms])

    def _atom(self, atom: Atom) -> Index:
        found = self.atoms.get(atom)
        if found is None:
            if isinstance(atom, Variable):
                found = self.values.get(atom)
                if found is None:
                    found = Index(0, ((atom, 1),))
            else:
                inner = self(atom.index)
                found = inner % atom.divisor if atom.remainder else inner // atom.divisor
            self.atoms[atom] = found
        return found


def variables(index: Index) -> set[Variable]:
    """Every variable that the expression reads, divisions included."""
    found: set[Variable] = set()
    pending = [index]
    while pending:
        for atom, _ in pending.pop().terms:
            if isinstance(atom, Variable):
                found.add(atom)
            else:
                pending.append(atom.index)
    return found


def evaluate(index: Index, value_of: Callable[[Variable], int]) -> int:
    """The value at one point; also works on NumPy arrays of points."""
    total = index.constant
    for atom, coefficient in index.terms:
        if isinstance(atom, Variable):
            value = value_of(atom)
        else:
            inner = evaluate(atom.index, value_of)
            value = inner % atom.divisor if atom.remainder else inner // atom.divisor
        total = total + coefficient * value
    return total


class Bound:
    """The condition ``low <= index < high``. Divisibility is the bound ``0 <= x % d < 1``."""

    __slots__ = ("_hash", "high", "index", "low")

    def __init__(self, index: Index, low: int, high: int) -> None:
        self.index, self.low, self.high = index, low, high
        self._hash = hash((index, low, high))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Bound) and self.low == other.low and self.high == other.high and self.index == other.index
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return Bound, (self.index, self.low, self.high)

    @property
    def always(self) -> bool:
        return self.low <= self.index.low and self.index.high < self.high

    @property
    def never(self) -> bool:
        return self.index.high < self.low or self.index.low >= self.high

    def __repr__(self) -> str:
        return f"{self.low} <= {self.index} < {self.high}"


Mask = tuple[Bound, ...]


def simplify_mask(bounds: Iterable[Bound]) -> Mask:
    """Drops what always holds, shifts constants to the limits, joins bounds of one expression, and orders the rest."""
    limits: dict[Index, tuple[int, int]] = {}
    for bound in bounds:
        shift = bound.index.constant
        index, low, high = bound.index - shift, bound.low - shift, bound.high - shift
        factor = gcd(*(coefficient for _, coefficient in index.terms))
        if index.terms and index.terms[0][1] < 0:
            factor = -factor
        if factor not in (0, 1):  # low <= c*x < high
            index = Index(0, tuple((atom, coefficient // factor) for atom, coefficient in index.terms))
            if factor < 0:
                factor, low, high = -factor, 1 - high, 1 - low
            low, high = -(-low // factor), -(-high // factor)
        if low <= index.low and index.high < high:
            continue
        known = limits.get(index)
        limits[index] = (low, high) if known is None else (max(low, known[0]), min(high, known[1]))
    kept = [Bound(index, max(low, index.low), min(high, index.high + 1)) for index, (low, high) in limits.items()]
    if len(kept) > 1:
        kept.sort(key=repr)
    return tuple(kept)
