"""The verifier of graphs: checks between passes that every node still means what its operation says."""

from __future__ import annotations

from collections.abc import Sequence

from lazygrad.ir.composition import composition
from lazygrad.ir.node import Node, all_inputs, topological
from lazygrad.ir.op import Family


class GraphError(AssertionError):
    """A node that no rule allows; the message names it and the user's line."""


def verify_graph(roots: Sequence[Node]) -> None:
    """Runs shape and dtype rules of every node again and compares."""
    for current in topological(roots, all_inputs):
        op = current.op
        waits = op.family is Family.MOVEMENT and len(current.inputs) > len(op.vjp)
        if op.composition is None and len(op.vjp) != len(current.inputs) and not waits:
            raise GraphError(f"{current}: {op.name} takes {len(op.vjp)} inputs, got {len(current.inputs)}")
        shape, dtype = op.shape(current.inputs, current.attributes), op.dtype(current.inputs, current.attributes)
        if shape != current.shape or dtype is not current.dtype:
            raise GraphError(f"{current} should be {dtype.name}{list(shape)}; made at {current.place}")
        if any(i.device != current.device for i in current.inputs):
            raise GraphError(f"{current}: inputs on other devices; made at {current.place}")
        meaning = composition(current)
        if meaning is not None and (meaning.shape != shape or meaning.dtype is not dtype):
            raise GraphError(f"{current}: its composition is {meaning}; made at {current.place}")
        if op.map is not None:
            index_map = op.map(current)
            source = current.inputs[0].shape
            if index_map.shape != current.shape or len(index_map.coordinates) != len(source):
                raise GraphError(f"{current}: its index map is {index_map}; made at {current.place}")
