"""Counter-based random bits (Philox4x32-10): element i of a call is a pure function of (key, call, i).

No state runs along, so every backend gives the same bits, in any order of evaluation. The call's number is an
argument that is bound when the call is made.

Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy

from lazygrad.ir.dtype import int32, int64
from lazygrad.ir.node import Node, node
from lazygrad.ir.op import Family, Op
from lazygrad.ir.shape import Shape, size_of
from lazygrad.ops.philox_numpy import philox4x32


class RandomAttributes(NamedTuple):
    shape: Shape
    word: int  # which of Philox's four 32-bit words


def _shape(inputs: tuple[Node, ...], a: RandomAttributes) -> Shape:
    if any(i.shape != () or i.dtype is not int64 for i in inputs):
        raise RuntimeError("random_bits: key and call number must be int64 scalars")
    return a.shape


def _numpy(of: Node, key: Any, call: Any) -> Any:
    element = numpy.arange(size_of(of.shape), dtype=numpy.uint64)
    low, high = numpy.uint64(0xFFFFFFFF), numpy.uint64(32)
    key_bits, call_bits = numpy.uint64(int(key) & (2**64 - 1)), numpy.uint64(int(call) & (2**64 - 1))
    words = philox4x32(
        tuple(
            numpy.broadcast_to(numpy.asarray(part, numpy.uint32), element.shape)
            for part in (element & low, element >> high, call_bits & low, call_bits >> high)
        ),
        (numpy.uint32(key_bits & low), numpy.uint32(key_bits >> high)),
    )
    return words[of.attributes.word].view(numpy.int32).reshape(of.shape)


RANDOM_BITS = Op(
    name="random_bits",
    family=Family.RANDOM,
    shape=_shape,
    dtype=lambda inputs, a: int32,
    numpy=_numpy,
    vjp=(None, None),
    cost=60,
)


def random_bits(key: Node, call: Node, shape: Shape, word: int = 0) -> Node:
    """32 random bits an element, as int32. Row-major element i uses the counter (i, call) under ``key``."""
    return node(RANDOM_BITS, (key, call), RandomAttributes(shape, word))
