"""To another dtype or device, and to the host: NumPy arrays, Python numbers, lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy

from lazygrad import ops, runtime
from lazygrad.ir.dtype import BY_NAME, DType, bool_
from lazygrad.tensor.devices import canonical
from lazygrad.tensor.devices import device as device_class
from lazygrad.tensor.grad_mode import SWITCH
from lazygrad.tensor.handle import Handle, leaf_tensor, wrap
from lazygrad.tensor.operands import cast
from lazygrad.tensor.realization import to_host

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """This tensor with another dtype, on another device, or both; itself when nothing changes.

    Accepts ``to(dtype)``, ``to(device)``, ``to(device, dtype)`` and ``to(other_tensor)``, as keywords too. A
    change of device computes the tensor and carries its elements over the host; it is not differentiable.
    ``non_blocking``, ``copy`` and ``memory_format`` are admitted; ``copy`` gives a new tensor in any case.

    >>> import lazygrad as lg
    >>> lg.tensor([1.7, -1.7]).to(lg.int64)
    tensor([ 1, -1])
    """
    device, dtype, copy = kwargs.pop("device", None), kwargs.pop("dtype", None), kwargs.pop("copy", False)
    given = [*args, *([kwargs.pop("other")] if "other" in kwargs else [])]
    for position, value in enumerate(given):
        if isinstance(value, Handle):
            device, dtype = value._cell.node.device, value._cell.node.dtype
        elif isinstance(value, DType):
            dtype = value
        elif isinstance(value, (str, device_class)) or (position == 0 and type(value) is int):
            device = value
        elif isinstance(value, bool) and position == 3:
            copy = value
    unknown = set(kwargs) - {"non_blocking", "memory_format"}
    if unknown:
        raise TypeError(f"to() got an unexpected keyword argument {min(unknown)!r}")
    node = self._cell.node
    wanted = node.device if device is None else canonical(device)
    result = self if wanted == node.device else _moved(self, wanted)
    if dtype is not None and dtype is not node.dtype:
        return wrap(cast(result._enter(), dtype), result, name="ToCopy")
    return result.clone() if copy and result is self else result


def _moved(tensor: Tensor, name: str) -> Tensor:
    if tensor._requires_grad and SWITCH.enabled:
        raise RuntimeError(
            f"to: a tensor that requires grad cannot be moved to {name}, since the way over the host is not "
            "differentiable; make it there with device=, or use .detach().to(...)"
        )
    buffer = runtime.from_host(to_host(tensor), tensor._cell.node.dtype, name)
    return leaf_tensor(ops.buffer(buffer))


def cpu(self: Tensor) -> Tensor:
    """This tensor on the host, that is on the NumPy reference device."""
    return to(self, "cpu")


def cuda(self: Tensor, device: int | str | None = None) -> Tensor:
    """This tensor on an NVIDIA GPU, through the Triton backend."""
    return to(self, f"cuda:{device}" if isinstance(device, int) else device or "cuda")


def converter(dtype: DType, name: str) -> Callable[[Tensor], Tensor]:
    """The method ``name`` that converts to ``dtype``."""

    def method(self: Tensor) -> Tensor:
        return to(self, dtype)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = (
        f"As {dtype.name}" + ("" if dtype.is_float or dtype is bool_ else "; floats are rounded to zero") + "."
    )
    return method


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """With the dtype of ``other``."""
    return to(self, other._cell.node.dtype)


def type_name(self: Tensor, dtype: DType | str | None = None) -> Any:
    """The name of this tensor's type as torch gives it, or this tensor converted to ``dtype``.

    >>> import lazygrad as lg
    >>> lg.zeros(2).type(), lg.zeros(2).type("lazygrad.LongTensor")
    ('lazygrad.FloatTensor', tensor([0, 0]))
    """
    if dtype is None:
        return f"lazygrad.{_TYPE_NAMES[self._cell.node.dtype.name]}Tensor"
    if isinstance(dtype, str):
        name = dtype.rpartition(".")[2].removesuffix("Tensor")
        found = [known for known, title in _TYPE_NAMES.items() if title == name]
        if not found:
            raise ValueError(f"invalid type: '{dtype}'")
        dtype = BY_NAME[found[0]]
    return to(self, dtype)


_TYPE_NAMES = {
    "bool": "Bool",
    "uint8": "Byte",
    "int8": "Char",
    "int16": "Short",
    "int32": "Int",
    "int64": "Long",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "float32": "Float",
    "float64": "Double",
}


def to_numpy(self: Tensor, *, force: object = False) -> numpy.ndarray[Any, Any]:
    """The elements as a new array; runs what is pending for them, and waits. bfloat16 is ml_dtypes' type.

    Raises:
        RuntimeError: the tensor requires grad and ``force`` is not set: call ``detach()`` first.

    >>> import lazygrad as lg
    >>> lg.tensor([1.0, 2.0]).numpy()
    array([1., 2.], dtype=float32)
    """
    if self._requires_grad and not force:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
    return to_host(self)


def item(self: Tensor) -> Any:
    """The only element as a Python number.

    >>> import lazygrad as lg
    >>> lg.tensor([[2.5]]).item()
    2.5
    """
    count = self.numel()
    if count != 1:
        raise RuntimeError(f"a Tensor with {count} elements cannot be converted to Scalar")
    return _as_python(to_host(self)).reshape(()).item()


def tolist(self: Tensor) -> Any:
    """The elements as nested lists of Python numbers; a 0-dimensional tensor gives its number.

    >>> import lazygrad as lg
    >>> lg.tensor([[1, 2], [3, 4]]).tolist()
    [[1, 2], [3, 4]]
    """
    return _as_python(to_host(self)).tolist()


def _as_python(array: numpy.ndarray[Any, Any]) -> numpy.ndarray[Any, Any]:
    """NumPy turns bfloat16 elements into Python objects that are no floats: by way of float32 it does not."""
    return array.astype(numpy.float32) if array.dtype.kind == "V" or array.dtype.name == "bfloat16" else array
