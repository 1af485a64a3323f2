from __future__ import annotations

import math
from dataclasses import replace

import ml_dtypes
import numpy
import pytest

from lazygrad.ir.dtype import DTYPES, bfloat16, bool_, float16, float32, float64, int8, int32, int64
from lazygrad.ir.index import Bound, Index, Variable, variable
from lazygrad.ir.op import REGISTRY, Family
from lazygrad.ir.value import INDEX, LOAD, VALID, apply, constant, leaf, where
from lazygrad.kernel import interpret as interpreter
from lazygrad.kernel.interpret import interpret
from lazygrad.kernel.kernel import Access, Body, BufferDeclaration, Kernel, Reduction, Stage, Store
from lazygrad.kernel.verify import KernelError, verify
from unit.kernel.kernels import argument, load, padded_convolution, pointwise, reduced, scatter_add, softmax

I = variable("i0", 8)  # noqa: E741
X = load(0, I)
random = numpy.random.default_rng(0)


def evaluated(value, x, scalars=(), dtype=None):
    kernel = pointwise(value, len(x), dtype or value.dtype)
    kernel = replace(
        kernel,
        buffers=(BufferDeclaration(DTYPE_OF[x.dtype], len(x)), kernel.buffers[1]),
        scalars=tuple(float32 for _ in scalars),
    )
    verify(kernel)
    result = numpy.zeros(len(x), (dtype or value.dtype).numpy)
    interpret(kernel, [x, result], scalars=scalars)
    return result


DTYPE_OF = {dtype.numpy: dtype for dtype in DTYPES}


def test_softmax():
    x = random.standard_normal(32).astype(numpy.float32)
    y = numpy.zeros_like(x)
    interpret(softmax(4, 8), [x, y])
    powers = numpy.exp(x.reshape(4, 8) - x.reshape(4, 8).max(1, keepdims=True))
    numpy.testing.assert_allclose(y.reshape(4, 8), powers / powers.sum(1, keepdims=True), rtol=1e-6)


def test_masked_contraction():
    x, w = random.standard_normal(8).astype(numpy.float32), random.standard_normal(3).astype(numpy.float32)
    y = numpy.zeros_like(x)
    interpret(padded_convolution(), [x, w, y])
    numpy.testing.assert_allclose(y, numpy.convolve(x, w[::-1], "same"), rtol=1e-6)


def test_large_bodies_are_taken_in_portions(monkeypatch):
    monkeypatch.setattr(interpreter, "PORTION", 20)
    test_softmax()
    test_masked_contraction()


def test_scatter_adds_in_order_and_keeps_to_its_column():
    updates = random.standard_normal(12).astype(numpy.float32)
    positions = numpy.array([0, 3, 0, 0, 1, 3])
    result = numpy.full(8, 7, numpy.float32)
    interpret(scatter_add(), [updates, positions, result])
    expected = numpy.zeros((4, 2), numpy.float32)
    for position, row in zip(positions, updates.reshape(6, 2), strict=True):
        expected[position] += row
    numpy.testing.assert_array_equal(result.reshape(4, 2), expected)


def test_sequential_sums_round_after_each_addition():
    big = numpy.array([1, 1e8, -1e8, 0, 0, 0, 1, 0], numpy.float32)
    updates = numpy.zeros(12, numpy.float32)
    updates[::2] = big[:6]
    result = numpy.zeros(8, numpy.float32)
    interpret(scatter_add(), [updates, numpy.zeros(6, numpy.int64), result])
    assert result[0] == numpy.float32(numpy.float32(1 + 1e8) - 1e8)


def test_dynamic_addresses_out_of_range_are_refused_unless_masked():
    row = Variable("d0", 8)
    address = Index(0, ((row, 1),))
    position = load(0, I).cast(int64)

    def gather(mask):
        return pointwise(leaf(LOAD, float32, Access(0, address, mask, (row,)), (position,)), 8)

    x = numpy.array([7, 6, 5, 4, 3, 2, 1, 9], numpy.float32)
    y = numpy.zeros_like(x)
    with pytest.raises(KernelError, match="element 9 of buffer 0, which has 8, is accessed"):
        interpret(gather(()), [x, y])
    interpret(gather((Bound(address, 0, 8),)), [x, y])
    assert y.tolist() == [9, 1, 2, 3, 4, 5, 6, 0]


def test_reductions():
    axis = Variable("j0", 5)
    j = variable("j0", 5)
    x = numpy.array([1, 3, 3, -2, 0, 5, math.nan, 5, 9, math.nan], numpy.float32)
    value = load(0, variable("i0", 2) * 5 + j)

    def over(op, position=None):
        is_position = position is not None
        kernel = Kernel(
            "reduction",
            (
                Body(
                    (Variable("i0", 2),),
                    (
                        Stage((axis,), (Reduction(op, value, float32, position),)),
                        Stage(
                            (),
                            (),
                            (Store(Access(1, variable("i0", 2)), reduced(0, int64 if is_position else float32)),),
                        ),
                    ),
                ),
            ),
            (
                BufferDeclaration(float32, 10),
                BufferDeclaration(int64 if is_position else float32, 2, written=True),
            ),
        )
        verify(kernel)
        result = numpy.zeros(2, numpy.int64 if is_position else numpy.float32)
        interpret(kernel, [x, result])
        return result.tolist()

    assert over("sum")[0] == 5
    assert over("prod")[0] == 0
    assert over("max")[0] == 3
    assert over("min")[0] == -2
    assert math.isnan(over("max")[1])
    assert math.isnan(over("min")[1])
    assert over("argmax", j) == [1, 1]
    assert over("argmin", j * 2) == [6, 2]


def test_leaves():
    x = numpy.zeros(8, numpy.float32)
    assert evaluated(leaf(INDEX, int32, I * 3 + 1), x).tolist() == list(range(1, 25, 3))
    inside = leaf(VALID, bool_, (Bound(I, 2, 4),))
    assert evaluated(inside, x).tolist() == [False, False, True, True] + [False] * 4
    assert evaluated(where(inside, constant(math.inf, float32), 1.0), x).tolist()[1:3] == [1.0, math.inf]
    assert evaluated(X + argument(0), x, (2.5,)).tolist() == [2.5] * 8
    assert evaluated(constant(300, int32).cast(int8), x).tolist() == [44] * 8


def test_conversions():
    x = numpy.array([1.5, -1.5, 0, 2.7, 1e-3, 100.25, -0.0, 3], numpy.float32)
    assert evaluated(X.cast(int32), x).tolist() == [1, -1, 0, 2, 0, 100, 0, 3]
    assert evaluated(X.bitcast(int32), x).tolist() == x.view(numpy.int32).tolist()
    assert evaluated(X.cast(bfloat16), x).tolist() == x.astype(ml_dtypes.bfloat16).tolist()
    assert evaluated(X.cast(float16).cast(float64), x).tolist() == x.astype(numpy.float16).astype(float).tolist()


OPERATIONS = [op for op in REGISTRY.values() if op.family is Family.ELEMENTWISE and op.name != "cast"]


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
def test_every_operation_means_what_its_declaration_says(op):
    for dtype in (float32, int32, bool_):
        if not op.dtypes(dtype):
            continue
        x = random.integers(0, 2, 8).astype(bool) if dtype is bool_ else random.uniform(0.1, 0.9, 8).astype(dtype.numpy)
        inputs = [load(0, I, dtype)] * len(op.vjp)
        arrays = [x] * len(op.vjp)
        if op.name == "where":
            inputs[0], arrays[0] = leaf(VALID, bool_, (Bound(I, 2, 4),)), (numpy.arange(8) >= 2) & (numpy.arange(8) < 4)
        with numpy.errstate(all="ignore"):
            expected = op.numpy(None, *arrays)
        result = evaluated(apply(op.name, *inputs), x)
        numpy.testing.assert_array_equal(result, expected.astype(result.dtype))


def test_movable_buffers_start_at_their_offset():
    kernel = pointwise(X * 2.0, 8)
    kernel = replace(kernel, buffers=tuple(buffer._replace(movable=True) for buffer in kernel.buffers))
    x, y = numpy.arange(20, dtype=numpy.float32), numpy.zeros(20, numpy.float32)
    interpret(kernel, [x, y], offsets=[5, 10])
    assert y.tolist() == [0] * 10 + [2 * i for i in range(5, 13)] + [0] * 2
    with pytest.raises(KernelError, match=r"buffer 0 is 8 elements of float32, got float32\[20\] from element 15 on"):
        interpret(kernel, [x, y], offsets=[15, 0])


def test_wrong_arguments_are_refused():
    kernel = pointwise(X, 8)
    with pytest.raises(KernelError, match="takes 2 buffers, 0 offsets and 0 scalars, got 1, 0 and 0"):
        interpret(kernel, [numpy.zeros(8, numpy.float32)])
    with pytest.raises(KernelError, match=r"buffer 1 is 8 elements of float32, got float64\[8\]"):
        interpret(kernel, [numpy.zeros(8, numpy.float32), numpy.zeros(8)])


def test_depth_costs_no_recursion():
    value = X
    for _ in range(5_000):
        value = value + 1.0
    x, y = numpy.zeros(8, numpy.float32), numpy.zeros(8, numpy.float32)
    interpret(pointwise(value, 8), [x, y])
    assert y.tolist() == [5_000.0] * 8
