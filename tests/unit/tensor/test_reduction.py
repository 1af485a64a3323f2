"""Reductions and running sums against torch."""

import numpy
import pytest

import lazygrad as lg
from lazygrad import ops
from lazygrad.ir.node import all_inputs, topological
from lazygrad.ir.shape import size_of
from lazygrad.testing.gradcheck import gradcheck
from unit.tensor.against_torch import agree, agree_to_order, numbers

AXES = [None, 0, -1, (0, 2), (1,)]


@pytest.mark.parametrize("dim", AXES)
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("name", ["sum", "mean", "amax", "amin", "var", "std", "norm", "logsumexp"])
def test_reductions_over_dimensions(name, dim, keepdim):
    def reduced(lib, x):
        if name == "norm":
            return x.norm(2, dim, keepdim)
        if dim is None and name in ("logsumexp", "amax", "amin"):
            return getattr(lib, name)(x, (0, 1, 2), keepdim)
        return getattr(lib, name)(x, dim=dim, keepdim=keepdim)

    agree(reduced, numbers(3, 4, 5))


@pytest.mark.parametrize("dim", [None, 0, 1])
@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_products(dim, zeros):
    x = numbers(3, 4)
    x.flat[:zeros] = 0
    agree(lambda lib, x: x.prod() if dim is None else x.prod(dim, keepdim=True), x)


@pytest.mark.parametrize("extent", [1, 2, 3, 5, 8, 16, 17, 35])
@pytest.mark.parametrize("zeros", [0, 1, 2, 3, 4])
def test_derivatives_of_products_with_zeros(extent, zeros):
    """Three orders; with as many zeros as the order, some are not zero. The exponential keeps short ones going."""
    x = numbers(3, extent, low=0.8, high=1.3)
    places = numpy.random.default_rng(zeros).permutation(extent)[:zeros]
    x[1, places] = 0
    agree_to_order(3, lambda lib, x: x.prod(1).exp(), x)
    agree_to_order(2, lambda lib, x: x.prod(0, keepdim=True).exp(), x.T.copy())
    agree_to_order(2, lambda lib, x: x.prod().exp(), x)


def test_products_over_several_axes_that_are_not_neighbours():
    x = numbers(2, 3, 2, 5)
    x[0, 0, 1, 2] = x[1, 1, 0, 2] = x[0, 1, 0, 2] = 0

    def product(x):
        return ops.prod(x, (0, 2))

    assert gradcheck(product, [ops.buffer(lg.tensor(x)._node.result)], second_order=True)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_the_gradient_of_a_product_does_not_divide_by_its_factors(dtype):
    """Where the product is not in the dtype's range, the products of all others may be."""
    tiny, huge = {"float16": (2.0**-20, 2.0**12)}.get(dtype, (2.0**-100, 2.0**100))
    for x, wanted in (([tiny, tiny, 2], [2 * tiny, 2 * tiny, 0]), ([huge, 1, huge], [huge, numpy.inf, huge])):
        given = lg.tensor(x, dtype=getattr(lg, dtype), requires_grad=True)
        (found,) = lg.autograd.grad(given.prod(), given)
        assert found.dtype is given.dtype
        assert found.tolist() == wanted


def test_the_gradient_of_a_long_product_takes_few_steps_and_little_memory():
    x = lg.ones(2**20, requires_grad=True)
    (found,) = lg.autograd.grad(x.prod(), x)
    met = topological([found._node], all_inputs)
    assert len(met) < 20 * 20
    assert sum(size_of(n.shape) for n in met if n.op.name == "mul") < 3.1 * 2**20
    assert found.sum().item() == 2**20


@pytest.mark.parametrize("name", ["max", "min"])
def test_extrema(name):
    x = numbers(3, 4, 5)
    agree(lambda lib, x: getattr(x, name)(), x)
    for dim, keepdim in [(0, False), (1, True), (-1, False)]:
        agree(lambda lib, x, d=dim, k=keepdim: tuple(getattr(x, name)(d, keepdim=k)), x)
    agree(lambda lib, x, y: getattr(lib, name)(x, y), x, numbers(3, 4, 5, seed=2))
    result = getattr(lg.tensor(x), name)(dim=0)
    assert result.values.shape == (4, 5)
    assert result.indices.dtype is lg.int64


def test_the_gradient_of_max_along_a_dimension_goes_to_the_first_of_equals():
    agree(lambda lib, x: x.max(1).values, numpy.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]))


def test_equals_share_the_gradient_of_amax():
    agree(lambda lib, x: (lib.amax(x, 1), lib.amin(x, 1), x.max()), numpy.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]))


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_positions(name):
    x = numbers(3, 4, 5)
    agree(lambda lib, x: (getattr(x, name)(), getattr(x, name)(1), getattr(x, name)(-1, keepdim=True)), x)
    agree(lambda lib, x: getattr(x, name)(0), numpy.array([[1.0, numpy.nan], [2.0, 0.0]]))


def test_truth():
    x = numpy.array([[0, 1], [0, 0]])
    agree(lambda lib, x: (x.any(), x.all(), x.any(0), x.all(1, keepdim=True), x.count_nonzero(), x.count_nonzero(0)), x)


def test_truth_of_uint8_is_uint8():
    x = numpy.array([[0, 3], [0, 0]], numpy.uint8)
    agree(lambda lib, x: (x.any(), x.all(), x.any(0), x.all(1, keepdim=True), lib.any(x, 1), x[:0].all(0)), x)
    for dtype in ("int8", "int64", "bool", "float32"):
        agree(lambda lib, x: (x.any(), x.all(), x.any(0)), x.astype(dtype))


def test_variance_arguments():
    x = numbers(3, 4)
    agree(lambda lib, x: (x.var(), x.var(False), x.var(1, unbiased=False), x.std(0, correction=2)), x)
    agree(lambda lib, x: (*lib.var_mean(x, 1), *lib.std_mean(x)), x)


@pytest.mark.parametrize("p", [1, 2, 3.0, 0, float("inf"), float("-inf"), "fro"])
def test_norms(p):
    agree(lambda lib, x: (x.norm(p), x.norm(p, 1), x.norm(p, (0, 1), keepdim=True)), numbers(3, 4))


def test_the_gradient_of_a_zero_norm_is_zero():
    agree(lambda lib, x: x.norm(dim=1), numpy.array([[0.0, 0.0], [3.0, 4.0]]))


def test_logsumexp_stays_in_range():
    agree(lambda lib, x: x.logsumexp(1), numpy.array([[1000.0, 1000.0], [-1000.0, -1001.0]]))
    agree(lambda lib, x: x.logsumexp(1), numpy.array([[-numpy.inf, -numpy.inf], [numpy.inf, 0]]), gradients=False)


@pytest.mark.parametrize("dim", [0, 1])
def test_softmax(dim):
    x = numbers(3, 4) * 50
    agree(lambda lib, x: (lib.softmax(x, dim), lib.log_softmax(x, dim), x.softmax(-1)), x)
    agree(lambda lib, x: lib.softmax(x, dim, dtype=lib.float64), x.astype("float32"), tolerance=1e-6)


@pytest.mark.parametrize("extent", [1, 5, 64, 65, 200])
@pytest.mark.parametrize("dim", [0, 1])
def test_running_sums(extent, dim):
    shape = (extent, 2) if dim == 0 else (2, extent)
    agree(lambda lib, x: x.cumsum(dim), numbers(*shape))


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("strange", [numpy.inf, -numpy.inf, numpy.nan])
def test_running_sums_are_strange_from_a_strange_element_on(dim, strange):
    x = numbers(40, 41)
    x[17, 18] = strange
    agree(lambda lib, x: x.cumsum(dim), x, gradients=False)
    g = numbers(40, 41)
    g[17, 18] = strange  # and gradients up to there
    agree(
        lambda lib, x, g: lib.autograd.grad(x.requires_grad_().cumsum(dim), x, g)[0],
        numbers(40, 41),
        g,
        gradients=False,
    )


def test_running_sums_of_integers():
    agree(lambda lib, x: x.cumsum(0), numpy.arange(150))
    agree(lambda lib, x: x.cumsum(0), numpy.array([True, False, True]))


def test_empty_tensors():
    x = numpy.zeros((0, 3))
    agree(lambda lib, x: (x.sum(), x.sum(0), x.prod(0), x.mean(0), x.any(), x.all(0)), x, gradients=False)
    with pytest.raises(IndexError, match=r"amax|max"):
        lg.zeros(0, 3).amax(0)


def test_scalars():
    x = numpy.array(2.5)
    agree(lambda lib, x: (x.sum(), x.mean(), x.sum(0), x.amax(), x.argmax(), x.max(), x.softmax(0), x.cumsum(0)), x)
    agree(lambda lib, x: tuple(x.max(0)), x)


def test_half_width_floats_are_accumulated_in_float32():
    x = lg.full((4096,), 1.0, dtype=lg.float16) * 100
    assert x.mean().item() == 100
    assert lg.full((4096,), 0.1, dtype=lg.bfloat16).sum().item() == pytest.approx(410, rel=0.01)


@pytest.mark.parametrize("call", [lambda x: x.sum(2), lambda x: x.mean(-3), lambda x: x.argmax(5)])
def test_dimensions_out_of_range(call):
    with pytest.raises(IndexError, match=r"dimension out of range \(expected to be in range of \[-2, 1\]"):
        call(lg.ones(2, 3))


def test_wrong_dtypes():
    with pytest.raises(RuntimeError, match="could not infer output dtype"):
        lg.arange(3).mean()
    with pytest.raises(RuntimeError, match="floating point"):
        lg.arange(3).var()
    with pytest.raises(RuntimeError, match="dimension appears twice"):
        lg.ones(2, 3).sum((0, 0))
