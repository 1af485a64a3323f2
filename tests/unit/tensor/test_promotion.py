"""The dtype of results against torch, over all dtypes, ranks and kinds of operands."""

from itertools import product

import pytest

import lazygrad as lg
from unit.tensor.against_torch import dtype_name, torch

NAMES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]


@pytest.mark.parametrize("operation", ["add", "mul", "div", "eq", "maximum", "where"])
def test_two_tensors(operation):
    for (one, other), ranks in product(product(NAMES, NAMES), product((0, 1), (0, 1))):

        def result(lib, one=one, other=other, ranks=ranks):
            x = lib.ones((2,) * ranks[0], dtype=getattr(lib, one))
            y = lib.ones((2,) * ranks[1], dtype=getattr(lib, other))
            if operation == "where":
                return lib.where(x == x, x, y)
            return getattr(lib, operation)(x, y)

        ours, theirs = result(lg), result(torch)
        assert dtype_name(ours.dtype) == dtype_name(theirs.dtype), (operation, one, other, ranks)
        assert tuple(ours.shape) == tuple(theirs.shape)


@pytest.mark.parametrize("number", [True, 2, 2.5])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_tensor_and_a_number(number, rank):
    for name in NAMES:
        for function in (lambda x: x * number, lambda x: x / number, lambda x: number + x, lambda x: x > number):
            ours = function(lg.ones((2,) * rank, dtype=getattr(lg, name)))
            theirs = function(torch.ones((2,) * rank, dtype=getattr(torch, name)))
            assert dtype_name(ours.dtype) == dtype_name(theirs.dtype), (name, number)


def test_reductions():
    for name in NAMES:
        x, y = lg.ones(2, dtype=getattr(lg, name)), torch.ones(2, dtype=getattr(torch, name))
        for reduction in ("sum", "prod", "max", "any", "all", "argmax", "cumsum"):
            if reduction == "argmax" and name == "bool":
                continue  # torch has none
            arguments = (0,) if reduction == "cumsum" else ()
            ours, theirs = getattr(x, reduction)(*arguments), getattr(y, reduction)(*arguments)
            assert dtype_name(ours.dtype) == dtype_name(theirs.dtype), (name, reduction)


def test_conversions():
    for name in ("float", "double", "half", "bfloat16", "long", "int", "short", "char", "byte", "bool"):
        ours = getattr(lg.tensor([0.0, 1.7]), name)()
        theirs = getattr(torch.tensor([0.0, 1.7]), name)()
        assert dtype_name(ours.dtype) == dtype_name(theirs.dtype)
        assert ours.tolist() == theirs.tolist()
    x = lg.tensor([1.0])
    assert x.to(lg.float32) is x
    assert x.type_as(lg.tensor([1])).dtype is lg.int64
    assert x.type() == "lazygrad.FloatTensor"
    assert x.type(lg.int32).dtype is lg.int32
    assert x.to(lg.float64, copy=True).dtype is lg.float64


def test_result_type():
    assert lg.result_type(lg.ones(2, dtype=lg.int32), 1.5) is lg.float32
    assert lg.result_type(lg.ones(2, dtype=lg.float16), lg.ones((), dtype=lg.float64)) is lg.float16
    assert lg.promote_types(lg.uint8, lg.int8) is lg.int16
