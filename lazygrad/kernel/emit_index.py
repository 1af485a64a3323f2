"""Indices, addresses and masks as integer expressions of a target.

In: ``Index`` and ``Mask`` objects over bound variables. Out: operands, computed once in the outermost level
that knows their variables. Divisions round to minus infinity, as indices mean them, on targets that truncate.
Numbers are 32-bit where bounds say that they fit. An address that moves by a constant from lane to lane is a
base and a stride.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from lazygrad.ir.dtype import DType, bool_, int32, int64
from lazygrad.ir.index import Atom, Bound, Index, Mask, Quotient, Variable
from lazygrad.kernel.levels import Binding, Levels, Operand

INT32_LIMIT = 2**31
# How the names of indices begin, of sums and of quotients.
_SUM, _QUOTIENT = "k", "q"
INDEX_NAMES = (_SUM, _QUOTIENT)


class Condition(NamedTuple):
    """A mask: the part that is the same for all lanes, and the part that is not. None is always true."""

    uniform: Operand | None
    wide: Operand | None


_ALWAYS = Condition(None, None)


class Address(NamedTuple):
    """``base + lane * stride`` when ``stride`` is a number (0: the same for all); else ``base`` is wide."""

    base: Operand
    stride: int | None


class IndexEmitter(Levels):
    """Emission of integers and conditions."""

    # Whether an index's constant is added first, where all else is still small, or last, where it costs vectors
    # nothing.
    constant_first = False
    # Whether the first lane of an axis whose extent is a multiple of the lanes is always at such a multiple.
    aligned_lanes = False

    @abstractmethod
    def integer(self, number: int, dtype: DType) -> str:
        """A literal of int32 or int64, not negative unless in parentheses."""

    @abstractmethod
    def lane_numbers(self, dtype: DType, factor: int) -> str:
        """0, 1, 2, ... times ``factor``, one for each lane."""

    @abstractmethod
    def broadcast(self, operand: Operand) -> Operand:
        """A uniform operand as a wide one."""

    @abstractmethod
    def convert(self, operand: Operand, dtype: DType) -> str:
        """The operand as another type."""

    @abstractmethod
    def truncating_division(self, dividend: str, divisor: int) -> str:
        """The quotient of a dividend that is not negative and a positive number."""

    @abstractmethod
    def floor_division(self, dividend: Operand, divisor: int, remainder: bool) -> str:
        """Quotient or remainder, rounded to minus infinity, of any dividend by a positive number."""

    @abstractmethod
    def both(self, left: Operand, right: Operand) -> Operand:
        """The conjunction of two bools, either of which may be wide."""

    def term_order(self, wide: int, depth: int) -> tuple[int, int]:
        """In which order the terms of a sum are added: what is the same for all lanes first."""
        return wide, depth

    def narrow(self, index: Operand) -> Operand:
        """A uniform index beside lanes, or as a value: of its own type, where a target keeps indices in wider ones."""
        return index

    # ---- indices

    def index(self, index: Index) -> Operand:
        """The index as int32 or int64, whichever holds it; wide where it differs between lanes."""
        found: Operand | None = self.recall(("index", index))
        if found is None:
            found = self._sum(index, with_lanes=True)
            self.remember(("index", index), found, found.depth)
        return found

    def address(self, index: Index) -> Address:
        """The index as a base and a step from lane to lane, where it has one."""
        stride = 0
        for atom, coefficient in index.terms:
            if isinstance(atom, Variable):
                binding = self._binding(atom)
                if binding.wide and binding.linear:
                    stride += coefficient
                    continue
                wide = binding.wide
            else:
                wide = self._atom(atom).wide
            if wide:
                return Address(self.index(index), None)
        key = ("base", index)
        found: Operand | None = self.recall(key)
        if found is None:
            found = self._sum(index, with_lanes=False)
            self.remember(key, found, found.depth)
        return Address(found, stride)

    def _binding(self, variable: Variable) -> Binding:
        found = self.bindings.get(variable)
        if found is None:
            raise RuntimeError(f"the axis {variable} (extent {variable.extent}) is used outside its loop")
        return found

    def _atom(self, atom: Atom) -> Operand:
        """A variable's base text, or a quotient's named value."""
        if isinstance(atom, Variable):
            binding = self._binding(atom)
            return Operand(binding.text, binding.dtype, 0 if binding.linear else binding.wide, binding.depth)
        found: Operand | None = self.recall(("atom", atom))
        if found is None:
            found = self._quotient(atom)
            self.remember(("atom", atom), found, found.depth)
        return found

    def _quotient(self, atom: Quotient) -> Operand:
        inner = self.index(atom.index)
        divisor = atom.divisor
        power = divisor.bit_length() - 1
        if divisor == 1 << power:  # an arithmetic shift rounds to minus infinity by itself
            text = f"({inner.text} & {divisor - 1})" if atom.remainder else f"({inner.text} >> {power})"
            return self.declare(inner._replace(text=text), _QUOTIENT)
        shift = -(atom.index.low // divisor) if atom.index.low < 0 or not self._exact(atom.index) else 0
        if not self._exact(atom.index):
            return self.declare(inner._replace(text=self.floor_division(inner, divisor, atom.remainder)), _QUOTIENT)
        dividend = f"({inner.text} + {shift * divisor})" if shift else inner.text
        if atom.remainder:
            text = f"({dividend} % {divisor})"
        else:
            text = self.truncating_division(dividend, divisor)
            text = f"({text} - {shift})" if shift else text
        return self.declare(inner._replace(text=text), _QUOTIENT)

    def _exact(self, index: Index) -> bool:
        """Whether all that the index reads stays in the bounds it is known by (data may not)."""
        pending = [index]
        while pending:
            for atom, _ in pending.pop().terms:
                if isinstance(atom, Variable):
                    if not self._binding(atom).exact:
                        return False
                else:
                    pending.append(atom.index)
        return True

    def _bits(self, index: Index) -> int:
        """32 when every partial sum fits, in any order."""
        size = abs(index.constant)
        for atom, coefficient in index.terms:
            size += abs(coefficient) * max(abs(atom.low), abs(atom.high))
        return 32 if size < INT32_LIMIT and self._exact(index) else 64

    def _sum(self, index: Index, with_lanes: bool) -> Operand:
        """Adds the terms from the outermost level inwards: outer parts are computed in outer loops."""
        dtype = int32 if self._bits(index) == 32 else int64
        terms: list[tuple[int, int, str]] = []  # wide, depth, text
        lane_factor = 0
        lane_depth = 0
        for atom, coefficient in index.terms:
            operand = self._atom(atom)
            if isinstance(atom, Variable):
                binding = self.bindings[atom]
                if binding.wide and binding.linear:
                    lane_factor += coefficient
                    lane_depth = max(lane_depth, binding.depth)
            text = operand.text
            if operand.dtype is not dtype:
                text = self.convert(operand, dtype)
            factor = abs(coefficient)
            product = text if factor == 1 else f"{text} * {self.integer(factor, dtype)}"
            terms.append((operand.wide, operand.depth, f"- {product}" if coefficient < 0 else f"+ {product}"))
        constant = ""
        if index.constant or not terms:
            constant = f"{'-' if index.constant < 0 else '+'} {self.integer(abs(index.constant), dtype)}"
        if index.constant and self.constant_first:
            terms.append((0, 0, constant))
        if len(terms) > 1:
            terms.sort(key=lambda term: self.term_order(*term[:2]))
        current = Operand("", dtype)
        parts: list[str] = []
        for wide, depth, text in terms:
            if parts and (wide, depth) != (current.wide, current.depth) and len(parts) > 1:
                current = self.declare(current._replace(text=_joined(parts)), _SUM)
                parts = [f"+ {current.text}"]
            if wide and parts and not current.wide:
                uniform = Operand(f"({_joined(parts)})", dtype)
                narrow = self.narrow(uniform)
                parts = parts if narrow is uniform else [f"+ {narrow.text}"]
            parts.append(text)
            current = Operand("", dtype, wide | current.wide, max(depth, current.depth))
        if not parts or (index.constant and not self.constant_first):
            parts.append(constant)
        text = _joined(parts)
        if with_lanes and lane_factor:
            numbers = self.lane_numbers(dtype, lane_factor)
            if not current.wide:
                text = self.broadcast(Operand(f"({text})", dtype)).text
            return self.declare(Operand(f"{text} + {numbers}", dtype, True, max(current.depth, lane_depth)), _SUM)
        if len(parts) > 2:
            return self.declare(current._replace(text=text), _SUM)
        return current._replace(text=text if text.isidentifier() or text.isdigit() else f"({text})")

    # ---- masks

    def condition(self, mask: Mask) -> Condition:
        """The mask's two parts, each a conjunction of its bounds."""
        if not mask:
            return _ALWAYS
        found: Condition | None = self.recall(("mask", mask))
        if found is None:
            bounds = [self._bound(bound) for bound in mask]
            uniform = [operand for operand in bounds if not operand.wide]
            wide = [operand for operand in bounds if operand.wide]
            found = Condition(self._conjunction(uniform), self._conjunction(wide))
            depth = max(operand.depth for operand in bounds)
            self.remember(("mask", mask), found, depth)
        return found

    def _bound(self, bound: Bound) -> Operand:
        found: Operand | None = self.recall(("bound", bound))
        if found is None:
            inexact = not self._exact(bound.index)
            same = not inexact and self.aligned_lanes and self._is_same_for_lanes(bound)
            index = self.address(bound.index).base if same else self.index(bound.index)
            found = self._between(index, bound.low, bound.high, inexact, bound.index)
            self.remember(("bound", bound), found, found.depth)
        return found

    def _is_same_for_lanes(self, bound: Bound) -> bool:
        """Whether the bound lies between two vectors wherever one of them starts, so that none is half inside."""
        index, lanes = bound.index, self.lanes
        moving = [(atom, coefficient) for atom, coefficient in index.terms if self._atom_moves(atom)]
        if len(moving) != 1:
            return False
        atom, coefficient = moving[0]
        limits = [bound.low] if index.low < bound.low else []
        limits += [bound.high] if index.high >= bound.high else []
        return (
            isinstance(atom, Variable)
            and self._binding(atom).linear
            and coefficient == 1
            and atom.extent % lanes == 0
            and all(factor % lanes == 0 for other, factor in index.terms if other is not atom)
            and all((limit - index.constant) % lanes == 0 for limit in limits)
        )

    def _atom_moves(self, atom: Atom) -> bool:
        """Whether it differs between lanes."""
        return bool(self._binding(atom).wide if isinstance(atom, Variable) else self._atom(atom).wide)

    def inside(self, mask: Mask) -> Operand | None:
        """Whether the mask holds for all lanes at once, as a uniform bool; None where that is not easily known.

        A bound whose index moves by a constant from lane to lane holds everywhere if it does at both ends.
        """
        ends: list[Operand] = []
        for bound in mask:
            base, stride = self.address(bound.index)
            if stride is None:
                return None
            reach = stride * (self.lanes - 1)
            low, high = bound.low - min(0, reach), bound.high - max(0, reach)
            ends.append(self._between(base, low, high, not self._exact(bound.index), bound.index))
        return self._conjunction(ends)

    def _between(self, operand: Operand, low: int, high: int, inexact: bool, index: Index) -> Operand:
        """``low <= operand < high``, as far as the index's own bounds leave it open."""
        sides = []
        if inexact or index.low < low:
            sides.append(f"({operand.text} >= {self.integer(low, operand.dtype)})")
        if inexact or index.high >= high:
            sides.append(f"({operand.text} < {self.integer(high, operand.dtype)})")
        text = " & ".join(sides) or f"({operand.text} == {operand.text})"
        bits = operand.dtype.bits if operand.wide else 0
        return self.declare(Operand(text, bool_, operand.wide, operand.depth, bits), "m")

    def _conjunction(self, operands: list[Operand]) -> Operand | None:
        if not operands:
            return None
        if len(operands) == 1:
            return operands[0]
        result = operands[0]
        for operand in operands[1:]:
            result = self.both(result, operand)
        return self.declare(result, "m")


def _joined(parts: Sequence[str]) -> str:
    text = " ".join(parts)
    return text[2:] if text.startswith("+ ") else "-" + text[2:]
