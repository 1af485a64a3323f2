"""Precision of products and determinism of sums: bound when an operation is called, and kept down to the kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy
import pytest

import lazygrad as lg
from lazygrad import ops, runtime
from lazygrad.autodiff import vjp
from lazygrad.ir.dtype import DType, float16, float32, float64, int32, int64
from lazygrad.ir.node import Node, all_inputs, topological
from lazygrad.ir.printer import print_graph
from lazygrad.kernel.kernel import Contraction, Stage
from lazygrad.kernel.printer import print_kernel
from lazygrad.ops.contract import CONTRACT
from lazygrad.ops.indexing import SCATTER
from lazygrad.schedule import Schedule
from lazygrad.tensor.handle import leaf_tensor
from unit.schedule.interpreted import CPU, GPU, reference, run, schedule_of


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    yield
    lg.set_float32_matmul_precision("highest")
    lg.use_deterministic_algorithms(False)


def placeholder(*shape: int, dtype: DType = float32) -> Node:
    return ops.placeholder(shape, dtype, "numpy")


def product(a: Node, b: Node) -> Node:
    return ops.contract(a, (0, 1), b, (1, 2), (0, 2))


def precisions(roots: Sequence[Node]) -> set[str]:
    return {n.attributes.precision for n in topological(roots, all_inputs) if n.op is CONTRACT}


def stages(made: Schedule) -> list[Stage]:
    return [stage for scheduled in made.kernels for body in scheduled.kernel.bodies for stage in body.stages]


# ---- precision


def test_the_precision_is_one_of_three():
    assert lg.get_float32_matmul_precision() == "highest"
    for precision in ("medium", "high", "highest"):
        lg.set_float32_matmul_precision(precision)
        assert lg.get_float32_matmul_precision() == precision
    with pytest.raises(RuntimeError, match="expected 'highest', 'high', 'medium', got 'ieee'"):
        lg.set_float32_matmul_precision("ieee")


def test_a_product_is_bound_to_the_precision_when_it_is_called():
    a, b = placeholder(3, 4), placeholder(4, 5)
    exact = product(a, b)
    lg.set_float32_matmul_precision("high")
    rounded = product(a, b)
    assert (exact.attributes.precision, rounded.attributes.precision) == ("highest", "high")
    assert product(a, b) is rounded
    lg.set_float32_matmul_precision("highest")
    assert product(a, b) is exact


@pytest.mark.parametrize("dtype", [float16, float64, int32], ids=lambda d: d.name)
def test_other_dtypes_have_one_precision(dtype):
    a, b = placeholder(3, 4, dtype=dtype), placeholder(4, 5, dtype=dtype)
    exact = product(a, b)
    lg.set_float32_matmul_precision("medium")
    assert product(a, b) is exact


def test_gradients_have_the_precision_of_what_they_are_gradients_of():
    a, b = placeholder(3, 4), placeholder(4, 5)
    lg.set_float32_matmul_precision("high")
    y = product(a, b)
    lg.set_float32_matmul_precision("medium")
    g = placeholder(3, 5)
    first = vjp([y], [g], [a, b])
    assert precisions([n for n in first if n is not None]) == {"high"}
    seconds = vjp([n for n in first if n is not None], [placeholder(3, 4), placeholder(4, 5)], [a, b, g])
    assert precisions([n for n in seconds if n is not None]) == {"high"}


def test_functions_that_only_add_have_no_products():
    lg.set_float32_matmul_precision("medium")
    x = lg.rand(2, 3, 7, 7, device="numpy")
    assert precisions([x.cumsum(3)._node, lg.nn.functional.adaptive_avg_pool2d(x, 3)._node]) == set()


LAYERS = {
    "conv2d": lambda x, w: lg.nn.functional.conv2d(x, w, stride=2, padding=1),
    "conv_transpose2d": lambda x, w: lg.nn.functional.conv_transpose2d(x, w, stride=2),
    "linear": lambda x, w: lg.nn.functional.linear(x.flatten(1), w.flatten(1)),
    "attention": lambda x, w: lg.nn.functional.scaled_dot_product_attention(x, w[:2], w[2:]),
    "einsum": lambda x, w: lg.einsum("nchw,cdhw->ndhw", x[:, :, :3, :3], w),
}


@pytest.mark.parametrize("machine", [CPU, GPU], ids=["cpu", "gpu"])
@pytest.mark.parametrize("layer", LAYERS)
def test_passes_and_schedules_keep_the_precision(layer, machine):
    """Strided convolutions go through all of them: folding, phases, staging."""
    size = 3 if layer == "linear" else 8
    x, w = placeholder(2, 4, size, size), placeholder(4, 4, *((8, 8) if layer == "attention" else (3, 3)))
    lg.set_float32_matmul_precision("high")
    y = LAYERS[layer](leaf_tensor(x), leaf_tensor(w))._node
    lg.set_float32_matmul_precision("medium")
    g = placeholder(*y.shape)
    roots = [y, *(n for n in vjp([y], [g], [x, w]) if n is not None)]
    made = schedule_of(roots, [x, w, g], machine)
    contractions = [a for stage in stages(made) for a in stage.accumulators if isinstance(a, Contraction)]
    assert len(contractions) >= 3
    assert {a.precision for a in contractions} == {"high"}


def test_kernels_print_a_precision_that_is_not_the_highest():
    a, b = placeholder(30, 40), placeholder(40, 50)
    exact = print_kernel(schedule_of([product(a, b)], [a, b]).kernels[-1].kernel)
    lg.set_float32_matmul_precision("high")
    rounded = print_kernel(schedule_of([product(a, b)], [a, b]).kernels[-1].kernel)
    assert "precision" not in exact
    assert rounded.replace("; high precision)", ")") == exact
    assert rounded != exact
    assert "precision='high'" in print_graph([product(a, b)])


def test_results_without_such_units_are_exact(device):
    opened = runtime.device(device)
    if isinstance(opened, runtime.CompilingDevice) and opened.capabilities.machine.matrix_units != "none":
        pytest.skip(f"{device} has matrix units")
    generator = numpy.random.default_rng(0)
    a, b = generator.standard_normal((2, 40, 40)).astype(numpy.float32)
    lg.set_float32_matmul_precision("medium")
    got = (lg.tensor(a, device=device) @ lg.tensor(b, device=device)).numpy()
    numpy.testing.assert_allclose(got, a.astype(numpy.float64) @ b, rtol=1e-4, atol=1e-4)


# ---- determinism


def test_determinism_is_a_switch():
    assert not lg.are_deterministic_algorithms_enabled()
    lg.use_deterministic_algorithms(True, warn_only=True)
    assert lg.are_deterministic_algorithms_enabled()
    assert lg.is_deterministic_algorithms_warn_only_enabled()
    lg.use_deterministic_algorithms(False)
    assert not lg.are_deterministic_algorithms_enabled()
    assert not lg.is_deterministic_algorithms_warn_only_enabled()


def scatter(mode: str = "add", dtype: DType = float32) -> Node:
    base, source = placeholder(5, 3, dtype=dtype), placeholder(8, 3, dtype=dtype)
    return ops.scatter(base, placeholder(8, 3, dtype=int64), source, 0, mode)


def test_sums_are_bound_to_the_switch_when_they_are_called():
    assert not scatter().attributes.ordered
    lg.use_deterministic_algorithms(True)
    assert scatter().attributes.ordered


@pytest.mark.parametrize("deterministic", [False, True])
def test_only_sums_of_floats_have_an_order_to_choose(deterministic):
    lg.use_deterministic_algorithms(deterministic)
    assert scatter("set").attributes.ordered
    assert not scatter("add", int32).attributes.ordered


READERS = {
    "gather": lambda x, i: x.gather(0, i.reshape(4, 1)),
    "index_select": lambda x, i: x.index_select(0, i),
    "indexing": lambda x, i: x[i],
    "embedding": lambda x, i: lg.nn.functional.embedding(i, x),
}


@pytest.mark.parametrize("reader", READERS)
def test_gradients_of_reading_are_bound_when_they_are_built(reader):
    x = lg.rand(5, 3, device="numpy", requires_grad=True)
    y = READERS[reader](x, lg.tensor([0, 1, 1, 4], device="numpy")).sum()
    for deterministic in (False, True):
        lg.use_deterministic_algorithms(deterministic)
        (gradient,) = lg.autograd.grad(y, x)
        scatters = [n for n in topological([gradient._node], all_inputs) if n.op is SCATTER]
        assert [n.attributes.ordered for n in scatters] == [deterministic]


@pytest.mark.parametrize(("mode", "ordered"), [("add", True), ("add", False), ("set", True)])
def test_a_stage_is_sequential_where_the_order_matters(mode, ordered):
    lg.use_deterministic_algorithms(ordered)
    changed = scatter(mode)
    leaves = list(changed.inputs)
    made = schedule_of([changed], leaves)
    adding = stages(made)[-1]
    assert adding.sequential is ordered
    assert adding.one_by_one
    generator = numpy.random.default_rng(0)
    base, source = (generator.standard_normal(n.shape).astype(numpy.float32) for n in (leaves[0], leaves[2]))
    arrays = [base, generator.integers(-1, 6, (8, 3)), source]
    (got,), (want,) = run(made, arrays), reference([changed], leaves, arrays)
    numpy.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("deterministic", [False, True])
def test_sums_lose_nothing(device, deterministic):
    lg.use_deterministic_algorithms(deterministic)
    generator = numpy.random.default_rng(0)
    index, values = generator.integers(0, 7, 1000), generator.standard_normal((1000, 6)).astype(numpy.float32)
    want = numpy.zeros((7, 6))
    numpy.add.at(want, index, values)
    base = lg.zeros(7, 6, device=device)
    got = base.index_add(0, lg.tensor(index, device=device), lg.tensor(values, device=device))
    numpy.testing.assert_allclose(got.numpy(), want, rtol=1e-4, atol=1e-4)
