"""Spelling: the text of one term from the texts of its children, with parentheses only where they are needed.

Precedence is Python's, so what is printed can be read as code; only ``@`` is kept apart from ``*`` for the
eye.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from lazygrad.mathematics import numbers
from lazygrad.mathematics.contractions import contraction_text
from lazygrad.mathematics.term import Factor, Term
from lazygrad.mathematics.text import AND, ATOM, COMPARISON, MINUS, OR, POWER, PRODUCT, SHIFT, SUM, XOR, Text
from lazygrad.ops.movement import Window

Find = Callable[[Term], Text]
# How infix functions of elements are written: symbol, own precedence, what each side must have.
_INFIX: Mapping[str, tuple[str, int, int, int]] = {
    "lt": ("<", COMPARISON, OR, OR),
    "le": ("<=", COMPARISON, OR, OR),
    "eq": ("==", COMPARISON, OR, OR),
    "ne": ("!=", COMPARISON, OR, OR),
    "or": ("|", OR, OR, XOR),
    "xor": ("^", XOR, XOR, AND),
    "and": ("&", AND, AND, SHIFT),
    "shift_left": ("<<", SHIFT, SHIFT, SUM),
    "shift_right": (">>", SHIFT, SHIFT, SUM),
    "remainder": ("%", PRODUCT, PRODUCT, MINUS),
    "floor_divide": ("//", PRODUCT, PRODUCT, MINUS),
    "pow": ("**", POWER, ATOM, MINUS),
}
_MIRRORED = {"lt": ">", "le": ">=", "eq": "==", "ne": "!="}
_AXIS_FUNCTIONS = frozenset({"sum", "prod", "max", "min", "argmax", "argmin", "softmax", "logsumexp", "flip"})


class Speller:
    """Spells terms;

    ``named`` says which ones are to be taken as they are (let-lines), without looking inside.
    """

    def __init__(self, find: Find, named: Callable[[Term], bool], digits: int) -> None:
        self.find = find
        self.named = named
        self.digits = digits

    def spell(self, term: Term) -> Text:
        """The text of a term whose children have texts already."""
        match term.kind:
            case "number":
                return self._number(term.data)
            case "symbol":
                return Text(term.data)
            case "sum":
                return self._sum(list(zip(term.data, term.children, strict=True)))
            case "product":
                coefficient, exponents = term.data
                return self._product(coefficient, list(zip(term.children, exponents, strict=True)))
            case "map":
                return self._map(term)
            case _:
                return self._call(term)

    def _number(self, value: Fraction) -> Text:
        text = numbers.number_text(value, self.digits)
        return Text(text, PRODUCT if "/" in text else MINUS if text.startswith("-") else ATOM)

    # ---- sums

    def summands(self, entries: Sequence[tuple[Fraction, Term]]) -> list[str]:
        """The texts of summands, each with its sign."""
        return [self._scaled(c, t).inside(PRODUCT) for c, t in entries]

    def _sum(self, entries: list[tuple[Fraction, Term]]) -> Text:
        plain = join_summands(self.summands(entries))
        sizes = {abs(c) for c, _ in entries}
        if len(sizes) == 1 and sizes != {1}:
            (size,) = sizes
            inner = join_summands(self.summands([(c / size, t) for c, t in entries]))
            outside = self._around(size, f"({inner})")
            if len(outside.text) < len(plain):
                return outside
        return Text(plain, SUM)

    def _around(self, size: Fraction, text: str) -> Text:
        top, bottom = self._ratio(size)
        return Text((f"{top}*{text}" if top else text) + (f"/{bottom}" if bottom else ""), PRODUCT)

    def _scaled(self, coefficient: Fraction, term: Term) -> Text:
        if term.kind == "number":
            return self._number(coefficient * term.data)
        if term.kind == "product" and not self.named(term):
            own, exponents = term.data
            return self._product(coefficient * own, list(zip(term.children, exponents, strict=True)))
        return self._product(coefficient, [(term, Fraction(1))])

    # ---- products

    def _ratio(self, size: Fraction) -> tuple[str, str]:
        """A positive coefficient as what is written above and below the line; empty for 1."""
        if numbers.is_ratio(size):
            return ("" if size.numerator == 1 else str(size.numerator)), str(size.denominator)
        return ("" if size == 1 else numbers.number_text(size, self.digits)), ""

    def _product(self, coefficient: Fraction, factors: list[Factor]) -> Text:
        conditions = [b for b, _ in factors if b.name == "indicator" and not self.named(b)]
        if conditions:
            return self._where(coefficient, factors, conditions)
        texts = {base: self.find(base) for base, _ in factors}
        coefficient = self._means(coefficient, factors, texts)
        coefficient = self._turned(coefficient, factors, texts)
        return self._assemble(coefficient, factors, texts)

    def _where(self, coefficient: Fraction, factors: list[Factor], conditions: list[Term]) -> Text:
        """A product with conditions, which is 0 where one does not hold."""
        rest = [(b, e) for b, e in factors if b not in conditions]
        tests = [self.find(c.children[0]) for c in conditions]
        test = tests[0].text if len(tests) == 1 else " & ".join(t.inside(SHIFT) for t in tests)
        sign = "-" if coefficient < 0 else ""
        value = self._product(abs(coefficient), rest).text if rest else self._number(abs(coefficient)).text
        return Text(f"{sign}where({test}, {value}, 0)", MINUS if sign else ATOM)

    def _means(self, coefficient: Fraction, factors: list[Factor], texts: dict[Term, Text]) -> Fraction:
        """A sum over n elements divided by n is written as a mean."""
        for base, exponent in factors:
            total = base.children[0] if base.name == "insert" else base
            if exponent != 1 or total.name != "sum" or self.named(base) or self.named(total):
                continue
            (inner,) = total.children
            count = 1
            for axis in total.attributes:
                count *= inner.shape[axis]
            mean = coefficient * count
            if count > 1 and len(self._number(mean).text) < len(self._number(coefficient).text):
                texts[base] = self._reduction("mean", total, base)
                return mean
        return coefficient

    def _turned(self, coefficient: Fraction, factors: list[Factor], texts: dict[Term, Text]) -> Fraction:
        """A minus sign goes into a difference: -(a - b)*c as (b - a)*c."""
        if coefficient >= 0:
            return coefficient
        for base, exponent in factors:
            if base.kind == "sum" and exponent.denominator == 1 and exponent % 2 and not self.named(base):
                if any(t is base.book.one and c > 0 for c, t in zip(base.data, base.children, strict=True)):
                    continue  # 1 - x**2 is how people write it
                entries = [(-c, t) for c, t in zip(base.data, base.children, strict=True)]
                entries.sort(key=lambda entry: entry[0] < 0)
                if entries[0][0] > 0:
                    texts[base] = self._sum(entries)
                    return -coefficient
        return coefficient

    def _assemble(self, coefficient: Fraction, factors: list[Factor], texts: dict[Term, Text]) -> Text:
        above = [(base, e) for base, e in factors if e > 0]
        below = [(base, -e) for base, e in factors if e < 0]
        top, bottom = self._ratio(abs(coefficient))
        single = len(above) == 1 and not top and not below and not bottom
        numerator = [top] if top else []
        numerator += [self._power(texts[b], e, alone=single and coefficient > 0) for b, e in above]
        denominator = ([bottom] if bottom else []) + [self._power(texts[b], e, alone=False) for b, e in below]
        sign = "-" if coefficient < 0 else ""
        if single and coefficient > 0:
            base, exponent = above[0]
            if exponent == 1:
                return texts[base]
            return Text(numerator[0], ATOM if exponent == Fraction(1, 2) else POWER)
        text = sign + ("*".join(numerator) or "1")
        if denominator:
            below_text = "*".join(denominator)
            text += f"/{below_text}" if len(denominator) == 1 else f"/({below_text})"
        loose = len(numerator) > 1 or denominator
        return Text(text, PRODUCT if loose else MINUS if sign else PRODUCT)

    def _power(self, base: Text, exponent: Fraction, alone: bool) -> str:
        if exponent == 1:
            return base.text if alone else base.inside(POWER)
        if exponent == Fraction(1, 2):
            return f"sqrt({base.text})"
        text = numbers.number_text(exponent, self.digits)
        return f"{base.inside(ATOM)}**{f'({text})' if '/' in text else text}"

    # ---- functions

    def _map(self, term: Term) -> Text:
        texts = [self.find(child) for child in term.children]
        if term.name in _INFIX and len(texts) == 2:
            symbol, own, left, right = _INFIX[term.name]
            if term.name in _MIRRORED and term.children[0].kind == "number":
                symbol = _MIRRORED[term.name]
                texts.reverse()
            return Text(f"{texts[0].inside(left)} {symbol} {texts[1].inside(right)}" if own != POWER
                        else f"{texts[0].inside(left)}**{texts[1].inside(right)}", own)  # fmt: skip
        if term.name in ("not", "invert"):
            return Text(f"~{texts[0].inside(ATOM)}", POWER)
        if term.name == "indicator":
            return Text(f"where({texts[0].text}, 1, 0)")
        return Text(f"{term.name}({', '.join(text.text for text in texts)})")

    def _call(self, term: Term) -> Text:
        name = term.name
        if name == "insert":
            return self._insert(term)
        if name == "contract":
            return contraction_text(term, self.find)
        first = self.find(term.children[0])
        if name in _AXIS_FUNCTIONS:
            return self._reduction(name, term, term)
        match name:
            case "cut":
                return Text(f"{first.inside(ATOM)}[{_cut_text(term)}]")
            case "permute":
                axes = term.attributes
                last_two = (*range(len(axes) - 2), len(axes) - 1, len(axes) - 2)
                if axes == last_two:
                    return Text(f"{first.inside(ATOM)}{'.T' if len(axes) == 2 else '.mT'}")
                return Text(f"permute({first.text}, {axes})")
            case "reshape" | "expand":
                return Text(f"{name}({first.text}, {term.attributes})")
            case "pad":
                paddings = tuple(tuple(p) if p.interior else tuple(p)[:2] for p in term.attributes)
                return Text(f"pad({first.text}, {paddings})")
            case "windows":
                parts = ", ".join(_window_text(window) for window in term.attributes)
                return Text(f"windows({first.text}, {parts})")
            case "conv2d":
                options = _options(("stride", "padding", "dilation"), term.attributes, (1, 0, 1))
                return Text(f"conv2d({first.text}, {self.find(term.children[1]).text}{options})")
        texts = ", ".join(self.find(child).text for child in term.children)
        if name in ("gather", "scatter", "scatter_add"):
            return Text(f"{name}({texts}, axis={term.attributes})")
        return Text(f"{name}({texts})")

    def _reduction(self, name: str, reduced: Term, outer: Term) -> Text:
        """A function along axes; ``outer`` is it with the axes kept, or itself."""
        (inner,) = reduced.children
        text = self.find(inner).text
        axes: tuple[int, ...] = reduced.attributes
        if len(axes) == len(inner.shape) and name not in ("softmax", "flip") and outer is reduced:
            return Text(f"{name}({text})")
        axis = axes[0] if len(axes) == 1 else axes
        keep = ", keepdim=True" if outer is not reduced else ""
        return Text(f"{name}({text}, axis={axis}{keep})")

    def _insert(self, term: Term) -> Text:
        """New axes: kept ones of a reduction, else an index with None."""
        (inner,) = term.children
        places = term.attributes
        if inner.name in _AXIS_FUNCTIONS and inner.name not in ("softmax", "flip") and not self.named(inner):
            rank = len(inner.children[0].shape)
            if tuple(sorted(rank - axis for axis in inner.attributes)) == places:
                return self._reduction(inner.name, inner, term)
        rank = len(term.shape)
        parts = ["None" if rank - axis in places else ":" for axis in range(rank)]
        while parts and parts[-1] == ":":
            parts.pop()
        return Text(f"{self.find(inner).inside(ATOM)}[{', '.join(parts)}]")


def join_summands(texts: Sequence[str]) -> str:
    """Summands joined by their signs."""
    parts = [texts[0]]
    parts += [f" - {text[1:]}" if text.startswith("-") else f" + {text}" for text in texts[1:]]
    return "".join(parts)


def _cut_text(term: Term) -> str:
    parts: list[str] = []
    for axis, extent in zip(term.attributes, term.children[0].shape, strict=True):
        if isinstance(axis, int):
            parts.append(str(axis))
            continue
        start, stop, step = axis
        first = str(start) if start else ""
        last = "" if stop + step - 1 >= extent else str(stop)
        parts.append(f"{first}:{last}{f':{step}' if step != 1 else ''}")
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts)


def _window_text(window: Window) -> str:
    axis, size, stride, dilation = window
    extra = (f", stride={stride}" if stride != 1 else "") + (f", dilation={dilation}" if dilation != 1 else "")
    return f"(axis={axis}, size={size}{extra})"


def _options(names: Sequence[str], pairs: Sequence[tuple[int, int]], defaults: Sequence[int]) -> str:
    text = ""
    for name, pair, default in zip(names, pairs, defaults, strict=True):
        if pair != (default, default):
            text += f", {name}={pair[0] if pair[0] == pair[1] else pair}"
    return text
