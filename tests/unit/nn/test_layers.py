"""Every layer against torch's of the same name: printing, keys, outputs, gradients, buffers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

torch = pytest.importorskip("torch")

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


@dataclass(frozen=True)
class Case:
    """A layer made by `make(nn)` from either library's nn, and the shape it is applied to."""

    name: str
    make: Callable[[Any], Any]
    shape: tuple[int, ...]
    indices_below: int | None = None


CASES = [
    Case("linear", lambda nn: nn.Linear(5, 3), (4, 5)),
    Case("linear_without_bias", lambda nn: nn.Linear(5, 3, bias=False), (2, 4, 5)),
    Case("identity", lambda nn: nn.Identity(7, unused=True), (2, 3)),
    Case("conv", lambda nn: nn.Conv2d(3, 4, 3), (2, 3, 6, 5)),
    Case("conv_strided", lambda nn: nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False), (2, 3, 7, 6)),
    Case("conv_pairs", lambda nn: nn.Conv2d(2, 4, (3, 1), (2, 1), (1, 0), (1, 2)), (2, 2, 7, 6)),
    Case("conv_groups", lambda nn: nn.Conv2d(4, 6, 3, groups=2, dilation=2), (1, 4, 7, 7)),
    Case("conv_same", lambda nn: nn.Conv2d(2, 3, 3, padding="same"), (1, 2, 5, 5)),
    Case("batch_norm_1d", lambda nn: nn.BatchNorm1d(3), (5, 3)),
    Case("batch_norm_1d_length", lambda nn: nn.BatchNorm1d(3), (5, 3, 4)),
    Case("batch_norm_2d", lambda nn: nn.BatchNorm2d(3), (4, 3, 2, 5)),
    Case("batch_norm_eval", lambda nn: nn.BatchNorm2d(3).eval(), (4, 3, 2, 5)),
    Case("batch_norm_equal_weights", lambda nn: nn.BatchNorm2d(3, momentum=None), (4, 3, 2, 5)),
    Case("batch_norm_plain", lambda nn: nn.BatchNorm2d(3, affine=False), (4, 3, 2, 5)),
    Case("batch_norm_without_bias", lambda nn: nn.BatchNorm2d(3, bias=False), (4, 3, 2, 5)),
    Case(
        "batch_norm_untracked",
        lambda nn: nn.BatchNorm2d(3, track_running_stats=False).eval(),
        (4, 3, 2, 5),
    ),
    Case("layer_norm", lambda nn: nn.LayerNorm(6), (4, 3, 6)),
    Case("layer_norm_two", lambda nn: nn.LayerNorm((3, 6), eps=1e-3), (4, 3, 6)),
    Case("layer_norm_without_bias", lambda nn: nn.LayerNorm(6, bias=False), (4, 6)),
    Case("layer_norm_plain", lambda nn: nn.LayerNorm(6, elementwise_affine=False), (4, 6)),
    Case("group_norm", lambda nn: nn.GroupNorm(2, 4), (3, 4, 2, 2)),
    Case("embedding", lambda nn: nn.Embedding(7, 3), (2, 4), indices_below=7),
    Case("embedding_padding", lambda nn: nn.Embedding(7, 3, padding_idx=-5), (2, 9), indices_below=7),
    Case("dropout_eval", lambda nn: nn.Dropout(0.3).eval(), (3, 4)),
    Case("dropout_2d_eval", lambda nn: nn.Dropout2d(0.3, inplace=True).eval(), (3, 4, 2, 2)),
    Case("flatten", lambda nn: nn.Flatten(), (2, 3, 4)),
    Case("unflatten", lambda nn: nn.Unflatten(1, (2, 3)), (2, 6, 4)),
    Case("relu", lambda nn: nn.ReLU(), (3, 4)),
    Case("relu6", lambda nn: nn.ReLU6(), (3, 4)),
    Case("leaky_relu", lambda nn: nn.LeakyReLU(0.2), (3, 4)),
    Case("sigmoid", lambda nn: nn.Sigmoid(), (3, 4)),
    Case("tanh", lambda nn: nn.Tanh(), (3, 4)),
    Case("gelu", lambda nn: nn.GELU(), (3, 4)),
    Case("gelu_tanh", lambda nn: nn.GELU(approximate="tanh"), (3, 4)),
    Case("silu", lambda nn: nn.SiLU(), (3, 4)),
    Case("softplus", lambda nn: nn.Softplus(beta=2.0, threshold=1.5), (3, 4)),
    Case("elu", lambda nn: nn.ELU(0.7), (3, 4)),
    Case("hardtanh", lambda nn: nn.Hardtanh(-0.5, 0.7), (3, 4)),
    Case("softmax", lambda nn: nn.Softmax(dim=-1), (3, 4)),
    Case("log_softmax", lambda nn: nn.LogSoftmax(dim=1), (3, 4, 2)),
    Case("max_pool", lambda nn: nn.MaxPool2d(3, 2, 1), (2, 3, 7, 8)),
    Case("max_pool_ceil", lambda nn: nn.MaxPool2d((2, 3), ceil_mode=True), (2, 3, 7, 8)),
    Case("avg_pool", lambda nn: nn.AvgPool2d(2), (2, 3, 6, 5)),
    Case("avg_pool_padded", lambda nn: nn.AvgPool2d(3, 2, 1, count_include_pad=False), (2, 3, 6, 5)),
    Case("adaptive_avg_pool", lambda nn: nn.AdaptiveAvgPool2d((1, 1)), (2, 3, 4, 5)),
    Case("adaptive_avg_pool_uneven", lambda nn: nn.AdaptiveAvgPool2d((3, None)), (2, 3, 7, 5)),
    Case(
        "sequential",
        lambda nn: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True)),
        (3, 1, 5, 5),
    ),
]

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def numpy_of(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.detach().numpy())


def made_equal(case: Case) -> tuple[Any, Any]:
    """Make both layers, with torch's values in both."""
    torch.manual_seed(0)
    theirs = case.make(torch.nn)
    with torch.no_grad():
        for tensor in (*theirs.parameters(), *theirs.buffers()):
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor) * 0.5)
    ours = case.make(lg.nn)
    ours.load_state_dict({key: lg.tensor(value.numpy()) for key, value in theirs.state_dict().items()})
    return theirs, ours


@each_case
def test_prints_as_torch(case: Case) -> None:
    assert repr(case.make(lg.nn)) == repr(case.make(torch.nn))


@each_case
def test_state_dict_keys_shapes_and_dtypes(case: Case) -> None:
    def described(module: Any) -> list[tuple[str, tuple[int, ...], str]]:
        return [
            (key, tuple(value.shape), str(value.dtype).rpartition(".")[2]) for key, value in module.state_dict().items()
        ]

    assert described(case.make(lg.nn)) == described(case.make(torch.nn))


@each_case
def test_output_gradients_and_buffers(case: Case) -> None:
    random = np.random.default_rng(1)
    theirs, ours = made_equal(case)
    if case.indices_below is None:
        values = random.normal(size=case.shape).astype(np.float32) * 2
        their_input = torch.tensor(values, requires_grad=True)
        our_input = lg.tensor(values, requires_grad=True)
    else:
        values = random.integers(case.indices_below, size=case.shape)
        their_input, our_input = torch.tensor(values), lg.tensor(values)
    their_output, our_output = theirs(their_input), ours(our_input)
    cotangent = random.normal(size=tuple(their_output.shape)).astype(np.float32)

    np.testing.assert_allclose(numpy_of(our_output), numpy_of(their_output), **TOLERANCE)
    their_output.backward(torch.tensor(cotangent))
    our_output.backward(lg.tensor(cotangent))
    if case.indices_below is None:
        np.testing.assert_allclose(numpy_of(our_input.grad), numpy_of(their_input.grad), **TOLERANCE)
    for (name, our_parameter), their_parameter in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(
            numpy_of(our_parameter.grad), numpy_of(their_parameter.grad), err_msg=name, **TOLERANCE
        )
    for (name, our_buffer), their_buffer in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        np.testing.assert_allclose(numpy_of(our_buffer), numpy_of(their_buffer), err_msg=name, **TOLERANCE)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_over_batches_then_eval(momentum: float | None) -> None:
    random = np.random.default_rng(2)
    theirs, ours = torch.nn.BatchNorm1d(3, momentum=momentum), lg.nn.BatchNorm1d(3, momentum=momentum)
    for _ in range(4):
        batch = random.normal(size=(6, 3)).astype(np.float32)
        theirs(torch.tensor(batch))
        ours(lg.tensor(batch))
    assert ours.num_batches_tracked.item() == 4
    np.testing.assert_allclose(numpy_of(ours.running_mean), numpy_of(theirs.running_mean), **TOLERANCE)
    np.testing.assert_allclose(numpy_of(ours.running_var), numpy_of(theirs.running_var), **TOLERANCE)
    theirs.eval()
    ours.eval()
    np.testing.assert_allclose(numpy_of(ours(lg.tensor(batch))), numpy_of(theirs(torch.tensor(batch))), **TOLERANCE)
    assert ours.num_batches_tracked.item() == 4


def test_batch_norm_reset_forgets_the_batches() -> None:
    layer = lg.nn.BatchNorm1d(3)
    layer(lg.tensor(np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)))
    layer.reset_parameters()
    assert layer.num_batches_tracked.item() == 0
    assert numpy_of(layer.running_mean).tolist() == [0, 0, 0]
    assert numpy_of(layer.running_var).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (lg.nn.BatchNorm2d(3), (2, 3), r"expected 4D input \(got 2D input\)"),
        (lg.nn.BatchNorm1d(3), (2, 3, 4, 4), r"expected 2D or 3D input \(got 4D input\)"),
    ],
)
def test_batch_norm_names_a_wrong_rank(layer: Any, shape: tuple[int, ...], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        layer(lg.ones(shape))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: lg.nn.Conv2d(3, 4, 3, groups=2), "in_channels must be divisible by groups"),
        (lambda: lg.nn.Conv2d(4, 3, 3, groups=2), "out_channels must be divisible by groups"),
        (lambda: lg.nn.Conv2d(4, 4, 3, padding="full"), "Invalid padding string 'full'"),
        (lambda: lg.nn.Conv2d(4, 4, 3, 2, "same"), "not supported for strided"),
        (lambda: lg.nn.Conv2d(4, 4, 3, padding_mode="reflect"), "padding_mode='reflect'"),
        (lambda: lg.nn.GroupNorm(3, 4), "divisible by num_groups"),
        (lambda: lg.nn.Dropout(1.5), "between 0 and 1, but got 1.5"),
        (lambda: lg.nn.Embedding(3, 2, padding_idx=3), "padding_idx must be within"),
        (lambda: lg.nn.Unflatten(1, (2, "3")), "must be a tuple of ints"),
        (lambda: lg.nn.Hardtanh(1.0, 0.5), "max_val must be larger"),
        (lambda: lg.nn.MaxPool2d(2, return_indices=True), "return_indices"),
        (lambda: lg.nn.MSELoss(reduction="average"), "average is not a valid value"),
        (lambda: lg.nn.Embedding.from_pretrained(lg.ones(3)), "expected to be 2-dimensional"),
    ],
)
def test_constructor_arguments_are_checked(make: Callable[[], Any], expected: str) -> None:
    with pytest.raises((ValueError, TypeError, AssertionError), match=expected):
        make()


def test_dropout_in_training_keeps_the_mean_and_drops_the_share() -> None:
    output = numpy_of(lg.nn.Dropout(0.25)(lg.ones(100, 100)))
    assert set(np.unique(output)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((output == 0).mean() - 0.25) < 0.02


def test_dropout2d_in_training_drops_whole_channels() -> None:
    output = numpy_of(lg.nn.Dropout2d(0.5)(lg.ones(8, 8, 3, 3)))
    channels = output.reshape(64, 9)
    assert (channels == channels[:, :1]).all()
    assert {0.0, 2.0} == set(np.unique(channels))


def test_inplace_activation_rebinds_its_input() -> None:
    x = lg.tensor([-1.0, 2.0])
    output = lg.nn.ReLU(inplace=True)(x)
    assert numpy_of(x).tolist() == numpy_of(output).tolist() == [0.0, 2.0]


def test_embedding_from_pretrained_is_frozen() -> None:
    table = lg.tensor([[1.0, 2.0], [3.0, 4.0]])
    layer = lg.nn.Embedding.from_pretrained(table)
    assert not layer.weight.requires_grad
    assert numpy_of(layer(lg.tensor([1]))).tolist() == [[3.0, 4.0]]
    assert lg.nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
