"""Generated Triton: what stands in the text, and that hard cases compute what the reference does."""

import re

import numpy
import pytest

import lazygrad as lg
from lazygrad_triton import versions

if versions.installed_version() is None:
    pytest.skip("Triton is not installed", allow_module_level=True)

from backends.triton.planned import A100, kernels_of
from lazygrad.nn import functional
from lazygrad_triton.source import generate

INTERPRET = "triton:interpret"
RANDOM = numpy.random.default_rng(0)


def texts(*tensors):
    return [generate(kernel, A100).text for kernel in kernels_of(tensors, A100)]


def body_of(text):
    """The last function of a file."""
    return text.rsplit("@triton.jit\n", 1)[1]


def agree(function, *arrays, rtol=1e-5, atol=1e-6):
    """The same computation interpreted and on the reference."""
    found, expected = (function(*(lg.tensor(a, device=d) for a in arrays)).numpy() for d in (INTERPRET, "numpy"))
    assert found.dtype == expected.dtype
    numpy.testing.assert_allclose(found.astype(numpy.float64), expected.astype(numpy.float64), rtol=rtol, atol=atol)


def normal(*shape, dtype="float32"):
    return RANDOM.standard_normal(shape).astype(dtype)


# ---- texts


def test_no_masks_where_blocks_fit():
    x, y = lg.rand(128, 512).realize(), lg.rand(512, 256).realize()
    for text in texts(x * 2 + 1, x.sum(1), x @ y):
        assert "mask" not in body_of(text)


def test_the_sum_of_an_even_product_walks_constant_offsets():
    (text,) = texts(lg.rand(2048, 512).realize() @ lg.rand(512, 2048).realize())
    loop = body_of(text).split("for step")[1]
    assert "%" not in loop.split("tl.dot")[0]
    assert "mask" not in loop


def test_a_convolution_has_no_mask_in_its_loop():
    images, weights = lg.rand(32, 64, 28, 28).realize(), lg.rand(64, 64, 3, 3).realize()
    text = next(t for t in texts(functional.conv2d(images, weights, padding=1)) if "tl.dot" in t)
    assert "mask" not in body_of(text).split("for step")[1].split("tl.dot")[0]


def test_a_sweep_is_loaded_once():
    (text,) = texts(lg.rand(64, 1000).realize().softmax(1))
    assert body_of(text).count("tl.load") == 1


def test_names_differ_between_bodies():
    """Triton wants one type for a name that several branches assign."""
    parameters = [lg.rand(n).realize() for n in (3, 70, 500)]
    (text,) = texts(*(p * 2 for p in parameters))
    names = re.findall(r"^ +(\w+) = ", body_of(text), re.MULTILINE)
    assigned = [name for name in names if name != "program"]
    assert len(assigned) == len(set(assigned)) > 3


def test_addresses_beyond_two_to_the_31_are_64_bit():
    from lazygrad.ir.dtype import float32
    from lazygrad.ir.index import variable
    from lazygrad.ir.value import LOAD, leaf
    from lazygrad.kernel.identity import canonical
    from lazygrad.kernel.kernel import Access, Body, BufferDeclaration, Kernel, Stage, Store

    rows, columns = 1 << 16, 1 << 16
    i, j = variable("i", rows), variable("j", columns)
    here, turned = i * columns + j, j * rows + i
    store = Store(Access(1, here), leaf(LOAD, float32, Access(0, turned)) * 2)
    axes = tuple(index.terms[0][0] for index in (i, j))
    size = rows * columns
    buffers = (BufferDeclaration(float32, size), BufferDeclaration(float32, size, True))
    kernel = canonical(Kernel("turned", (Body(axes, (Stage((), (), (store,)),)),), buffers))
    assert "tl.int64" in generate(kernel, A100).text


def test_equal_kernels_give_equal_texts():
    first, second = (texts((lg.rand(33, 7).realize() * 2).sum(1)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("deterministic", [False, True])
def test_additions_are_atomic_unless_they_must_be_ordered(deterministic):
    weights, places = lg.rand(10, 8, requires_grad=True), lg.randint(0, 10, (50,))
    lg.realize(weights, places)
    lg.use_deterministic_algorithms(deterministic)
    try:
        (gradient,) = lg.autograd.grad(weights[places].square().sum(), [weights])
        found = texts(gradient)
    finally:
        lg.use_deterministic_algorithms(False)
    assert any("tl.atomic_add" in text for text in found) != deterministic


# ---- values


@pytest.mark.parametrize("shape", [(3, 20000), (20000, 3), (1, 9000), (5, 1), (257, 129)])
@pytest.mark.parametrize("axis", [0, 1])
def test_long_and_ragged_reductions(shape, axis):
    x = normal(*shape)
    agree(lambda t: t.sum(axis), x, atol=1e-3)
    agree(lambda t: t.amax(axis), x)
    agree(lambda t: t.argmin(axis), x)
    agree(lambda t: t.logsumexp(axis), x)


@pytest.mark.parametrize("extreme", ["argmax", "argmin"])
def test_the_first_of_equal_extremes_in_any_block(extreme):
    x = numpy.zeros((4, 20000), numpy.float32)
    x[0, [5, 19000]] = [1, 1]
    x[1, [17000, 19999]] = [-1, -1]
    x[2] = numpy.inf if extreme == "argmin" else -numpy.inf
    x[3, [9000, 12000]] = numpy.nan
    agree(lambda t: getattr(t, extreme)(1), x)
    agree(lambda t: getattr(t, extreme)(), x[:3])


def test_nan_wins_in_extremes():
    x = normal(3, 20000)
    x[1, 15000] = numpy.nan
    agree(lambda t: t.amax(1), x)
    agree(lambda t: t.amin(1), x)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (8, 8, 8), (17, 33, 65), (100, 9, 1000), (7, 50, 50), (130, 70, 19)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_of_any_size(sizes, dtype):
    m, n, k = sizes
    agree(lambda a, b: a @ b, normal(m, k, dtype=dtype), normal(k, n, dtype=dtype), atol=1e-4)
    agree(lambda a, b: (a @ b.T).relu() * 2 + 1, normal(3, m, k, dtype=dtype), normal(n, k, dtype=dtype), atol=1e-4)


@pytest.mark.parametrize("dtype", [lg.float16, lg.bfloat16])
def test_half_products_accumulate_in_float32(dtype):
    a, b = normal(40, 2000), normal(2000, 24)
    agree(lambda x, y: (x.to(dtype) @ y.to(dtype)).float(), a, b, rtol=1e-2, atol=0.2)


def test_integer_products():
    a, b = RANDOM.integers(-100, 100, (30, 40)), RANDOM.integers(-100, 100, (40, 20))
    agree(lambda x, y: x @ y, a, b)


def gradients_of_a_convolution(**options):
    def gradients(x, w):
        x, w = x.requires_grad_(), w.requires_grad_()
        y = functional.conv2d(x, w, **options)
        dx, dw = lg.autograd.grad((y * y).sum(), [x, w])
        return lg.cat([dx.flatten(), dw.flatten()])

    return gradients


@pytest.mark.parametrize("options", [{"padding": 1}, {"stride": 2}, {"dilation": 2, "padding": 2}, {"groups": 2}])
def test_convolutions_and_their_gradients(options):
    images, weights = normal(3, 16, 9, 11), normal(24, 16 // options.get("groups", 1), 3, 3)
    agree(gradients_of_a_convolution(**options), images, weights, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("size", [1, 2])
def test_convolutions_of_images_smaller_than_their_windows(size):
    images, weights = normal(16, 16, size, size), normal(24, 16, 3, 3)
    agree(gradients_of_a_convolution(padding=1), images, weights, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("dtype", [lg.float32, lg.float16, lg.bfloat16, lg.int32, lg.uint8])
def test_scattered_additions(deterministic, dtype):
    places = RANDOM.integers(0, 6, (100, 5))
    added = RANDOM.integers(0, 3, (100, 5))
    lg.use_deterministic_algorithms(deterministic)
    try:
        agree(
            lambda p, s: lg.zeros(7, 5, dtype=dtype, device=p.device).scatter_add(0, p, s.to(dtype)).int(),
            places,
            added,
        )
    finally:
        lg.use_deterministic_algorithms(False)


def test_many_additions_to_one_place():
    places = RANDOM.integers(-1, 1, 300).clip(0, 0)
    agree(lambda p: lg.zeros(1, device=p.device).scatter_add(0, p, lg.ones(300, device=p.device)), places)
    agree(lambda p: lg.zeros(1, 3, device=p.device).index_add(0, p, lg.ones(300, 3, device=p.device)), places)


def test_transposes_and_turned_tiles():
    x = normal(37, 5, 130)
    agree(lambda t: t.permute(2, 0, 1).contiguous() * 2, x)
    agree(lambda t: t.transpose(0, 2).contiguous() + t.flip(1).transpose(0, 2), x)
