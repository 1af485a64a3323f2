"""Dtypes: one object each, limits, NumPy's counterparts."""

import pickle

import numpy
import pytest

from lazygrad.ir.dtype import DTYPES, accumulator, bfloat16, bool_, float16, float32, float64, from_numpy, int64

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.name)


@each_dtype
def test_numpy_dtypes_go_there_and_back(dtype):
    assert from_numpy(dtype.numpy) is dtype
    assert dtype.numpy.itemsize == dtype.itemsize


@each_dtype
def test_pickling_keeps_identity(dtype):
    assert pickle.loads(pickle.dumps(dtype)) is dtype


@each_dtype
def test_limits(dtype):
    if dtype.is_float:
        assert dtype.minimum == -numpy.inf
        assert dtype.maximum == numpy.inf
    elif dtype.is_integer:
        limits = numpy.iinfo(dtype.numpy)
        assert (dtype.minimum, dtype.maximum) == (limits.min, limits.max)
    else:
        assert (dtype.minimum, dtype.maximum) == (False, True)


def test_kinds():
    assert [d.name for d in DTYPES if d.is_float] == ["float16", "bfloat16", "float32", "float64"]
    assert not bool_.is_integer
    assert not bool_.is_signed
    assert int64.is_signed


def test_sums_of_half_width_floats_are_taken_in_float32():
    assert accumulator(float16) is accumulator(bfloat16) is float32
    assert accumulator(float64) is float64
    assert accumulator(int64) is int64


def test_an_unknown_numpy_dtype_names_the_known_ones():
    with pytest.raises(TypeError, match=r"no lazygrad dtype for NumPy's complex64; supported: bool, uint8"):
        from_numpy(numpy.dtype("complex64"))
