"""Products over a triangle: right where it counts, and the rest left out by whole tiles."""

from __future__ import annotations

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lazygrad as lg
from lazygrad import ops
from lazygrad.tensor.handle import wrap

pytest.importorskip("pyopencl")

DEVICE = "opencl:0"
EXAMPLES = 40
# The six products of causal attention and its gradients, with "mn" an operand or the result; two where it lies turned.
PRODUCTS = ["me,ne->mn", "mn,ne->me", "mn,me->ne", "ne,me->mn", "ne,mn->me", "me,mn->ne", "me,ne->nm", "nm,en->me"]
extents = st.one_of(st.integers(1, 17), st.sampled_from([31, 64, 70, 128, 200]))
limited = settings(max_examples=EXAMPLES, deadline=None, derandomize=True)


def labels(axes: str) -> tuple[int, ...]:
    return (0, *(1 + "mne".index(axis) for axis in axes))


def triangle(axes: str, rows: int, columns: int) -> numpy.ndarray:
    """1 where an operand or a result with these axes counts."""
    lower = numpy.tril(numpy.ones((rows, columns)))
    if {"m", "n"} - set(axes):
        return numpy.ones(())
    return lower if axes.index("m") < axes.index("n") else lower.T


def operands(product: str, extent: dict[str, int], dtype: str) -> list[numpy.ndarray]:
    """Random, and zero above the diagonal."""
    random = numpy.random.default_rng(0)
    made = []
    for axes in product.split("->")[0].split(","):
        full = random.standard_normal([2, *(extent[axis] for axis in axes)])
        made.append((full * triangle(axes, extent["m"], extent["n"])).astype(dtype))
    return made


def contracted(product: str, a: numpy.ndarray, b: numpy.ndarray) -> numpy.ndarray:
    inputs, out = product.split("->")
    first, second = inputs.split(",")
    x, y = lg.tensor(a, device=DEVICE), lg.tensor(b, device=DEVICE)
    lower = labels("mn")[1:]
    made = ops.contract(x._cell.node, labels(first), y._cell.node, labels(second), labels(out), "highest", lower)
    return wrap(made, x, y, name="Contract").numpy()


@limited
@given(st.sampled_from(PRODUCTS), extents, extents, extents, st.sampled_from(["float32", "float64"]))
def test_what_counts_is_right(product, rows, columns, other, dtype):
    extent = {"m": rows, "n": columns, "e": other}
    a, b = operands(product, extent, dtype)
    inputs, out = product.split("->")
    first, second = inputs.split(",")
    expected = numpy.einsum(f"b{first},b{second}->b{out}", a.astype("float64"), b.astype("float64"))
    counts = triangle(out, rows, columns)
    found = contracted(product, a, b)
    assert numpy.isfinite(found).all()
    tolerance = {"float32": 3e-5, "float64": 1e-12}[dtype] * max(1.0, abs(expected).max(initial=0))
    numpy.testing.assert_allclose(found * counts, expected * counts, rtol=0, atol=tolerance)


@pytest.mark.parametrize("product", PRODUCTS)
def test_tiles_leave_out_what_does_not_count(product):
    """Where all of a tile needs only the first half of a sum, or nothing, nan in the rest does not come through."""
    size = 256
    a, b = operands(product, {"m": size, "n": size, "e": size}, "float32")
    inputs, out = product.split("->")
    first, second = inputs.split(",")
    half = slice(size // 2, None)
    if {"m", "n"} <= set(out):  # the late columns: wanted by late rows only
        poisoned, axes = (a, first) if "n" in first else (b, second)
        index = tuple(half if axis == "n" else slice(None) for axis in axes)
        early = tuple({"m": slice(64), "n": half}[axis] for axis in out)
    else:  # of a sum over columns the late ones, wanted by late rows; of a sum over rows the early, by early columns
        poisoned, axes = (a, first) if "e" in first else (b, second)
        summed = "n" if "m" in out else "m"
        index = tuple((half if summed == "n" else slice(size // 2)) if axis == summed else slice(None) for axis in axes)
        early = tuple({"m": slice(64), "n": slice(size - 64, None), "e": slice(None)}[axis] for axis in out)
    poisoned[(slice(None), *index)] = numpy.nan
    found = contracted(product, a, b)
    assert numpy.isfinite(found[(slice(None), *early)]).all()
    assert not numpy.isfinite(found).all()
