"""Index maps: composing maps is moving twice; what is known of them is true."""

import numpy
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lazygrad import ops
from lazygrad.ir.dtype import float64
from lazygrad.ir.map import compose, identity, is_bijection, is_identity, is_injective
from lazygrad.ir.node import topological
from lazygrad.ir.shape import size_of
from lazygrad.ops.movement import Padding, Range, Window


def source(shape):
    return ops.placeholder(shape, float64, "numpy:0")


@st.composite
def movements(draw, x):
    """One random movement of a node."""
    kind = draw(st.sampled_from(["permute", "reshape", "pad", "slice", "flip", "windows", "expand"]))
    axes = range(x.rank)
    match kind:
        case "permute":
            return ops.permute(x, tuple(draw(st.permutations(list(axes)))))
        case "reshape":
            size = size_of(x.shape)
            first = draw(st.sampled_from([d for d in range(1, size + 1) if size % d == 0]))
            return ops.reshape(x, (first, size // first))
        case "pad":
            return ops.pad(x, tuple(Padding(*draw(st.tuples(*[st.integers(0, 2)] * 3))) for _ in axes))
        case "slice":
            ranges = []
            for extent in x.shape:
                start = draw(st.integers(0, extent))
                ranges.append(Range(start, draw(st.integers(start, extent)), draw(st.integers(1, 3))))
            return ops.slice_(x, tuple(ranges))
        case "flip":
            return ops.flip(x, tuple(draw(st.sets(st.sampled_from(list(axes))))) if x.rank else ())
        case "windows":
            axis = draw(st.sampled_from(list(axes)))
            window = Window(axis, *draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))))
            assume((window.size - 1) * window.dilation < x.shape[axis])
            return ops.windows(x, (window,))
        case _:
            return ops.expand(ops.reshape(x, (1, *x.shape)), (draw(st.integers(1, 3)), *x.shape))


@st.composite
def chains(draw):
    """A tensor and a few movements of it, one after the other."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    last = source(shape)
    for _ in range(draw(st.integers(1, 4))):
        if last.rank > 4 or not 0 < size_of(last.shape) < 200:
            break
        last = draw(movements(last))
    return topological([last])


def run(chain):
    """The chain's values, one NumPy movement after the other."""
    array = numpy.arange(1.0, 1 + size_of(chain[0].shape)).reshape(chain[0].shape)
    start = array
    for current in chain[1:]:
        array = current.op.numpy(current, array)
    return start, array


def composed(chain):
    found = identity(chain[-1].shape)
    for current in reversed(chain[1:]):
        found = compose(found, current.op.map(current))
    return found


@settings(max_examples=150, deadline=None)
@given(chains())
def test_a_chain_of_movements_is_one_map(chain):
    start, expected = run(chain)
    view = ops.view(chain[0], composed(chain))
    numpy.testing.assert_array_equal(view.op.numpy(view, start), expected)


@settings(max_examples=150, deadline=None)
@given(chains())
def test_what_is_known_of_a_map_is_true(chain):
    start, values = run(chain)
    index_map = composed(chain)
    seen = values[values != 0]  # the source has no zeros, so these are outside the mask
    if is_injective(index_map, chain[0].shape):
        assert len(numpy.unique(seen)) == seen.size
    if is_bijection(index_map, chain[0].shape):
        assert sorted(values.reshape(-1)) == sorted(start.reshape(-1))
    if is_identity(index_map, chain[0].shape):
        numpy.testing.assert_array_equal(values, start)


@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 1, 0)])
def test_inverses_compose_to_the_identity(axes):
    x = source((2, 3, 4))
    there = ops.permute(x, axes)
    back = ops.permute(there, axes)
    assert compose(back.op.map(back), there.op.map(there)) == identity(x.shape)
    flip = ops.flip(x, (0, 2))
    assert compose(flip.op.map(flip), flip.op.map(flip)) == identity(x.shape)
    shaped = ops.reshape(x, (6, 4))
    again = ops.reshape(shaped, (2, 3, 4))
    assert compose(again.op.map(again), shaped.op.map(shaped)) == identity(x.shape)


def test_maps_print():
    x = source((5,))
    padded = ops.pad(x, (Padding(1, 0),))
    assert repr(padded.op.map(padded)) == "[6] -> [i0 - 1] where 1 <= i0 < 6"
    taps = ops.windows(x, (Window(0, 3, 2),))
    assert repr(taps.op.map(taps)) == "[2, 3] -> [2*i0 + i1]"


def test_permutations_are_bijections_and_repetitions_are_not():
    x = source((2, 3))
    turned = ops.permute(x, (1, 0))
    assert is_bijection(turned.op.map(turned), x.shape)
    repeated = ops.expand(ops.reshape(x, (1, 2, 3)), (4, 2, 3))
    assert not is_injective(repeated.op.map(repeated), (1, 2, 3))
