"""Tensor: the user's handle on a lazy node, with torch's methods.

What is defined here is what makes a tensor a Python object: construction, attributes, conversion, copies.
All other methods are functions, which ``methods`` collects from the modules about their subjects.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy

from lazygrad import ops, runtime
from lazygrad.ir import dtype as dtypes
from lazygrad.ir.dtype import DType
from lazygrad.ir.shape import size_of
from lazygrad.tensor import (
    comparison,
    conversion,
    creation,
    history,
    joining,
    movement,
    printing,
    realization,
    reduction,
)
from lazygrad.tensor import (
    gradient as gradients,
)
from lazygrad.tensor.cells import Cell
from lazygrad.tensor.devices import canonical
from lazygrad.tensor.devices import device as device_class
from lazygrad.tensor.handle import Handle, tensor_of
from lazygrad.tensor.methods import Methods
from lazygrad.tensor.operands import is_operand
from lazygrad.tensor.recording import RECORDING
from lazygrad.tensor.size import Size


class Tensor(Methods):
    """A multi-dimensional array of one dtype on one device, computed when its elements are asked for.

    ``Tensor(2, 3)`` and ``Tensor([1, 2])`` make float32 tensors as torch's constructor does;
    ``lazygrad.tensor`` is the better way.

    >>> x = Tensor([1, 2])
    >>> x * 2 + 1
    tensor([3., 5.])
    """

    __array_priority__ = 1000  # NumPy arrays leave mixed operators to us

    def __init__(self, *data: Any) -> None:
        if len(data) == 1 and not isinstance(data[0], int):
            made = creation.tensor(data[0], dtype=dtypes.float32)
        else:
            made = creation.empty(*data) if data else creation.empty(0)
        self._set(made._cell, False)

    @classmethod
    def _make_subclass(cls, kind: type[Tensor], data: Tensor, require_grad: bool = False) -> Any:
        """A handle of class ``kind`` on the value of ``data``; a leaf, which shares the value with it."""
        return tensor_of(data._cell.without_history(), kind=kind).requires_grad_(require_grad)

    # ---- attributes

    @property
    def shape(self) -> Size:
        """The extents."""
        return Size(self._cell.node.shape)

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self._cell.node.dtype

    @property
    def device(self) -> device_class:
        """Where the elements are."""
        return device_class(self._cell.node.device)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._cell.node.rank

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self._cell.node.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.numel() * self.itemsize

    @property
    def T(self) -> Tensor:  # noqa: N802, torch's name
        """All dimensions in the opposite order."""
        return movement.reversed_axes(self)

    @property
    def mT(self) -> Tensor:  # noqa: N802, torch's name
        """The last two dimensions exchanged."""
        return movement.transpose(self, -2, -1)

    @property
    def requires_grad(self) -> bool:
        """Whether gradients with respect to this tensor, or to what it was computed from, are wanted."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was made by the user rather than by an operation that records gradients."""
        return not (self._requires_grad and self._cell.history)

    @property
    def grad_fn(self) -> history.GradientFunction | None:
        """A name for the operation that made this tensor; None for a leaf."""
        return history.gradient_function(self)

    @property
    def grad(self) -> Tensor | None:
        """The gradient that ``backward`` has accumulated, or None."""
        if RECORDING.recorder is not None:
            RECORDING.recorder.gradient(self, read=True)
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Handle):
                raise TypeError(f"assigned grad expected to be a Tensor or None but got {type(value).__name__}")
            own, given = self._cell.node, value._cell.node
            if own.shape != given.shape or own.dtype is not given.dtype or own.device != given.device:
                raise RuntimeError(
                    f"assigned grad must have shape {list(own.shape)}, dtype {own.dtype.name} and device "
                    f"{own.device}, got {list(given.shape)}, {given.dtype.name} and {given.device}"
                )
        if RECORDING.recorder is not None:
            RECORDING.recorder.gradient(self, read=False)
        if self._grad is not value:  # who has put the old one away hears of it
            self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self.grad = None

    @property
    def data(self) -> Tensor:
        """A twin without history: in-place changes of one are seen by the other."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        self._cell = value._cell.without_history()
        self._leaf = None

    def size(self, dim: int | None = None) -> Any:
        """The extents, or one of them."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """The number of dimensions."""
        return self._cell.node.rank

    ndimension = dim

    def numel(self) -> int:
        """The number of elements."""
        return size_of(self._cell.node.shape)

    nelement = numel

    def element_size(self) -> int:
        """Bytes per element."""
        return self._cell.node.dtype.itemsize

    def is_floating_point(self) -> bool:
        """Whether the elements are floats."""
        return self._cell.node.dtype.is_float

    def is_contiguous(self, memory_format: object = None) -> bool:
        """True: how a tensor lies in memory is the compiler's choice, and no operation asks."""
        return True

    def contiguous(self, memory_format: object = None) -> Tensor:
        """This tensor (see ``is_contiguous``)."""
        return self

    # ---- history

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Adds the gradient of this tensor to the ``.grad`` of every leaf it depends on.

        Args:
            gradient: a weight for each element; may be left out for a tensor with one element.
            retain_graph: admitted; graphs are never freed here, a second pass just works.
            create_graph: whether the gradients can be differentiated again.
            inputs: fill the ``.grad`` of these leaves only.

        >>> import lazygrad as lg
        >>> a = lg.tensor([2.0, 3.0], requires_grad=True)
        >>> (3 * a**3).backward(gradient=lg.tensor([1.0, 1.0]))
        >>> a.grad
        tensor([36., 81.])
        """
        gradients.backward(self, gradient, retain_graph, create_graph, inputs)

    @property
    def retains_grad(self) -> bool:
        """Whether ``retain_grad`` was called on this tensor, which is no leaf."""
        return self._retains_grad

    # ---- running

    def realize(self) -> Tensor:
        """Computes this tensor now, without waiting for the device."""
        realization.realize_only(self)
        return self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = conversion.to_numpy(self)
        return array if dtype is None else array.astype(dtype)

    def __bool__(self) -> bool:
        if self.numel() != 1:
            if not self.numel():
                raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self._cell.node.dtype.is_float or self.numel() != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __repr__(self) -> str:
        return printing.text_of(self)

    def __format__(self, specification: str) -> str:
        if not self._cell.node.rank and not self._requires_grad:
            return format(self.item(), specification)
        return format(repr(self), specification)

    def __len__(self) -> int:
        if not self._cell.node.rank:
            raise TypeError("len() of a 0-d tensor")
        return self._cell.node.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self._cell.node.rank:
            raise TypeError("iteration over a 0-d tensor")
        return iter(joining.unbind(self, 0))

    def __reversed__(self) -> Tensor:
        return movement.flip(self, 0) if self._cell.node.rank else self

    def __contains__(self, element: Any) -> bool:
        if not is_operand(element):
            raise RuntimeError(
                f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
            )
        return bool(reduction.any(comparison.eq(self, element)).item())

    # By identity; defining __eq__ would take it away. Dicts of tensors ask for it without running Python code.
    __hash__ = object.__hash__

    def __copy__(self) -> Tensor:
        copied = tensor_of(self._cell, self._requires_grad, type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) in memo:
            known: Tensor = memo[id(self)]
            return known
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user support the deepcopy protocol; use .detach() or .clone()"
            )
        bare = self._cell.without_history()
        copied = tensor_of(Cell(bare.node, depth=bare.depth), self._requires_grad, type(self))
        copied.__dict__.update(self.__dict__)
        memo[id(self)] = copied
        if self._grad is not None:
            copied._grad = self._grad.__deepcopy__(memo)
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        elements = realization.to_host(self)
        return _rebuilt, (type(self), elements, self.dtype, self._requires_grad, self.__dict__)


def _rebuilt(
    kind: type[Tensor],
    elements: numpy.ndarray[Any, Any],
    dtype: DType,
    requires_grad: bool,
    attributes: dict[str, Any],
) -> Tensor:
    """A tensor from its pickled parts."""
    buffer = runtime.from_host(elements, dtype, canonical(None))
    made = tensor_of(Cell(ops.buffer(buffer)), requires_grad, kind)
    made.__dict__.update(attributes)
    return made


Handle.tensor_class = Tensor
