"""Making tensors: values, dtypes and refusals against torch."""

import copy
import pickle

import ml_dtypes
import numpy
import pytest

import lazygrad as lg
from unit.tensor.against_torch import agree, assert_same, dtype_name, torch

DATA = [
    1,
    2.5,
    True,
    [1, 2],
    [1.0, 2],
    [True, False],
    [True, 2],
    [[1, 2], [3, 4]],
    [[1.5], [2]],
    (1, (2)),
    [],
    [[], []],
    numpy.float64(1.5),
    numpy.int32(3),
    numpy.arange(3, dtype="int16"),
    numpy.ones((2, 2)),
    numpy.ones((0, 3), "float32"),
    [numpy.arange(2), numpy.arange(2)],
    float("inf"),
]


@pytest.mark.parametrize("data", DATA, ids=repr)
@pytest.mark.filterwarnings("ignore:Creating a tensor from a list")
def test_from_data(data):
    ours, theirs = lg.tensor(data), torch.tensor(data)
    assert_same(ours, theirs)
    assert ours.tolist() == theirs.tolist()
    assert_same(lg.tensor(data, dtype=lg.float64), torch.tensor(data, dtype=torch.float64))


def test_from_tensors():
    x = lg.tensor([1.0, 2.0])
    assert lg.tensor([x[0], x[1] * 2]).tolist() == [1.0, 4.0]
    same = lg.tensor(x)
    same.add_(1)
    assert x.tolist() == [1.0, 2.0]
    assert lg.as_tensor(x) is x
    assert lg.as_tensor([1, 2]).dtype is lg.int64
    assert lg.tensor(torch.tensor([1, 2])).dtype is lg.int64


def test_data_is_copied():
    array = numpy.ones(2)
    x, y = lg.tensor(array), lg.from_numpy(array)
    array[:] = 5
    assert x.tolist() == y.tolist() == [1, 1]
    out = x.numpy()
    out[:] = 7
    assert x.tolist() == [1, 1]


CALLS = {
    "zeros": lambda lib: lib.zeros(2, 3),
    "zeros of a tuple": lambda lib: lib.zeros((2, 3), dtype=lib.int32),
    "zeros of a size": lambda lib: lib.zeros(lib.ones(2, 3).shape),
    "ones": lambda lib: lib.ones(4),
    "ones of nothing": lambda lib: lib.ones(()),
    "full": lambda lib: lib.full((2, 2), 7),
    "full of floats": lambda lib: lib.full((2,), 2.5),
    "full of bools": lambda lib: lib.full([2], True),
    "zeros_like": lambda lib: lib.zeros_like(lib.arange(3)),
    "ones_like": lambda lib: lib.ones_like(lib.arange(3), dtype=lib.float64),
    "full_like": lambda lib: lib.full_like(lib.ones(2), 3),
    "arange": lambda lib: lib.arange(5),
    "arange from": lambda lib: lib.arange(2, 9, 3),
    "arange down": lambda lib: lib.arange(9, 2, -3),
    "arange of floats": lambda lib: lib.arange(0, 1, 0.1),
    "arange of float end": lambda lib: lib.arange(3.0),
    "arange of dtype": lambda lib: lib.arange(1, 4, dtype=lib.float64),
    "arange empty": lambda lib: lib.arange(0),
    "arange of int32": lambda lib: lib.arange(0.5, 4, dtype=lib.int32),
    "linspace": lambda lib: lib.linspace(-1, 1, 7),
    "linspace one": lambda lib: lib.linspace(3, 9, 1),
    "eye": lambda lib: lib.eye(3),
    "eye wide": lambda lib: lib.eye(2, 4, dtype=lib.int64),
    "new_zeros": lambda lib: lib.ones(2, dtype=lib.float64).new_zeros(3),
    "new_ones": lambda lib: lib.arange(2).new_ones((2, 2)),
    "new_full": lambda lib: lib.arange(2).new_full((2,), 3.0),
    "new_tensor": lambda lib: lib.ones(2, dtype=lib.float64).new_tensor([1, 2]),
    "constructor": lambda lib: lib.Tensor([1, 2]),
    "constructor of nothing": lambda lib: lib.Tensor(),
    "tril of ones": lambda lib: lib.tril(lib.ones(3, 3)),
}


@pytest.mark.parametrize("name", CALLS)
def test_functions(name):
    assert_same(CALLS[name](lg), CALLS[name](torch), 1e-6)


def test_requires_grad():
    for made in (lg.ones(2, requires_grad=True), lg.tensor([1.0], requires_grad=True), lg.rand(2, requires_grad=True)):
        assert made.requires_grad
        assert made.is_leaf
    with pytest.raises(RuntimeError, match="floating point"):
        lg.ones(2, dtype=lg.int64, requires_grad=True)


def test_bfloat16_on_the_host():
    array = lg.tensor([1.0, 2.5], dtype=lg.bfloat16).numpy()
    assert array.dtype == ml_dtypes.bfloat16
    assert lg.tensor(array).dtype is lg.bfloat16
    assert lg.tensor([1.5], dtype=lg.bfloat16).tolist() == [1.5]


def test_attributes():
    x = lg.ones(2, 3, dtype=lg.float64)
    assert x.shape == (2, 3)
    assert repr(x.shape) == "lazygrad.Size([2, 3])"
    assert x.size() == (2, 3)
    assert x.size(-1) == 3
    assert x.shape.numel() == x.numel() == x.nelement() == 6
    assert x.dim() == x.ndim == 2
    assert x.element_size() == x.itemsize == 8
    assert x.nbytes == 48
    assert x.is_floating_point()
    assert lg.is_tensor(x)
    assert not lg.is_tensor(1)
    assert x.device == lg.device("numpy:0")
    assert hash(x) == hash(x)


def test_limits():
    for name in ("float16", "bfloat16", "float32", "float64"):
        ours, theirs = lg.finfo(getattr(lg, name)), torch.finfo(getattr(torch, name))
        for field in ("bits", "eps", "max", "min", "tiny"):
            assert getattr(ours, field) == getattr(theirs, field)
    assert lg.iinfo(lg.int8).max == 127
    assert lg.iinfo(lg.uint8).min == 0
    with pytest.raises(TypeError):
        lg.finfo(lg.int32)


def test_python_numbers_from_tensors():
    x = lg.tensor([2.5])
    assert float(x) == 2.5
    assert int(x) == 2
    assert bool(x)
    assert x.item() == 2.5
    assert [10, 20, 30][lg.tensor(1)] == 20
    assert f"{lg.tensor(2.5):.2f}" == "2.50"
    assert numpy.asarray(x).tolist() == [2.5]
    with pytest.raises(RuntimeError, match="more than one value is ambiguous"):
        bool(lg.ones(2))
    with pytest.raises(RuntimeError, match="2 elements cannot be converted to Scalar"):
        lg.ones(2).item()
    with pytest.raises(TypeError, match="len"):
        len(lg.tensor(1))
    with pytest.raises(TypeError, match="iteration"):
        iter(lg.tensor(1))


def test_copies():
    x = lg.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    y = copy.deepcopy(x)
    assert y.requires_grad
    assert y.grad.tolist() == x.grad.tolist()
    with lg.no_grad():
        y.add_(1)
    assert x.tolist() == [1, 2]
    z = pickle.loads(pickle.dumps(x))
    assert z.tolist() == [1, 2]
    assert z.requires_grad
    with pytest.raises(RuntimeError, match="deepcopy protocol"):
        copy.deepcopy(x * 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lg.tensor([[1], [1, 2]]), ValueError, "equal length"),
        (lambda: lg.tensor("a"), TypeError, "could not infer dtype"),
        (lambda: lg.tensor([None]), TypeError, "could not infer dtype"),
        (lambda: lg.zeros(-1), RuntimeError, "negative dimension"),
        (lambda: lg.arange(0, 5, 0), RuntimeError, "nonzero"),
        (lambda: lg.arange(0, 5, -1), RuntimeError, "step sign"),
        (lambda: lg.zeros(2.5), TypeError, "integer"),
        (lambda: lg.ones(2, device="nowhere"), RuntimeError, "'nowhere': no such backend is installed; available: "),
        (lambda: lg.device("a:?"), RuntimeError, "Invalid device string"),
        (lambda: lg.from_numpy([1]), TypeError, "np.ndarray"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_devices():
    assert str(lg.device("opencl:1")) == "opencl:1"
    assert repr(lg.device("opencl", 1)) == "device(type='opencl', index=1)"
    assert lg.device("cpu").type == "cpu"
    assert lg.ones(2, device="cpu").device == lg.ones(2).device
    assert lg.device(lg.device("numpy")).index is None
    x = lg.ones(2)
    assert x.to("numpy") is x
    assert x.cpu() is x
    assert lg.get_default_device() == lg.device("numpy:0")


def test_arguments_are_scalars_bound_at_launch():
    rate = lg.argument(0.5)
    assert rate.shape == ()
    assert rate._node.op.name == "argument"
    assert (lg.ones(2) * rate).tolist() == [0.5, 0.5]
    assert (lg.ones(2, dtype=lg.float16) * rate).dtype is lg.float16
    assert dtype_name(lg.argument(3, dtype=lg.int64).dtype) == "int64"


def test_names_that_torch_has():
    for name in (
        "float",
        "double",
        "half",
        "long",
        "int",
        "short",
        "bool",
        "inf",
        "nan",
        "pi",
        "no_grad",
        "nn",
        "optim",
    ):
        assert hasattr(lg, name)
        assert hasattr(torch, name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        lg.nothing  # noqa: B018


def test_agree_itself():
    with pytest.raises(AssertionError):
        agree(lambda lib, x: x * (2 if lib is lg else 3), numpy.ones(2))
