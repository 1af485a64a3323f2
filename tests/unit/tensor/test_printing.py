"""The printed form against torch's, character for character (but for the library's name)."""

import re

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import lazygrad as lg
from lazygrad.tensor.printing import printoptions
from unit.tensor.against_torch import both, torch


def on_one_line(text):
    """The library's name is longer than torch's, so the dtype may have to go to a line of its own earlier."""
    return re.sub(r",\s+dtype=", ", dtype=", text.replace("lazygrad.", "torch."))


def same_text(ours, theirs):
    assert on_one_line(repr(ours)) == on_one_line(repr(theirs))


FLOATS = st.floats(width=32, allow_subnormal=False) | st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 1e-5, 12345.678, 1e8, 1.5e9, 0.1, 1000.0, 1e-4, 9999.0]
)


@settings(max_examples=400, deadline=None)
@given(
    arrays.arrays(numpy.float32, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5), elements=FLOATS)
)
def test_floats(array):
    same_text(*both(array, requires_grad=False))


@settings(max_examples=200, deadline=None)
@given(arrays.arrays(numpy.float64, arrays.array_shapes(max_dims=2, max_side=30), elements=st.floats(-1000, 1000)))
def test_rows_break_where_torchs_do(array):
    same_text(*both(array, requires_grad=False))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["int64", "int32", "int16", "int8", "uint8", "bool"]).flatmap(
        lambda name: arrays.arrays(name, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=12))
    )
)
def test_integers_and_bools(array):
    same_text(*both(array))


@settings(max_examples=100, deadline=None)
@given(arrays.arrays(numpy.float16, arrays.array_shapes(max_dims=2, max_side=6)))
def test_half_width_floats(array):
    same_text(*both(array, requires_grad=False))
    with numpy.errstate(all="ignore"):
        array = array.astype("float32")
    same_text(lg.tensor(array, dtype=lg.bfloat16), torch.tensor(array, dtype=torch.bfloat16))


@pytest.mark.parametrize(
    "shape", [(1001,), (2000,), (40, 50), (7, 300), (2000, 1), (3, 4, 100), (1, 1, 2000), (12, 12, 12)]
)
@pytest.mark.parametrize("scale", [1, 1e6])
def test_summaries(shape, scale):
    array = (numpy.arange(numpy.prod(shape)).reshape(shape) * 0.37 * scale).astype("float32")
    same_text(*both(array, requires_grad=False))
    same_text(*both(array.astype("int64")))


FUNCTIONS = {
    "leaf": lambda lib, x: x,
    "add": lambda lib, x: x + 1,
    "sub": lambda lib, x: x - 1,
    "mul": lambda lib, x: x * 2,
    "div": lambda lib, x: x / 2,
    "neg": lambda lib, x: -x,
    "pow": lambda lib, x: x**2,
    "pow of tensors": lambda lib, x: x**x,
    "exp": lambda lib, x: x.exp(),
    "sum": lambda lib, x: x.sum(),
    "sum over one": lambda lib, x: x.sum(0),
    "mean": lambda lib, x: x.mean(),
    "max": lambda lib, x: x.max(),
    "clone": lambda lib, x: x.clone(),
    "relu": lambda lib, x: x.relu(),
    "softmax": lambda lib, x: x.softmax(0),
    "view": lambda lib, x: x.view(2, 2),
    "matrix product": lambda lib, x: x.view(2, 2) @ x.view(2, 2),
    "permute": lambda lib, x: x.view(2, 2).permute(1, 0),
    "unsqueeze": lambda lib, x: x.unsqueeze(0),
    "cat": lambda lib, x: lib.cat([x, x]),
    "where": lambda lib, x: lib.where(x > 0, x, x),
    "detached": lambda lib, x: x.detach(),
    "compared": lambda lib, x: x > 0,
    "mse": lambda lib, x: lib.nn.functional.mse_loss(x, x * 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_history(name):
    ours, theirs = both(numpy.array([0.5, 1, 2, 3], "float32"))
    same_text(FUNCTIONS[name](lg, ours), FUNCTIONS[name](torch, theirs))


def test_parts_of_a_line():
    same_text(lg.ones(2, 0), torch.ones(2, 0))
    same_text(lg.zeros(0, dtype=lg.int64), torch.zeros(0, dtype=torch.int64))
    wide = numpy.full((9,), 1234.5678)
    same_text(lg.tensor(wide), torch.tensor(wide))
    same_text(lg.tensor(wide, requires_grad=True), torch.tensor(wide, requires_grad=True))


def test_options():
    array = numpy.array([[1.123456, 2000.5], [0.001, -3]])
    for options in ({"precision": 2}, {"sci_mode": True}, {"sci_mode": False}, {"linewidth": 20}, {"profile": "short"}):
        before = torch.get_printoptions() if hasattr(torch, "get_printoptions") else None
        torch.set_printoptions(**options)
        with printoptions(**options):
            same_text(lg.tensor(array), torch.tensor(array))
        torch.set_printoptions(profile="default", sci_mode=None)
        assert before is None or torch.get_printoptions() == before
    with printoptions(threshold=5, edgeitems=1):
        assert repr(lg.arange(9)) == "tensor([0,  ..., 8])"
    assert lg.get_printoptions()["precision"] == 4
    lg.set_printoptions(precision=1)
    assert repr(lg.tensor([0.25])) == "tensor([0.2])"
    lg.set_printoptions(profile="default")


def test_formatting():
    assert f"{lg.tensor(3.14159):.2f}" == "3.14"
    assert f"{lg.tensor([1, 2])}" == "tensor([1, 2])"
    assert str(lg.tensor(1)) == "tensor(1)"
    assert "grad_fn=<MulBackward0>" in str(lg.ones(1, requires_grad=True) * 2)
