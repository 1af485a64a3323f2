"""Reading and assigning by index against torch, over many kinds of index."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lazygrad as lg
from lazygrad.ir.node import topological
from unit.tensor.against_torch import agree, both, numbers, to_array, torch


def tensor(*values):
    """An index tensor, made by the library at hand."""
    return lambda lib: lib.tensor(*values)


INDICES = {
    "int": (1,),
    "negative int": (-1,),
    "two ints": (0, -2),
    "all ints": (1, 2, 3),
    "slice": (slice(1, None),),
    "slices": (slice(None), slice(0, 2), slice(1, 4)),
    "steps": (slice(None, None, 2), slice(None), slice(1, None, 3)),
    "slice beyond": (slice(0, 99), slice(5, 9)),
    "negative slice": (slice(-2, None), slice(None, -1)),
    "ellipsis": (..., 0),
    "ellipsis between": (1, ..., slice(0, 2)),
    "none": (None, slice(None), None),
    "none and int": (0, None, ..., None),
    "list": ([0, 2],),
    "negative list": ([-1, 0],),
    "list behind": (slice(None), [0, 2]),
    "list of lists": ([[0, 1], [2, 0]],),
    "two lists": ([0, 2], [1, 3]),
    "two lists apart": ([0, 2], slice(None), [1, 3]),
    "two lists behind": (slice(None), [0, 2], [1, 3]),
    "broadcast lists": ([[0], [1]], [1, 2, 0]),
    "list and int": (0, [1, 2]),
    "list, slice, int": ([0, 1], slice(1, 3), 2),
    "int, slice, list": (1, slice(None), [0, 3]),
    "list and none": ([0, 1], None, [1, 2]),
    "tensor": (tensor([2, 0, 1]),),
    "tensor of rank 2": (slice(None), tensor([[0, 1], [2, 2]])),
    "scalar tensor": (tensor(1),),
    "scalar tensors": (tensor(1), slice(None), tensor(-1)),
    "mask of rank 1": (tensor([True, False, True]),),
    "mask list": ([True, False, True],),
    "mask and list": (tensor([True, False, True]), slice(None), [0, 1]),
    "mask behind": (slice(None), tensor([True, False, True, True])),
    "empty list": ([],),
}


def built(index, lib):
    parts = tuple(part(lib) if callable(part) else part for part in index)
    return parts if len(parts) > 1 else parts[0]


@pytest.mark.parametrize("name", INDICES)
def test_reading(name):
    agree(lambda lib, x: x[built(INDICES[name], lib)], numbers(3, 4, 5))


@pytest.mark.parametrize("name", INDICES)
def test_assigning_numbers_and_tensors(name):
    index = INDICES[name]
    shape = torch.zeros(3, 4, 5)[built(index, torch)].shape

    def assigned(lib, x, value, row):
        results = []
        for given_value in (-1.5, value, row, 0):
            y = x.clone()
            y[built(index, lib)] = given_value
            results.append(y)
        return tuple(results)

    value = numbers(*shape, seed=3)
    agree(assigned, numbers(3, 4, 5), value, numpy.array(2.0) if not shape else value[..., :1])


def test_assigning_under_a_mask():
    def masked(lib, x, value):
        y = x.clone()
        y[y > 0] = 0
        z = x.clone()
        z[z < 0] = value
        w = x.clone()
        w[w > 0] = w[w > 0] * 2
        return y, z, w

    agree(masked, numbers(3, 4), numpy.array(7.0))


def test_assigning_converts_to_the_tensors_dtype():
    x = lg.zeros(3, dtype=lg.int64)
    x[0] = 2.7
    x[1:] = lg.tensor([1.2, 3.9])
    assert x.tolist() == [2, 1, 3]
    x[:] = 5
    assert x.tolist() == [5, 5, 5]


def test_assignment_operators_on_parts():
    def changed(lib, x):
        y = x.clone()
        y[0] += 1
        y[:, 1] *= 2
        y[[0, 2]] -= 1
        return y

    agree(changed, numbers(3, 4))


@settings(max_examples=150, deadline=None)
@given(data=st.data(), shape=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_any_basic_index(data, shape):
    index = []
    for extent in shape[: data.draw(st.integers(0, len(shape)))]:
        index.append(
            data.draw(
                st.integers(-extent, extent - 1)
                | st.builds(
                    slice, st.none() | st.integers(-6, 6), st.none() | st.integers(-6, 6), st.none() | st.integers(1, 4)
                )
                | st.none().map(lambda _: slice(None))
            )
        )
    for _ in range(data.draw(st.integers(0, 2))):
        index.insert(data.draw(st.integers(0, len(index))), None)
    if data.draw(st.booleans()):
        index.append(...)
    index = tuple(index)
    array = numpy.arange(numpy.prod(shape)).reshape(shape)
    ours, theirs = both(array)
    numpy.testing.assert_array_equal(to_array(ours[index]), theirs[index].numpy())
    ours[index] = -1
    theirs[index] = -1
    numpy.testing.assert_array_equal(to_array(ours), theirs.numpy())


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_advanced_index(data):
    shape = (3, 4, 2, 3)
    count = data.draw(st.integers(1, 3))
    index = []
    for extent in shape:
        kind = data.draw(st.sampled_from("slice list int grid none"))
        if kind == "list":
            index.append(data.draw(st.lists(st.integers(-extent, extent - 1), min_size=count, max_size=count)))
        elif kind == "grid":
            index.append([[data.draw(st.integers(0, extent - 1))] for _ in range(2)])
        elif kind == "int":
            index.append(data.draw(st.integers(0, extent - 1)))
        else:
            index.append(slice(data.draw(st.integers(0, 1)), None))
    array = numpy.arange(numpy.prod(shape), dtype="float64").reshape(shape)
    ours, theirs = both(array, requires_grad=False)
    index = tuple(index)
    numpy.testing.assert_array_equal(to_array(ours[index]), theirs[index].numpy())


def test_positions_and_masks():
    x = numpy.array([[0, 3], [4, 0]])
    agree(lambda lib, x: (x.nonzero(), *lib.nonzero(x, as_tuple=True), *lib.where(x > 0)), x)
    agree(lambda lib, x: (x.masked_select(x > 0), x.masked_fill(x > 0, 9), x.masked_fill(x == 0, x.sum())), x)
    agree(lambda lib, x: x.masked_fill(x > 0, -1.0), numbers(3, 4))


def test_gather_and_scatter():
    x, index, source = numbers(3, 4), numpy.array([[0, 2, 1], [1, 0, 2]]), numbers(2, 3, seed=4)
    agree(lambda lib, x, i: (lib.gather(x, 0, i), lib.gather(x, 1, i)), x, index)
    agree(
        lambda lib, x, i, s: (x.scatter(0, i, s), x.scatter_add(1, i, s), x.scatter(1, i, value=5.0)), x, index, source
    )
    agree(lambda lib, x, i: (lib.take_along_dim(x, i[:1], 1), lib.take_along_dim(x, i.reshape(-1))), x, index)


def test_index_functions():
    x, index, source = numbers(3, 4), numpy.array([2, 0, 2]), numbers(3, 3, seed=4)
    agree(lambda lib, x, i: (lib.index_select(x, 0, i), x.index_select(1, i)), x, index)
    agree(lambda lib, x, i, s: (x.index_add(1, i, s), x.index_add(1, i, s, alpha=2)), x, index, source)
    agree(lambda lib, x, i, s: x.index_copy(1, i[:2], s[:, :2]), x, index, source)
    agree(lambda lib, x, i, s: x.index_put((i, i), s[0], accumulate=True), x, index, source)
    agree(lambda lib, x, i, s: x.index_put((i[:2], i[1:]), s[0, :2]), x, index, source)


def test_inplace_index_functions():
    x = lg.zeros(3, 2)
    x.index_add_(0, lg.tensor([0, 2, 0]), lg.ones(3, 2))
    x.scatter_(0, lg.tensor([[1, 1]]), 7.0)
    x.masked_fill_(x == 1, -1)
    assert x.tolist() == [[2, 2], [7, 7], [-1, -1]]


def test_a_slice_of_data_is_one_slice_of_the_buffer():
    data = lg.tensor(numbers(8, 3))
    part = data[2:4]
    assert [node.op.name for node in topological([part._node])][-2:] == ["buffer", "slice"]
    column = data[2:6:2, 1]
    assert [node.op.name for node in topological([column._node])] == ["buffer", "slice", "reshape"]


def test_iteration_and_length():
    x = lg.tensor([[1, 2], [3, 4]])
    assert len(x) == 2
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
    assert 3 in x
    assert 9 not in x


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (5, IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
        ((0, -4), IndexError, "index -4 is out of bounds for dimension 1 with size 3"),
        ((0, 0, 0), IndexError, "too many indices for tensor of dimension 2"),
        (slice(None, None, -1), ValueError, "step must be positive"),
        ((..., ...), IndexError, "single ellipsis"),
        ([0.5], IndexError, "must be integer or bool"),
        ("a", TypeError, "an index must be"),
        ([0, 7], IndexError, "index 7 is out of bounds for dimension 0 with size 2"),
    ],
)
def test_errors(index, error, message):
    with pytest.raises(error, match=message):
        lg.ones(2, 3)[index]


def test_wrong_masks_and_values():
    x = lg.ones(2, 3)
    with pytest.raises(IndexError, match="shape of the mask"):
        x[lg.tensor([True, False, True])]
    with pytest.raises(RuntimeError, match="shape mismatch"):
        x[0] = lg.ones(2)
    with pytest.raises(IndexError, match="integer or bool"):
        x[lg.tensor([0.0])]
    assert x.tolist() == [[1, 1, 1], [1, 1, 1]]
