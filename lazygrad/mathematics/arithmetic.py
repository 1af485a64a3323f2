"""Sums, products and powers in normal form.

Like terms are collected, powers joined, numbers folded, common factors taken out where that makes the text
shorter. The real-number meaning is kept wherever the original is defined; ``x/x`` becomes 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import gcd

from lazygrad.mathematics import numbers
from lazygrad.mathematics.term import ONE, Book, Factor, Term

# A sum or product of more parts than this is not merged into the next one, so that a chain stays linear.
FLAT_LIMIT = 32
# Multiplying out stops at so many products.
_EXPANSION_LIMIT = 24
_LARGEST_EXPANDED_POWER = 3

Entry = tuple[Fraction, Term]


def add(book: Book, entries: Iterable[Entry]) -> Term:
    """``sum(coefficient * term)`` in normal form: of several equal forms the one with the shortest text."""
    collected = _collect(book, entries)
    best = _plain(book, collected)
    if best.kind != "sum" or not best.is_small or len(collected) > FLAT_LIMIT:
        return best
    candidates = [_factored(book, collected), _grouped(book, collected)]
    expanded = _expanded(book, collected)
    if expanded is not None:
        candidates += [_plain(book, expanded), _factored(book, expanded)]
    for candidate in candidates:
        if candidate is not None and candidate.weight < best.weight:
            best = candidate
    return best


def plain_sum(book: Book, entries: Iterable[Entry]) -> Term:
    """Like :func:`add`, without looking for a shorter form."""
    return _plain(book, _collect(book, entries))


def scale(term: Term, factor: Fraction | int) -> Term:
    """``factor * term``."""
    factor = Fraction(factor)
    return term if factor == 1 else product(term.book, factor, [(term, ONE)])


def multiply(*terms: Term) -> Term:
    """The product of terms."""
    return product(terms[0].book, ONE, [(term, ONE) for term in terms])


def power(term: Term, exponent: Fraction | int) -> Term:
    """``term ** exponent`` for a rational exponent."""
    return product(term.book, ONE, [(term, Fraction(exponent))])


def split(term: Term) -> Entry:
    """A term as coefficient times a term whose own coefficient is 1."""
    if term.kind == "number":
        return term.data, term.book.one
    if term.kind == "product":
        coefficient, exponents = term.data
        if coefficient != 1:
            return coefficient, _build(term.book, ONE, dict(zip(term.children, exponents, strict=True)))
    return ONE, term


def split_content(term: Term) -> Entry:
    """Like :func:`split`, and takes out of a sum what all its coefficients have in common: -a/6 - b/6."""
    if term.kind == "sum" and len({abs(c) for c in term.data}) == 1 and term.data[0] != 1:
        return _content(term)
    return split(term)


def factors_of(term: Term) -> tuple[Fraction, dict[Term, Fraction]]:
    """A term as coefficient and powers."""
    if term.kind == "number":
        return term.data, {}
    if term.kind == "product":
        coefficient, exponents = term.data
        return coefficient, dict(zip(term.children, exponents, strict=True))
    return ONE, {term: ONE}


def entries_of(term: Term) -> list[Entry]:
    """A term as a list of summands."""
    return list(zip(term.data, term.children, strict=True)) if term.kind == "sum" else [split(term)]


def product(book: Book, coefficient: Fraction, factors: Iterable[Factor]) -> Term:
    """A coefficient times powers, in normal form."""
    powers: dict[Term, Fraction] = {}
    pending = list(factors)
    pending.reverse()
    while pending:
        base, exponent = pending.pop()
        whole = exponent.denominator == 1
        if base.kind == "number":
            value = numbers.power(base.data, exponent)
            if value is not None:
                coefficient *= value
                continue
        elif base.kind == "product" and len(base.children) <= FLAT_LIMIT and (whole or base.data[0] > 0):
            own, exponents = base.data
            scaled = numbers.power(own, exponent)
            # The root of a product is not the product of roots where factors are negative.
            if scaled is not None and whole:
                coefficient *= scaled
                pending.extend(reversed([(b, e * exponent) for b, e in zip(base.children, exponents, strict=True)]))
                continue
            if scaled is not None and own != 1:
                coefficient *= scaled
                base = _build(book, ONE, dict(zip(base.children, exponents, strict=True)))
        elif base.kind == "sum":
            content, primitive = _content(base)
            scaled = numbers.power(content, exponent) if content != 1 else None
            if scaled is not None:
                coefficient *= scaled
                base = primitive
        powers[base] = powers.get(base, Fraction(0)) + exponent
    return _build(book, numbers.rounded(coefficient), powers)


def _build(book: Book, coefficient: Fraction, powers: dict[Term, Fraction]) -> Term:
    if coefficient == 0:
        return book.zero
    _join_softmax(book, powers)
    powers = _join_exponentials(book, powers)
    kept: list[Factor] = []
    for base, exponent in powers.items():
        if base.name == "indicator" and exponent > 0:
            exponent = ONE
        if exponent:
            kept.append((base, exponent))
    if not kept:
        return book.number(coefficient)
    if len(kept) == 1 and kept[0][1] == 1:
        (base, _), *_ = kept
        if coefficient == 1:
            return base
        if base.kind == "sum":
            return _plain(book, {t: c * coefficient for c, t in entries_of(base)})
    return book.product(coefficient, kept)


def _join_exponentials(book: Book, powers: dict[Term, Fraction]) -> dict[Term, Fraction]:
    """Exponentials of multiples of one term are one: exp(x)**2*exp(-x) is exp(x)."""
    multiples: dict[Term, list[tuple[Term, Fraction]]] = {}
    for base in powers:
        if base.name == "exp":
            (argument,) = base.children
            factor, monomial = _content(argument) if argument.kind == "sum" else split(argument)
            multiples.setdefault(monomial, []).append((base, factor))
    for monomial, bases in multiples.items():
        first = bases[0][0]
        if len(bases) == 1 and (powers[first] == 1 or monomial.kind == "sum"):
            continue
        total = sum((powers[base] * factor for base, factor in bases), Fraction(0))
        gone = {base for base, _ in bases}
        joined = {book.map("exp", [scale(monomial, total)]): ONE} if total else {}
        powers = {base: exponent for base, exponent in powers.items() if base not in gone} | joined
    return powers


def _join_softmax(book: Book, powers: dict[Term, Fraction]) -> None:
    """``exp(u) / sum(exp(u), axes)`` is a softmax."""
    for base, exponent in list(powers.items()):
        if exponent != -1:
            continue
        total = base.children[0] if base.name == "insert" else base
        if total.name != "sum" or total.children[0].name != "exp":
            continue
        (exponential,) = total.children
        # The sum must be kept with its axes, or be over all of them.
        if base is not total and base.attributes != tuple(
            sorted(len(exponential.shape) - axis for axis in total.attributes)
        ):
            continue
        if base is total and len(total.attributes) != len(exponential.shape):
            continue
        if powers.get(exponential, Fraction(0)) >= 1:
            powers[exponential] -= 1
            del powers[base]
            joined = softmax(exponential.children[0], total.attributes)
            powers[joined] = powers.get(joined, Fraction(0)) + 1


def softmax(argument: Term, axes: tuple[int, ...]) -> Term:
    """exp(x) over its sum along ``axes`` of the argument. What is constant along them makes no difference."""
    book = argument.book
    places = [len(argument.shape) - axis for axis in axes]
    kept = [(c, t) for c, t in entries_of(argument) if any(t.depends(place) for place in places)]
    plain = add(book, kept)
    if plain.shape != argument.shape:
        plain = argument
    return book.call("softmax", [plain], axes, plain.shape)


def _content(term: Term) -> Entry:
    """A sum as a number times a sum, so that equal sums up to a factor are one base:

    2*a - 2*b as 2 * (a - b).
    """
    coefficients = term.data
    sizes = {abs(c) for c in coefficients}
    if len(sizes) == 1:
        content = sizes.pop()
    elif all(c.denominator == 1 for c in coefficients):
        content = Fraction(gcd(*(int(c) for c in coefficients)))
    else:
        content = ONE
    first = min(zip(term.children, coefficients, strict=True), key=lambda pair: pair[0].ordinal)
    if first[1] < 0:
        content = -content
    if content == 1:
        return ONE, term
    return content, term.book.sum([(c / content, t) for c, t in zip(coefficients, term.children, strict=True)])


def _collect(book: Book, entries: Iterable[Entry]) -> dict[Term, Fraction]:
    collected: dict[Term, Fraction] = {}
    pending = list(entries)
    pending.reverse()
    while pending:
        coefficient, term = pending.pop()
        if term.kind == "sum" and len(term.children) <= FLAT_LIMIT:
            pending.extend(reversed([(coefficient * c, t) for c, t in entries_of(term)]))
            continue
        own, monomial = split(term)
        collected[monomial] = collected.get(monomial, Fraction(0)) + coefficient * own
    return {term: numbers.rounded(c) for term, c in collected.items() if c}


def _plain(book: Book, collected: dict[Term, Fraction]) -> Term:
    """The sum of what has been collected, not factored."""
    if not collected:
        return book.zero
    if len(collected) == 1:
        ((term, coefficient),) = collected.items()
        if term is book.one:
            return book.number(coefficient)
        return scale(term, coefficient)
    return book.sum([(c, t) for t, c in _in_order(book, collected)])


def _in_order(book: Book, collected: dict[Term, Fraction]) -> list[tuple[Term, Fraction]]:
    """As they came, but powers of the same bases falling, and the first one positive if any is."""
    items = list(collected.items())
    places: dict[frozenset[Term], list[int]] = {}
    for place, (term, _) in enumerate(items):
        places.setdefault(frozenset(factors_of(term)[1]), []).append(place)
    for group in places.values():
        if len(group) > 1:
            degree = sorted((items[place] for place in group), key=lambda item: -sum(factors_of(item[0])[1].values()))
            for place, item in zip(group, degree, strict=True):
                items[place] = item
    constant = [item for item in items if item[0] is book.one]
    rest = [item for item in items if item[0] is not book.one]
    items = rest + constant
    first = next((place for place, item in enumerate(items) if item[1] > 0), 0)
    return [items[first], *items[:first], *items[first + 1 :]]


def _factored(book: Book, collected: dict[Term, Fraction]) -> Term | None:
    """What all summands have in common, times the rest."""
    shared: dict[Term, Fraction] | None = None
    for term in collected:
        _, powers = factors_of(term)
        if shared is None:
            shared = dict(powers)
            continue
        shared = {
            base: min(exponent, powers[base]) if exponent > 0 else max(exponent, powers[base])
            for base, exponent in shared.items()
            if base in powers and exponent * powers[base] > 0
        }
    if not shared or all(len(factors_of(term)[1]) == 1 for term in collected):
        return None  # a polynomial of one variable stays one: 3*x**2 + 2*x
    inverse = [(base, -exponent) for base, exponent in shared.items()]
    rest = add(book, [(c, _divided(book, term, inverse)) for term, c in collected.items()])
    return product(book, ONE, [*shared.items(), (rest, ONE)])


def _divided(book: Book, term: Term, inverse: Sequence[Factor]) -> Term:
    """A monomial over some of its own factors."""
    coefficient, powers = factors_of(term)
    for base, exponent in inverse:
        powers[base] = powers.get(base, Fraction(0)) + exponent
    return product(book, coefficient, [(b, e) for b, e in powers.items() if e])


def _grouped(book: Book, collected: dict[Term, Fraction]) -> Term | None:
    """Summands that share one heavy factor put together: a*f(x) + b*f(x) + c as f(x)*(a + b) + c."""
    members: dict[Term, list[Term]] = {}
    for term in collected:
        for base, exponent in factors_of(term)[1].items():
            if exponent > 0:
                members.setdefault(base, []).append(term)
    # Polynomials stay as they are: no Horner's scheme.
    shared = [
        (base, terms)
        for base, terms in members.items()
        if 1 < len(terms) < len(collected) and len({factors_of(term)[1][base] for term in terms}) == 1
    ]
    if not shared:
        return None
    base, terms = max(shared, key=lambda pair: (len(pair[1]) - 1) * pair[0].weight)
    inside = add(book, [(collected[term], _divided(book, term, [(base, -ONE)])) for term in terms])
    taken = set(terms)
    others = {term: c for term, c in collected.items() if term not in taken}
    coefficient, monomial = split(multiply(base, inside))
    merged = dict(others)
    merged[monomial] = merged.get(monomial, Fraction(0)) + coefficient
    return _plain(book, {term: c for term, c in merged.items() if c})


def expanded(term: Term) -> list[Entry] | None:
    """The summands of a term with its simple sums multiplied out; None if there are none, or too many."""
    coefficient, monomial = split(term)
    found = _expanded(term.book, {monomial: coefficient}, 1)
    return None if found is None else [(c, t) for t, c in found.items()]


def _expanded(
    book: Book, collected: dict[Term, Fraction], largest_power: int = _LARGEST_EXPANDED_POWER
) -> dict[Term, Fraction] | None:
    """Everything multiplied out, if there is something and it stays short."""
    entries: list[Entry] = []
    changed = False
    for term, coefficient in collected.items():
        _, powers = factors_of(term)
        partial: list[Entry] = [(coefficient, book.one)]
        for base, exponent in powers.items():
            times = int(exponent) if exponent.denominator == 1 else 0
            if base.kind != "sum" or not 1 <= times <= largest_power:
                partial = [(c, product(book, ONE, [(t, ONE), (base, exponent)])) for c, t in partial]
                continue
            changed = True
            for _ in range(times):
                partial = [(c * own, multiply(t, inner)) for c, t in partial for own, inner in entries_of(base)]
                if len(partial) > _EXPANSION_LIMIT:
                    return None
        entries += partial
        if len(entries) > _EXPANSION_LIMIT:
            return None
    return _collect(book, entries) if changed else None
