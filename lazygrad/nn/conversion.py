"""Move and convert a module's state: what stands behind `Module.to` and its shorthands.

In: the arguments of `to`, or a function on tensors. Out: the device and dtype they ask for; a module
whose tensors are converted while its Parameter objects stay the same, since an optimizer may hold them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import lazygrad
from lazygrad.nn.common_types import DeviceLike, DTypeLike
from lazygrad.tensor import Tensor

if TYPE_CHECKING:
    from lazygrad.nn.module import Module


def convert_module(module: Module, convert: Callable[[Tensor], Tensor]) -> None:
    """Apply `convert` to the parameters, gradients and buffers of `module` itself, not its children."""
    with lazygrad.no_grad():
        for parameter in module._parameters.values():
            if parameter is None:
                continue
            gradient = parameter.grad
            parameter.data = convert(parameter.data)
            if gradient is not None:
                parameter.grad = convert(gradient)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = convert(buffer)
    module._state_is_pending()


def device_and_dtype(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[DeviceLike, DTypeLike]:
    """Return what `to(device)`, `to(dtype)`, `to(device, dtype)` or `to(tensor)` asks for, else None.

    `non_blocking` and `memory_format` are admitted and change nothing: transfers are never waited for,
    and how a tensor lies in memory is the compiler's choice.
    """
    device: DeviceLike = kwargs.get("device")
    dtype: DTypeLike = kwargs.get("dtype")
    given = [*args, *([kwargs["tensor"]] if "tensor" in kwargs else [])]
    for value in given:
        match value:
            case Tensor():
                device, dtype = value.device, value.dtype
            case lazygrad.dtype():
                dtype = value
            case bool() | None:
                pass
            case _:
                device = value
    unknown = set(kwargs) - {"device", "dtype", "tensor", "non_blocking", "memory_format"}
    if unknown:
        raise TypeError(f"to() got an unexpected keyword argument {sorted(unknown)[0]!r}")
    return device, dtype
