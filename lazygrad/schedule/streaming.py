"""Composites that a device computes as streams: which ones, over which points, and which of them together.

A stream computes rows of results and runs through all that they take in, without storing what lies between: attention
and its sums by query and through the keys, the gradients of key and value by key and through the queries.
"""

from __future__ import annotations

from collections.abc import Hashable

from lazygrad.ir.dtype import float64
from lazygrad.ir.index import Index, variable
from lazygrad.ir.map import axis_variables
from lazygrad.ir.node import Node
from lazygrad.ir.op import Op
from lazygrad.ir.shape import Shape, size_of
from lazygrad.kernel.machine import Machine
from lazygrad.ops.attention import ATTENTION, KEY_GRADIENT, LOGSUMEXP, QUERY_GRADIENT, VALUE_GRADIENT

# A tile holds whole rows of query, key, value and result; longer ones do not fit into registers.
LONGEST_ROW = 256
LONGEST_ROW_BYTES = 1024
# Streams whose results are given by key run through the queries.
BY_KEY = (KEY_GRADIENT, VALUE_GRADIENT)
# The extents of results' last axes are those of query and key (e) or that of value (d).
_LAST_AXIS = {ATTENTION: "d", QUERY_GRADIENT: "e", KEY_GRADIENT: "e", VALUE_GRADIENT: "d"}
_GRADIENT_INPUTS = ("query", "key", "value", "cotangent", "logsumexp", "delta", "bias")
_INPUTS: dict[Op, tuple[str, ...]] = {
    ATTENTION: ("query", "key", "value", "bias"),
    LOGSUMEXP: ("query", "key", "bias"),
    QUERY_GRADIENT: _GRADIENT_INPUTS,
    KEY_GRADIENT: _GRADIENT_INPUTS,
    VALUE_GRADIENT: _GRADIENT_INPUTS,
}
_MATRICES = ("query", "key", "value", "cotangent")


def is_streamed(of: Node, machine: Machine) -> bool:
    """Whether the machine's kernels compute a composite whole; else its composition takes its place.

    A single query has no more scores than there are keys: nothing is gained by not storing them, and matrix units
    would idle.
    """
    if of.op.name not in machine.composites or of.op not in _INPUTS:
        return False
    query = of.inputs[0]
    longest = max(matrix.shape[-1] for matrix in matrices(of))
    fits = longest <= LONGEST_ROW and longest * query.dtype.itemsize <= LONGEST_ROW_BYTES
    return fits and query.shape[-2] > 1 and all(0 not in matrix.shape for matrix in matrices(of))


def operands(of: Node) -> dict[str, Node]:
    """The inputs by name; there may be no bias."""
    return dict(zip(_INPUTS[of.op], of.inputs, strict=False))


def matrices(of: Node) -> list[Node]:
    """The inputs that are multiplied as matrices."""
    return [operand for name, operand in operands(of).items() if name in _MATRICES]


def in_memory(of: Node) -> list[Node]:
    """The inputs that must lie in memory: the matrices, and a bias of doubles.

    Block compilers choose how matrix units of doubles read their operands by the narrowest load on the way to them, and
    end with an assertion when a bias is computed from a mask of bytes there.
    """
    bias = operands(of).get("bias")
    return [*matrices(of), *([bias] if bias is not None and bias.dtype is float64 else ())]


def products(of: Node) -> Hashable:
    """What a stream runs through: streams for which this is equal are computed by one kernel."""
    inputs = (*of.inputs[:2], *of.inputs[3:]) if of.op is ATTENTION else of.inputs  # LOGSUMEXP has no value
    return of.op in (ATTENTION, LOGSUMEXP), of.op in BY_KEY, of.attributes, inputs


def iterations(of: Node) -> int:
    """How many points the stream has: pairs of a query and a key."""
    query, key = of.inputs[:2]
    return size_of(query.shape[:-1]) * key.shape[-2]


def has_last_axis(of: Node) -> bool:
    """Whether the result has an axis behind the rows."""
    return of.op in _LAST_AXIS


def rows(of: Node) -> Shape:
    """The extents of the points that are computed side by side."""
    return of.shape[:-1] if has_last_axis(of) else of.shape


def point(of: Node) -> tuple[Index, ...]:
    """An element of the result, by the variables of the rows and of the result's own last axis."""
    own = axis_variables(rows(of))
    return (*own, variable(_LAST_AXIS[of.op], of.shape[-1])) if has_last_axis(of) else own
