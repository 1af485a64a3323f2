"""Values that stay what they are: under another dtype (cast), or under a name that differentiation reads.

``leaf`` and ``detach`` say where derivatives are wanted and where they end; simplification removes both.
"""

from __future__ import annotations

from typing import NamedTuple

from lazygrad.ir.dtype import DType
from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Family, Linearity, Op
from lazygrad.ops.elementwise import elementwise, is_any, same_shape


class CastAttributes(NamedTuple):
    dtype: DType


class LeafAttributes(NamedTuple):
    token: object


CAST = Op(
    name="cast",
    family=Family.ELEMENTWISE,
    shape=same_shape,
    dtype=lambda inputs, a: a.dtype,
    numpy=lambda of, x: x.astype(of.dtype.numpy),
    scalar=lambda x: x,  # the code generator reads the node's dtype: a cast has no expression but its own
    vjp=(lambda out, g: cast(g, out.inputs[0].dtype),),
    linearity=Linearity.JOINT,
)
DETACH = elementwise("detach", lambda x: x, lambda x: x, None, dtypes=is_any, cost=0)


def marker(name: str) -> Op:
    """An identity that means something to walks over the graph only, by its attributes."""
    return Op(
        name=name,
        family=Family.ELEMENTWISE,
        shape=same_shape,
        dtype=lambda inputs, a: inputs[0].dtype,
        numpy=lambda of, x: x,
        scalar=lambda x: x,
        vjp=(lambda out, g: g,),
        linearity=Linearity.JOINT,
        cost=0,
    )


LEAF = marker("leaf")


def cast(x: Node, dtype: DType) -> Node:
    """The values converted to ``dtype``; floats become integers by truncation."""
    return x if x.dtype is dtype else node(CAST, (x,), CastAttributes(dtype))


def detach(x: Node) -> Node:
    """The same value, through which no derivative passes."""
    return x if x.op is DETACH else node(DETACH, (x,))


def leaf(x: Node) -> Node:
    """The same value as a new node, unique by identity: a parameter is never merged with an equal tensor."""
    return node(LEAF, (x,), LeafAttributes(object()))
