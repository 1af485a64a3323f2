"""Regions of mixed precision: which functions compute in which dtype, beside torch's lists, nested, in threads."""

from __future__ import annotations

import re
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy
import pytest

import lazygrad as lg
from lazygrad.ir.node import all_inputs, topological
from lazygrad.nn import functional as F
from lazygrad.ops.contract import CONTRACT
from lazygrad.ops.identity import CAST
from lazygrad.tensor.autocast_table import POLICIES, Policy

HALF, FLOAT, DOUBLE = lg.float16, lg.float32, lg.float64


def values(*shape: int, dtype: Any = FLOAT, requires_grad: bool = False) -> lg.Tensor:
    generator = numpy.random.default_rng(shape)
    drawn = generator.uniform(0.1, 0.9, shape)
    return lg.tensor(drawn, dtype=dtype, device="numpy", requires_grad=requires_grad)


# ---- what is listed

# torch's names of kernels, and the functions that call them.
KERNELS = {
    "_convolution": None,
    "convolution": None,
    "_thnn_fused_lstm_cell": None,
    "_thnn_fused_gru_cell": None,
    "_scaled_dot_product_flash_attention": None,
    "native_layer_norm": None,
    "nll_loss2d": None,
    "linalg_multi_dot": "multi_dot",
    "linalg_vecdot": "vecdot",
    "linalg_vector_norm": "vector_norm",
    "linalg_matrix_norm": "matrix_norm",
    "frobenius_norm": "norm",
    "nuclear_norm": "norm",
    "grid_sampler": "grid_sample",
}
# Listed here beyond torch's lists for GPUs: those of its lists for processors that mean the same anywhere, and the
# loss that torch refuses to compute in float16.
BEYOND = {
    "norm": Policy.FLOAT32,
    "cross_entropy": Policy.FLOAT32,
    "binary_cross_entropy": Policy.FLOAT32,
    "interpolate": Policy.FLOAT32,
    "upsample": Policy.FLOAT32,
    "cat": Policy.WIDEST,
    "stack": Policy.WIDEST,
    "index_copy": Policy.WIDEST,
}


def test_the_table_is_torchs():
    torch = pytest.importorskip("torch")
    header = (Path(torch.__file__).parent / "include/ATen/autocast_mode.h").read_text()
    theirs: dict[str, Policy] = {}
    for title, policy in (
        ("LOWER_PRECISION_FP", Policy.LOW),
        ("FP32", Policy.FLOAT32),
        ("FP32_SET_OPT_DTYPE", Policy.FLOAT32),
        ("PROMOTE", Policy.WIDEST),
    ):
        found = re.search(rf"#define AT_FORALL_{title}\(_\)((?:.*\\\n)+.*\n)", header)
        assert found is not None
        for kernel in re.findall(r"_\((\w+)", found[1]):
            name = KERNELS.get(kernel, kernel)
            if name is not None and "upsample" not in kernel:
                theirs[name] = policy
    ours = {name: policy for name, policy in POLICIES.items() if policy is not Policy.AS_GIVEN}
    assert ours == {**theirs, **BEYOND}


def test_every_function_listed_is_covered_wherever_it_is_reached():
    for name in POLICIES:
        for place in (lg, F, lg.Tensor):
            function = getattr(place, name, None)
            if function is not None:
                assert hasattr(function, "__wrapped__"), f"{place.__name__}.{name}"
                assert function.__name__ == name


x, y, z = values(3, 3), values(3, 3), values(3)
images, kernel = values(2, 3, 5, 5), values(4, 3, 2, 2)
LOW = {
    "@": lambda: x @ y,
    "matmul": lambda: lg.matmul(x, y),
    "mm": lambda: x.mm(y),
    "mv": lambda: x.mv(z),
    "bmm": lambda: x[None].bmm(y[None]),
    "addmm": lambda: lg.addmm(z, x, y),
    "baddbmm": lambda: lg.baddbmm(z, x[None], y[None]),
    "einsum": lambda: lg.einsum("ij,jk->ik", x, y),
    "linear": lambda: F.linear(x, y, z),
    "Linear": lambda: lg.nn.Linear(3, 2)(x),
    "conv1d": lambda: F.conv1d(x[None], values(2, 3, 2)),
    "conv2d": lambda: F.conv2d(images, kernel, values(4)),
    "conv_transpose2d": lambda: F.conv_transpose2d(images, values(3, 2, 2, 2)),
    "prelu": lambda: F.prelu(x, values(1)),
    "attention": lambda: F.scaled_dot_product_attention(x[None], y[None], y[None]),
    "relu of a product": lambda: (x @ y).relu(),
    "batch_norm": lambda: F.batch_norm(images.half(), values(3), values(3), values(3), values(3)),
    "instance_norm": lambda: F.instance_norm(images.half()),
    "gelu": lambda: F.gelu(x.half()),
    "mean": lambda: x.half().mean(),
    "nansum": lambda: x.half().nansum(),
    "square": lambda: x.half().square(),
    "short times number": lambda: x.half() * 2.0,
    "cat of short ones": lambda: lg.cat([x.half(), y.half()]),
    "dot of short ones": lambda: lg.dot(z.half(), z.half()),
}
WIDE = {
    "exp": lambda: x.half().exp(),
    "log": lambda: lg.log(x.half()),
    "pow": lambda: x.half() ** 2,
    "number to the power": lambda: 2.0 ** x.half(),
    "rsqrt": lambda: x.half().rsqrt(),
    "sum": lambda: x.half().sum(0),
    "prod": lambda: x.half().prod(),
    "cumsum": lambda: x.half().cumsum(0),
    "norm": lambda: x.half().norm(),
    "logsumexp": lambda: x.half().logsumexp(0),
    "softmax": lambda: x.half().softmax(-1),
    "F.softmax": lambda: F.softmax(x.half(), -1),
    "log_softmax": lambda: F.log_softmax(x.half(), -1),
    "layer_norm": lambda: F.layer_norm(x.half(), (3,), z, z),
    "group_norm": lambda: F.group_norm(images.half(), 3),
    "GroupNorm": lambda: lg.nn.GroupNorm(3, 3)(images.half()),
    "cosine_similarity": lambda: F.cosine_similarity(x.half(), y.half()),
    "softplus": lambda: F.softplus(x.half()),
    "mse_loss": lambda: F.mse_loss(x.half(), y),
    "l1_loss": lambda: F.l1_loss(x.half(), y.half()),
    "cross_entropy": lambda: F.cross_entropy(x.half(), lg.tensor([0, 1, 2])),
    "nll_loss": lambda: F.nll_loss(x.half(), lg.tensor([0, 1, 2])),
    "kl_div": lambda: F.kl_div(x.half(), y.half()),
    "with logits": lambda: F.binary_cross_entropy_with_logits(x.half(), y),
    "add": lambda: x.half() + y,
    "cat": lambda: lg.cat([x.half(), y]),
    "stack": lambda: lg.stack([x.half(), y]),
    "dot": lambda: lg.dot(z.half(), z),
    "addcmul": lambda: lg.addcmul(x, y.half(), y.half()),
    "tensordot": lambda: lg.tensordot(x.half(), y, 1),
    "scatter_add": lambda: x.scatter_add(0, lg.tensor([[0, 0, 1]]), y.half()),
    "index_put": lambda: x.index_put((lg.tensor([0]),), z.half(), accumulate=True),
    "exp_": lambda: (x * 1).exp_(),
}


@pytest.mark.parametrize("function", LOW)
def test_products_and_what_follows_them_are_short(function):
    with lg.autocast(dtype=HALF):
        assert LOW[function]().dtype is HALF


@pytest.mark.parametrize("function", WIDE)
def test_what_needs_the_digits_is_float32(function):
    with lg.autocast(dtype=HALF):
        assert WIDE[function]().dtype is FLOAT


def test_other_dtypes_are_left_alone():
    with lg.autocast(dtype=HALF):
        assert (x.double() @ y.double()).dtype is DOUBLE
        assert x.double().exp().dtype is DOUBLE
        assert lg.tensor([1, 2]).sum().dtype is lg.int64
        assert F.embedding(lg.tensor([0]), x).dtype is FLOAT
        assert lg.zeros(2).half().exp_().dtype is HALF  # as it was: in place


def test_values_are_those_of_short_operands():
    with lg.autocast(dtype=lg.bfloat16):
        product = F.linear(x, y, z)
    numpy.testing.assert_array_equal(
        product.float().numpy(), F.linear(x.bfloat16(), y.bfloat16(), z.bfloat16()).float().numpy()
    )


# ---- gradients


def test_gradients_arrive_in_the_dtype_of_the_parameter():
    weight = values(3, 3, requires_grad=True)
    with lg.autocast(dtype=HALF):
        loss = F.mse_loss((x @ weight).relu(), y)
    loss.backward()
    assert weight.grad is not None
    assert weight.grad.dtype is FLOAT
    exact = values(3, 3, requires_grad=True)
    F.mse_loss((x @ exact).relu(), y).backward()
    numpy.testing.assert_allclose(weight.grad.numpy(), exact.grad.numpy(), rtol=5e-3, atol=5e-4)


def test_products_of_the_backward_pass_are_short_too():
    weight = values(3, 3, requires_grad=True)
    with lg.autocast(dtype=HALF):
        loss = ((x @ weight).relu() @ weight).sum()
    (gradient,) = lg.autograd.grad(loss, weight)
    products = [n for n in topological([loss._node, gradient._node], all_inputs) if n.op is CONTRACT]
    assert len(products) == 5
    assert {n.dtype for n in products} == {HALF}


def test_a_parameter_is_converted_once_in_a_step():
    weight = values(3, 3, requires_grad=True)
    with lg.autocast(dtype=HALF):
        loss = ((x @ weight).relu() @ weight + F.linear(x, weight)).sum()
    (gradient,) = lg.autograd.grad(loss, weight)
    of_weight = [
        n for n in topological([loss._node, gradient._node], all_inputs) if n.op is CAST and n.inputs[0] is weight._node
    ]
    assert len(of_weight) == 1


# ---- regions


def dtype_of_product() -> Any:
    return (x @ y).dtype


def test_regions_nest_and_may_be_disabled():
    assert not lg.is_autocast_enabled()
    with lg.autocast(dtype=HALF):
        assert dtype_of_product() is HALF
        with lg.autocast(dtype=lg.bfloat16):
            assert (dtype_of_product(), lg.get_autocast_dtype()) == (lg.bfloat16, lg.bfloat16)
        with lg.autocast():
            assert dtype_of_product() is HALF
        with lg.autocast(enabled=False):
            assert dtype_of_product() is FLOAT
            assert not lg.is_autocast_enabled()
        assert lg.is_autocast_enabled()
    assert dtype_of_product() is FLOAT
    assert not lg.is_autocast_enabled()


def test_a_region_ends_with_an_exception():
    with pytest.raises(RuntimeError, match="cannot be multiplied"), lg.autocast():
        x @ values(4, 4)
    assert dtype_of_product() is FLOAT
    with lg.autocast(dtype=HALF):
        with pytest.raises(RuntimeError, match="cannot be multiplied"):
            x @ values(4, 4)
        assert dtype_of_product() is HALF


def test_a_region_decorates_a_function():
    @lg.autocast(dtype=HALF)
    def forward(depth: int) -> Any:
        return forward(depth - 1) if depth else dtype_of_product()

    assert forward(2) is HALF
    assert forward.__name__ == "forward"
    assert dtype_of_product() is FLOAT


def test_a_region_is_its_threads_own():
    seen: list[Any] = []
    with lg.autocast(dtype=HALF):
        thread = threading.Thread(target=lambda: seen.append(dtype_of_product()))
        thread.start()
        thread.join()
    assert seen == [FLOAT]


def test_default_dtypes_are_torchs():
    assert lg.get_autocast_dtype("cpu") is lg.bfloat16
    assert lg.get_autocast_dtype("numpy") is lg.bfloat16
    assert lg.autocast("cpu").fast_dtype is lg.bfloat16


def test_regions_are_for_one_type_of_device():
    with lg.autocast("cpu", dtype=HALF):
        assert dtype_of_product() is HALF
        assert lg.is_autocast_enabled("cpu")
        assert lg.is_autocast_enabled("numpy")
    if lg.amp.is_autocast_available("opencl"):
        with lg.autocast("opencl", dtype=HALF):
            assert dtype_of_product() is FLOAT
            a = x.to("opencl")
            assert (a @ a).dtype is HALF


def test_devices_that_are_missing():
    with pytest.raises(RuntimeError, match="unsupported autocast device_type 'toaster'"):
        lg.autocast("toaster")
    if not lg.amp.is_autocast_available("cuda"):
        with pytest.warns(UserWarning, match="'cuda', but no such device can be used here. Disabling"):
            region = lg.autocast("cuda")
        with region:
            assert dtype_of_product() is FLOAT
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lg.autocast("cuda", enabled=False)


def test_other_short_dtypes_are_refused():
    with pytest.warns(UserWarning, match="only supports float16 and bfloat16, got float64"), lg.autocast(dtype=DOUBLE):
        assert dtype_of_product() is FLOAT


def test_names_of_torch_amp():
    assert lg.amp.autocast is lg.autocast
    assert lg.amp.is_autocast_available("cpu")


# ---- on devices, and beside torch


def test_training_goes_as_in_float32(device):
    """The loss falls along the same way, with the accuracy of the short float."""

    def losses(dtype: Any) -> list[float]:
        lg.manual_seed(0)
        net = lg.nn.Sequential(lg.nn.Linear(6, 16), lg.nn.GELU(), lg.nn.LayerNorm(16), lg.nn.Linear(16, 3)).to(device)
        optimizer = lg.optim.SGD(net.parameters(), lr=0.2)
        inputs, classes = values(24, 6).to(device), lg.tensor([0, 1, 2] * 8, device=device)
        found = []
        for _ in range(6):
            optimizer.zero_grad()
            with lg.autocast(device.partition(":")[0], dtype=dtype, enabled=dtype is not None):
                loss = F.cross_entropy(net(inputs), classes)
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    exact = losses(None)
    assert exact[-1] < exact[0]
    for dtype, tolerance in ((HALF, 2e-3), (lg.bfloat16, 2e-2)):
        numpy.testing.assert_allclose(losses(dtype), exact, rtol=tolerance)


def test_values_and_gradients_are_torchs():
    torch = pytest.importorskip("torch")
    generator = numpy.random.default_rng(0)
    data = [generator.standard_normal(s).astype(numpy.float32) for s in ((8, 3, 6, 6), (4, 3, 3, 3), (4,), (5, 64))]

    def run(library: Any) -> tuple[Any, Any]:
        images, filters, bias, weight = (library.tensor(array) for array in data)
        for parameter in (filters, bias, weight):
            parameter.requires_grad_()
        functional = library.nn.functional
        with library.autocast("cpu", dtype=library.bfloat16):
            hidden = functional.conv2d(images, filters, bias).relu()
            scores = functional.linear(hidden.flatten(1), weight)
            loss = functional.mse_loss(scores, library.zeros(8, 5))
        loss.backward()
        assert str(scores.dtype).endswith("bfloat16")
        assert str(loss.dtype).endswith("float32")
        return loss.item(), [p.grad.numpy() for p in (filters, bias, weight)]

    (loss, gradients), (wanted, theirs) = run(lg), run(torch)
    assert loss == pytest.approx(wanted, rel=2e-2)
    for ours, other in zip(gradients, theirs, strict=True):
        assert ours.dtype == other.dtype
        numpy.testing.assert_allclose(ours, other, atol=3e-2 * abs(other).max())
