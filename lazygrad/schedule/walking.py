"""How a contraction's operand walks through the value that it views: along axes, along parts of them, or in windows."""

from __future__ import annotations

from lazygrad.ir.index import Atom, Index, Variable
from lazygrad.ir.map import IndexMap


def is_windowed(index_map: IndexMap) -> bool:
    """Sliding windows: some coordinate adds two variables that overlap or divides, or there is a mask."""
    return bool(index_map.mask) or any(
        any(not isinstance(atom, Variable) for atom, _ in c.terms) or (len(c.terms) > 1 and walks(c) is None)
        for c in index_map.coordinates
    )


def is_digit(atom: Atom) -> bool:
    """Whether an atom is an axis or a part of one, as heads and their elements are of channels."""
    while not isinstance(atom, Variable):
        if atom.index.constant or len(atom.index.terms) != 1 or atom.index.terms[0][1] != 1:
            return False
        atom = atom.index.terms[0][0]
    return True


def is_split(index_map: IndexMap) -> bool:
    """Whether the view cuts and joins axes only: divisions are there, but no windows."""
    parts = [c.terms for c in index_map.coordinates if c.terms]
    return not index_map.mask and all(len(terms) == 1 and is_digit(terms[0][0]) for terms in parts)


def walks(coordinate: Index) -> Variable | None:
    """The fastest variable of a coordinate that walks along its axis once: one variable, or an axis cut into several.

    ``64*p + c`` with ``c < 64`` visits each place once, as ``c`` alone does; ``y + k`` and ``2*y`` do not.
    """
    step, fastest = 1, None
    for atom, coefficient in sorted(coordinate.terms, key=lambda term: term[1]):
        if not isinstance(atom, Variable) or coefficient != step:
            return None
        fastest = fastest or atom
        step *= atom.extent
    return fastest
