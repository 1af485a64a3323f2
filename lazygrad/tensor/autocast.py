"""Automatic mixed precision: regions in which functions choose the dtype they compute in.

In: a table of policies (``autocast_table``). Out: within a region, a listed function gets its operands converted
before it runs, and what it calls is left alone. Outside of regions a listed function costs one look at a flag.

A parameter is converted once in a step however often it is used: nodes are interned, so that equal conversions of
one value are one node, computed and stored once. Its gradient is converted back, and arrives in its own dtype.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterable
from functools import lru_cache, wraps
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from lazygrad import runtime
from lazygrad.ir.dtype import DType, bfloat16, float16, float32, float64
from lazygrad.tensor.autocast_table import POLICIES, Policy
from lazygrad.tensor.conversion import to
from lazygrad.tensor.devices import canonical, device
from lazygrad.tensor.handle import Handle

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])


class _Region(NamedTuple):
    """Tensors on devices of one type are converted; ``enabled`` False hides the regions around it from them."""

    device_type: str
    dtype: DType
    enabled: bool

    def covers(self, name: str) -> bool:
        """Whether the device is of this region's type; "cpu" is whatever computes on the processor."""
        if self.device_type == "cpu":
            return runtime.device(name).is_processor
        return self.device_type in (name, name.partition(":")[0])


class _Thread(threading.local):
    regions: tuple[_Region, ...] = ()  # innermost last


_THREAD = _Thread()


def active_regions() -> tuple[_Region, ...]:
    """The thread's regions, innermost last: what decides which dtypes functions compute in."""
    return _THREAD.regions


class autocast:  # noqa: N801, torch's name
    """A region in which products compute in a short float, and what needs the digits in float32.

    A context manager and a decorator; regions may be nested, and an inner one may be disabled. Which functions
    are converted to what is listed in ``lazygrad/tensor/autocast_table.py``: torch's lists for GPUs, on every
    device. In-place methods are left alone. Put the forward pass and the loss into a region, not ``backward``.

    Args:
        device_type: tensors on such devices are converted: "cuda" or "triton", "opencl", "cpu" (whatever computes
            on the processor), "numpy"; the default device's type unless given.
        dtype: float16 or bfloat16; unless given that of the region around, outside of regions bfloat16 on
            processors and float16 elsewhere.
        enabled: whether anything is converted.
        cache_enabled: admitted: a tensor's equal conversions are one in any case.

    Raises:
        RuntimeError: there is no such type of device.

    >>> import lazygrad as lg
    >>> x, w = lg.ones(2, 3), lg.ones(3, 2, requires_grad=True)
    >>> with lg.autocast(dtype=lg.bfloat16):
    ...     y = x @ w
    ...     loss = y.sum()
    >>> y.dtype, loss.dtype
    (lazygrad.bfloat16, lazygrad.float32)
    >>> loss.backward()
    >>> w.grad.dtype
    lazygrad.float32
    """

    def __init__(
        self,
        device_type: str | None = None,
        dtype: DType | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        self.device = _known(device_type)
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        if enabled and not is_autocast_available(self.device):
            warnings.warn(
                f"autocast for {device_type!r}, but no such device can be used here. Disabling.", stacklevel=2
            )
            enabled = False
        if enabled and self.fast_dtype not in (float16, bfloat16):
            warnings.warn(
                f"autocast only supports float16 and bfloat16, got {self.fast_dtype.name}. Disabling.", stacklevel=2
            )
            enabled = False
        self._region = _Region(self.device, self.fast_dtype, enabled)
        self._outer: list[tuple[_Region, ...]] = []

    def __enter__(self) -> autocast:
        self._outer.append(_THREAD.regions)
        _THREAD.regions = (*_THREAD.regions, self._region)
        return self

    def __exit__(self, *_: object) -> None:
        _THREAD.regions = self._outer.pop()

    def __call__(self, function: Function) -> Function:
        """The function, run within such a region each time it is called."""

        @wraps(function)
        def within(*args: Any, **kwargs: Any) -> Any:
            # Not `with self`: threads that call the function share this object.
            outer, _THREAD.regions = _THREAD.regions, (*_THREAD.regions, self._region)
            try:
                return function(*args, **kwargs)
            finally:
                _THREAD.regions = outer

        return within  # type: ignore[return-value]


def _known(device_type: str | None) -> str:
    """The type of devices as nodes carry it."""
    kind = device(canonical(None) if device_type is None else device_type).type
    # Triton is known wherever it is missing: scripts ask for "cuda" and mean it where there is one.
    if kind.partition(":")[0] not in ("cpu", "triton", *runtime.available_backends()):
        raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
    return kind


def is_autocast_available(device_type: str) -> bool:
    """Whether devices of this type can be used here."""
    try:
        canonical(_known(device_type))
    except RuntimeError:
        return False
    return True


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether functions of tensors on devices of this type (the default device's unless given) are converted now.

    >>> import lazygrad as lg
    >>> with lg.autocast():
    ...     lg.is_autocast_enabled()
    True
    """
    region = _innermost(_known(device_type))
    return region is not None and region.enabled


def get_autocast_dtype(device_type: str | None = None) -> DType:
    """The short float of the region around, or the one that a region for this type of devices has by default.

    >>> import lazygrad as lg
    >>> lg.get_autocast_dtype("cpu")
    lazygrad.bfloat16
    """
    kind = _known(device_type)
    region = _innermost(kind)
    if region is not None:
        return region.dtype
    on_processor = is_autocast_available(kind) and runtime.device(canonical(kind)).is_processor
    return bfloat16 if on_processor else float16


def _innermost(kind: str) -> _Region | None:
    """The region that tensors on devices of this type see."""
    return _region_of(canonical(kind), _THREAD.regions) if _THREAD.regions and is_autocast_available(kind) else None


@lru_cache(maxsize=256)
def _region_of(name: str, regions: tuple[_Region, ...]) -> _Region | None:
    """The innermost region for a device; remembered, since every call of a listed function asks."""
    return next((region for region in reversed(regions) if region.covers(name)), None)


# ---- calls


def cover(namespace: ModuleType) -> None:
    """Has the listed functions of a module, or of a package's modules, look for a region when they are called.

    Called once, after the functions are defined and before anybody takes them from there.
    """
    covered: dict[FunctionType, Callable[..., Any]] = {}
    for name, function in list(vars(namespace).items()):
        if not isinstance(function, FunctionType) or function.__name__ not in POLICIES:
            continue
        home = function.__module__
        if home != namespace.__name__ and not home.startswith(f"{namespace.__name__}."):
            continue
        if function not in covered:
            covered[function] = _covered(function, POLICIES[function.__name__])
            setattr(sys.modules[home], function.__name__, covered[function])
        setattr(namespace, name, covered[function])


def _covered(function: FunctionType, policy: Policy) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        regions = _THREAD.regions
        if not regions:
            return function(*args, **kwargs)
        dtypes = _dtypes(policy, [*_tensors(args), *_tensors(kwargs.values())], regions)
        if dtypes:
            args = tuple(_convert(operand, dtypes) for operand in args)
            kwargs = {name: _convert(operand, dtypes) for name, operand in kwargs.items()}
        _THREAD.regions = ()
        try:
            return function(*args, **kwargs)
        finally:
            _THREAD.regions = regions

    return call


def _tensors(operands: Iterable[Any]) -> list[Tensor]:
    """The tensors among operands and in their lists."""
    found: list[Any] = []
    for operand in operands:
        if isinstance(operand, Handle):
            found.append(operand)
        elif isinstance(operand, (list, tuple)):
            found += [item for item in operand if isinstance(item, Handle)]
    return found


def _dtypes(policy: Policy, tensors: list[Tensor], regions: tuple[_Region, ...]) -> dict[int, DType]:
    """The new dtypes of the tensors that get one, by their id."""
    new: dict[int, DType] = {}
    for tensor in tensors if policy is not Policy.AS_GIVEN else ():
        node = tensor._cell.node
        if node.dtype.is_float and node.dtype is not float64:
            region = _region_of(node.device, regions)
            if region is not None and region.enabled:
                new[id(tensor)] = region.dtype
    present = {id(tensor): tensor._cell.node.dtype for tensor in tensors}
    is_wide = policy is Policy.WIDEST and any(present[key] is float32 for key in new)
    if is_wide or policy is Policy.FLOAT32:
        new = dict.fromkeys(new, float32)
    return {key: dtype for key, dtype in new.items() if dtype is not present[key]}


def _convert(operand: Any, dtypes: dict[int, DType]) -> Any:
    if isinstance(operand, Handle):
        dtype = dtypes.get(id(operand))
        return operand if dtype is None else to(operand, dtype)  # type: ignore[arg-type]
    if isinstance(operand, (list, tuple)) and any(isinstance(item, Handle) for item in operand):
        return type(operand)(_convert(item, dtypes) for item in operand)
    return operand
