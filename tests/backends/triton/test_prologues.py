"""Operands that products compute while they load them, in Triton: values and gradients, pipelined loads, no spills."""

import numpy
import pytest

import lazygrad as lg
from lazygrad.kernel.block_contraction import block_contraction
from lazygrad.nn import functional
from lazygrad_triton import versions

if versions.installed_version() is None:
    pytest.skip("Triton is not installed", allow_module_level=True)

from backends.triton.planned import AMPERE, CAPABILITIES, HOPPER, compiled, kernels_of, spills

INTERPRET = "triton:interpret"


def scaled(x, w):
    return functional.relu(x) @ (w * 0.5 - 1)


def converted(x, w):
    return (x.to(lg.bfloat16) @ w.to(lg.bfloat16)).to(lg.float32)


def convolved(x, w):
    """Patches of what 1 is added to, but not to the zeros around."""
    images = (x.unsqueeze(2).unsqueeze(3) * lg.linspace(0.5, 1, 25, device=x.device).reshape(1, 1, 5, 5)).contiguous()
    filters = w.T.unsqueeze(2).unsqueeze(3).expand(-1, -1, 2, 2)
    stem = functional.conv2d(images, lg.eye(x.shape[1], device=x.device).unsqueeze(2).unsqueeze(3))
    return functional.conv2d(stem + 1, filters, stride=2, padding=1).sum((2, 3)) + stem.sum()


def results(device, function, shapes):
    random = numpy.random.default_rng(0)
    *arrays, cotangent = (random.standard_normal(shape).astype(numpy.float32) for shape in shapes)
    leaves = [lg.tensor(array, device=device, requires_grad=True) for array in arrays]
    y = function(*leaves)
    y.backward(lg.tensor(cotangent, device=device))
    return [y.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)]


@pytest.mark.parametrize(
    ("function", "tolerance"), [(scaled, 1e-5), (converted, 2e-2), (convolved, 1e-4)], ids=["scaled", "cast", "padded"]
)
@pytest.mark.parametrize("extents", [(16, 64, 32), (19, 45, 21), (3, 70, 9)], ids=str)
def test_values_and_gradients(function, tolerance, extents):
    rows, length, columns = extents
    shapes = [(rows, length), (length, columns), (rows, columns)]
    found, expected = (results(device, function, shapes) for device in (INTERPRET, "numpy"))
    for got, want in zip(found, expected, strict=True):
        numpy.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * abs(want).max())


def test_autocast_trains_alike():
    def losses(device):
        lg.manual_seed(0)
        model = lg.nn.Sequential(lg.nn.Linear(24, 48), lg.nn.ReLU(), lg.nn.Linear(48, 10)).to(device)
        random = numpy.random.default_rng(1)
        x = lg.tensor(random.standard_normal((16, 24)).astype(numpy.float32), device=device)
        labels = lg.tensor(random.integers(0, 10, 16), device=device)
        optimizer = lg.optim.SGD(model.parameters(), lr=0.1)
        found = []
        for _ in range(3):
            optimizer.zero_grad()
            with lg.autocast(device, dtype=lg.bfloat16):
                y = model(x)
            loss = functional.cross_entropy(y.to(lg.float32), labels)
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    numpy.testing.assert_allclose(losses(INTERPRET), losses("numpy:0"), rtol=2e-2)


def half(*shape):
    return wide(*shape).to(lg.bfloat16).realize()


def wide(*shape):
    return lg.tensor(numpy.zeros(shape, numpy.float32))


@pytest.mark.parametrize("target", [AMPERE, HOPPER], ids=["sm_80", "sm_90"])
@pytest.mark.parametrize(
    "build",
    [
        lambda: half(256, 1024) @ wide(1024, 16384).to(lg.bfloat16),
        lambda: half(128, 1024) @ wide(32768, 1024).to(lg.bfloat16).T,
        lambda: half(16, 64, 256) @ functional.relu(half(16, 256, 512)),
        lambda: half(33, 1000) @ (wide(1000, 777) * 2 + 1).to(lg.bfloat16),
        lambda: wide(64, 512) @ functional.relu(wide(512, 16384)),
    ],
    ids=["cast", "transposed", "relu in batches", "overhanging", "float32"],
)
def test_computed_operands_are_loaded_ahead(build, target):
    """Loads are asynchronous copies to shared memory all the same, and what they take of it is there."""
    capabilities = CAPABILITIES[target]
    kernels = [k for k in kernels_of([build()], capabilities) if not k.name.startswith("sum")]
    (kernel,) = kernels  # nothing is stored before
    form = block_contraction(kernel.bodies[0], capabilities.machine)
    assert form is not None
    ((binary,),) = compiled([kernel], target)
    assert "cp.async" in binary.assembly
    assert spills(binary) == 0
    assert binary.shared <= capabilities.machine.local_memory
    if kernel.buffers[0].dtype is lg.bfloat16:
        assert "mma" in binary.assembly
