"""Random graphs through the whole scheduler and the interpreter, against the reference."""

from __future__ import annotations

import random

import pytest

from lazygrad import ops
from lazygrad.autodiff import vjp
from lazygrad.ir.node import Node
from lazygrad.ops.movement import Padding, Range, Window
from unit.schedule.interpreted import CPU, GPU, check

GRAPHS = 60
OPERATIONS = 14
LARGEST = 400


def _unary(x: Node, choose: random.Random, _: list[Node]) -> Node:
    return choose.choice([ops.tanh, ops.relu, ops.neg, lambda v: ops.mul(v, 0.5), lambda v: ops.mul(v, v), ops.sin])(x)


def _binary(x: Node, choose: random.Random, values: list[Node]) -> Node:
    same = [v for v in values if v.shape == x.shape]
    return choose.choice([ops.add, ops.sub, ops.mul, ops.maximum])(x, choose.choice(same))


def _reduce(x: Node, choose: random.Random, _: list[Node]) -> Node:
    axes = tuple(axis for axis in range(x.rank) if choose.random() < 0.5)
    return choose.choice([lambda v, a: ops.mul(ops.sum_(v, a), 0.25), ops.max_])(x, axes) if axes else x


def _normalize(x: Node, choose: random.Random, _: list[Node]) -> Node:
    if not x.rank:
        return x
    axis = choose.randrange(x.rank)
    kept = tuple(1 if a == axis else e for a, e in enumerate(x.shape))
    row = choose.choice([ops.sum_, ops.max_])(x, (axis,))
    return ops.sub(x, ops.expand(ops.reshape(row, kept), x.shape))


def _permute(x: Node, choose: random.Random, _: list[Node]) -> Node:
    axes = list(range(x.rank))
    choose.shuffle(axes)
    return ops.permute(x, tuple(axes))


def _reshape(x: Node, choose: random.Random, _: list[Node]) -> Node:
    extents: list[int] = []
    for extent in x.shape:
        divisor = choose.choice([d for d in range(1, extent + 1) if extent % d == 0])
        extents += [divisor, extent // divisor]
    while len(extents) > 3:
        extents[0:2] = [extents[0] * extents[1]]
    return ops.reshape(x, tuple(extents)) if extents else x


def _slice(x: Node, choose: random.Random, _: list[Node]) -> Node:
    ranges = []
    for extent in x.shape:
        start = choose.randrange(max(extent // 2, 1))
        ranges.append(Range(start, extent, choose.choice([1, 1, 2])))
    return ops.slice_(x, tuple(ranges))


def _pad(x: Node, choose: random.Random, _: list[Node]) -> Node:
    return ops.pad(
        x, tuple(Padding(choose.randrange(2), choose.randrange(2), choose.choice([0, 0, 1])) for _ in x.shape)
    )


def _flip(x: Node, choose: random.Random, _: list[Node]) -> Node:
    return ops.flip(x, tuple(axis for axis in range(x.rank) if choose.random() < 0.5))


def _windows(x: Node, choose: random.Random, _: list[Node]) -> Node:
    wide = [axis for axis, extent in enumerate(x.shape) if extent >= 3]
    return ops.windows(x, (Window(choose.choice(wide), 2, choose.choice([1, 2])),)) if wide else x


def _contract(x: Node, choose: random.Random, values: list[Node]) -> Node:
    others = [v for v in values if v.rank and x.rank and v.shape[0] == x.shape[-1]]
    if not others:
        return x
    other = choose.choice(others)
    a = tuple(range(x.rank))
    b = (x.rank - 1, *range(x.rank, x.rank + other.rank - 1))
    return ops.mul(ops.contract(x, a, other, b, (*a[:-1], *b[1:])), 0.3)


STEPS = [
    _unary,
    _unary,
    _binary,
    _binary,
    _reduce,
    _normalize,
    _permute,
    _reshape,
    _slice,
    _pad,
    _flip,
    _windows,
    _contract,
]


def build(seed: int, with_gradients: bool):
    def make(*leaves: Node) -> list[Node]:
        choose = random.Random(seed)
        values = list(leaves)
        for _ in range(OPERATIONS):
            x = choose.choice(values[-4:])
            made = choose.choice(STEPS)(x, choose, values)
            size = 1
            for extent in made.shape:
                size *= extent
            if 0 < size <= LARGEST and made.rank <= 5:
                values.append(made)
        roots = [values[-1], choose.choice(values)]
        if with_gradients:
            cotangent = ops.constant(0.5, roots[0].shape, roots[0].dtype, roots[0].device)
            gradients = vjp([roots[0]], [cotangent], leaves)
            roots += [g for g in gradients if g is not None]
        return roots

    return make


@pytest.mark.parametrize("seed", range(GRAPHS))
def test_random_graph(seed):
    shapes = [(4, 6), (6, 4), (4, 6), (6,)]
    check(build(seed, seed % 2 == 1), shapes, (CPU, GPU)[seed % 3 == 0], tolerance=2e-3, seed=seed)
