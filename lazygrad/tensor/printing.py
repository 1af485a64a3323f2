"""The printed form of a tensor, character for character torch's.

In: a tensor. Out: its text. Printing runs what is pending for the tensor. The rules (when numbers are written
in scientific notation, when a tensor is summarised, where lines break) are those of torch's ``_tensor_str``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy

from lazygrad.ir.dtype import bool_, float32, int64
from lazygrad.tensor.devices import canonical
from lazygrad.tensor.realization import to_host

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor

Array = numpy.ndarray[Any, Any]


@dataclass(frozen=True)
class PrintOptions:
    """How tensors are printed; see ``set_printoptions``."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": PrintOptions(),
    "short": PrintOptions(precision=2, edgeitems=2),
    "full": PrintOptions(threshold=math.inf),
}
_options = PrintOptions()

# torch writes numbers in scientific notation when their sizes are farther apart than this, or beyond these
# bounds.
_WIDEST_RATIO = 1000.0
_LARGEST_PLAIN = 1.0e8
_SMALLEST_PLAIN = 1.0e-4


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Sets how tensors are printed.

    Args:
        precision: digits after the point.
        threshold: tensors with more elements are summarised.
        edgeitems: how many items a summary shows at each end of a dimension.
        linewidth: characters in a line.
        profile: "default", "short" or "full", before the other arguments.
        sci_mode: scientific notation always (True), never (False), or where torch would use it (None).
    """
    global _options
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    base = _options if profile is None else _PROFILES[profile]
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    _options = replace(base, sci_mode=sci_mode, **changes)


def get_printoptions() -> dict[str, Any]:
    """The options in force, for ``set_printoptions``."""
    return asdict(_options)


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """A scope with other printing options.

    >>> import lazygrad as lg
    >>> with lg.printoptions(precision=2):
    ...     print(lg.tensor([3.14159]))
    tensor([3.14])
    """
    global _options
    outer = _options
    set_printoptions(**options)
    try:
        yield
    finally:
        _options = outer


class _Formatter:
    """How the numbers of one tensor are written: all in one way, and to one width."""

    def __init__(self, shown: Array) -> None:
        self.is_float = shown.dtype.kind == "f"
        self.integers = True
        self.scientific = False
        self.width = 1
        if not self.is_float:
            self.width = max((len(str(value)) for value in shown.reshape(-1).tolist()), default=1)
            return
        values = shown[numpy.isfinite(shown) & (shown != 0)].astype(numpy.float64)
        if not values.size:
            return
        sizes = numpy.abs(values)
        smallest, largest = float(sizes.min()), float(sizes.max())
        self.integers = bool((values == numpy.ceil(values)).all())
        self.scientific = (
            largest / smallest > _WIDEST_RATIO or largest > _LARGEST_PLAIN or smallest < _SMALLEST_PLAIN
            if _options.sci_mode is None
            else _options.sci_mode
        )
        extra = 1 if self.integers and not self.scientific else 0
        pattern = self._pattern()
        self.width = max(1, *(len(pattern.format(value)) + extra for value in values.tolist()))

    def _pattern(self) -> str:
        if self.scientific:
            return f"{{:.{_options.precision}e}}"
        return "{:.0f}" if self.integers else f"{{:.{_options.precision}f}}"

    def __call__(self, value: Any) -> str:
        if not self.is_float:
            text = str(value)
        else:
            text = self._pattern().format(value)
            if self.integers and not self.scientific and math.isfinite(value):
                text += "."
        return text.rjust(self.width)


def _summarised(array: Array) -> Array:
    """The elements that a summary shows."""
    edge = _options.edgeitems
    for axis, extent in enumerate(array.shape):
        if extent > 2 * edge:
            ends = [*range(edge), *range(extent - edge, extent)]
            array = numpy.take(array, ends, axis)
    return array


def _vector(array: Array, indent: int, summarise: bool, write: _Formatter) -> str:
    each_line = max(1, math.floor((_options.linewidth - indent) / (write.width + 2)))
    edge = _options.edgeitems
    if summarise and not edge:
        items = ["..."]
    elif summarise and array.size > 2 * edge:
        items = [*map(write, array[:edge].tolist()), " ...", *map(write, array[-edge:].tolist())]
    else:
        items = [*map(write, array.tolist())]
    lines = [", ".join(items[start : start + each_line]) for start in range(0, len(items), each_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _nested(array: Array, indent: int, summarise: bool, write: _Formatter) -> str:
    if not array.ndim:
        return write(array.item())
    if array.ndim == 1:
        return _vector(array, indent, summarise, write)
    edge = _options.edgeitems

    def rows(part: Array) -> list[str]:
        return [_nested(row, indent + 1, summarise, write) for row in part]

    if summarise and len(array) > 2 * edge:
        parts = [*rows(array[:edge]), "...", *rows(array[len(array) - edge :])]
    else:
        parts = rows(array)
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def elements_text(array: Array, indent: int) -> str:
    """The nested brackets of an array's elements."""
    if array.dtype.name == "bfloat16":
        array = array.astype(numpy.float32)
    if not array.size:
        return "[]"
    summarise = array.size > _options.threshold
    return _nested(array, indent, summarise, _Formatter(_summarised(array) if summarise else array))


def text_of(tensor: Tensor) -> str:
    """``repr(tensor)``."""
    prefix = "tensor("
    indent = len(prefix)
    node = tensor._cell.node
    suffixes: list[str] = []
    if node.device != canonical(None):
        suffixes.append(f"device='{node.device}'")
    shows_dtype = node.dtype not in (float32, int64, bool_)
    if 0 in node.shape:
        if len(node.shape) != 1:
            suffixes.append(f"size={tuple(node.shape)}")
        shows_dtype = node.dtype is not float32
        body = "[]"
    else:
        body = elements_text(to_host(tensor), indent)
    if shows_dtype:
        suffixes.append(f"dtype={node.dtype}")
    function = tensor.grad_fn
    if function is not None:
        suffixes.append(f"grad_fn=<{function.name()}>")
    elif tensor._requires_grad:
        suffixes.append("requires_grad=True")
    return _with_suffixes(prefix + body, suffixes, indent)


def _with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    parts = [text]
    last_line = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if last_line + len(suffix) + 2 > _options.linewidth:
            parts.append(",\n" + " " * indent + suffix)
            last_line = indent + len(suffix)
        else:
            parts.append(", " + suffix)
            last_line += len(suffix) + 2
    return "".join(parts) + ")"
