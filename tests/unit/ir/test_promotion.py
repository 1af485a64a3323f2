"""Promotion: the whole table against torch, and the strengths of tensors, 0-dimensional tensors and numbers."""

import itertools

import pytest

from lazygrad.ir.dtype import DTYPES, bool_, float16, float32, float64, int8, int32, int64, uint8
from lazygrad.ir.promotion import promote, result_type, scalar_dtype

NUMBERS = (True, 3, 2.5)


@pytest.mark.parametrize(("a", "b"), itertools.product(DTYPES, DTYPES), ids=lambda dtype: dtype.name)
def test_the_whole_table_against_torch(a, b):
    torch = pytest.importorskip("torch")
    expected = torch.promote_types(getattr(torch, a.name), getattr(torch, b.name))
    assert promote(a, b).name == str(expected).removeprefix("torch.")


@pytest.mark.parametrize(("a", "b"), itertools.product(DTYPES, DTYPES), ids=lambda dtype: dtype.name)
def test_zero_dimensional_tensors_against_torch(a, b):
    torch = pytest.importorskip("torch")
    expected = torch.result_type(
        torch.ones(2, dtype=getattr(torch, a.name)), torch.ones((), dtype=getattr(torch, b.name))
    )
    assert result_type([a], [b]).name == str(expected).removeprefix("torch.")


@pytest.mark.parametrize(("a", "number"), itertools.product(DTYPES, NUMBERS), ids=str)
@pytest.mark.parametrize("rank", [0, 1])
def test_numbers_against_torch(a, number, rank):
    torch = pytest.importorskip("torch")
    expected = torch.result_type(torch.ones((2,) * rank, dtype=getattr(torch, a.name)), number)
    found = result_type([a], [], [number]) if rank else result_type([], [a], [number])
    assert found.name == str(expected).removeprefix("torch.")


def test_promotion_is_symmetric_and_keeps_equal_dtypes():
    for a, b in itertools.product(DTYPES, DTYPES):
        assert promote(a, b) is promote(b, a)
        assert promote(a, a) is a


def test_examples():
    assert result_type([int32], [float64]) is float64
    assert result_type([float16], [float64]) is float16
    assert result_type([uint8, int8], [], [1000]) is promote(uint8, int8)
    assert result_type([bool_], [], [1]) is int64
    assert result_type([int8], [], [1.5]) is float32
    assert [scalar_dtype(number) for number in NUMBERS] == [bool_, int64, float32]


def test_nothing_to_promote_is_an_error():
    with pytest.raises(ValueError, match="at least one operand"):
        result_type()
