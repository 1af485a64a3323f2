"""Tensor: the user's handle on a lazy node, with torch's methods.

A method is the function of the same name in the module that is about its subject; here they are only bound.
What is defined here is what makes a tensor a Python object: construction, attributes, conversion, operators.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

import numpy

from lazygrad import ops, runtime
from lazygrad.ir import dtype as dtypes
from lazygrad.ir.dtype import DType
from lazygrad.ir.shape import size_of
from lazygrad.tensor import (
    arithmetic,
    assignment,
    comparison,
    conversion,
    creation,
    extrema,
    gradient as gradients,
    indexing,
    inplace,
    joining,
    linalg,
    mathematics,
    movement,
    printing,
    random,
    realization,
    reduction,
    selection,
    softmax as softmaxes,
    statistics,
)
from lazygrad.tensor.devices import DeviceLike, canonical, device as device_class
from lazygrad.tensor.handle import Cell, Handle, wrap
from lazygrad.tensor.operands import as_shape, is_operand
from lazygrad.tensor.size import Size


class GradientFunction:
    """What ``grad_fn`` is: the name torch has for the operation that made a tensor."""

    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        """For example ``MulBackward0``."""
        return self._name

    def __repr__(self) -> str:
        return f"<{self._name} object>"


class RemovableHook:
    """What ``register_hook`` returns: ``remove()`` takes the hook away."""

    def __init__(self, hooks: dict[int, Any], number: int) -> None:
        self._hooks = hooks
        self._number = number

    def remove(self) -> None:
        """Takes the hook away."""
        self._hooks.pop(self._number, None)


def _operator(function: Callable[..., Tensor], swapped: bool = False) -> Callable[[Tensor, Any], Tensor]:
    """The operator method of a function; NotImplemented for what is neither tensor nor number."""

    def method(self: Tensor, other: Any) -> Tensor:
        if not is_operand(other):
            return NotImplemented
        return function(other, self) if swapped else function(self, other)

    return method


class Tensor(Handle):
    """A multi-dimensional array of one dtype on one device, computed when its elements are asked for.

    ``Tensor(2, 3)`` and ``Tensor([1, 2])`` make float32 tensors as torch's constructor does; ``lazygrad.tensor`` is
    the better way.

    >>> x = Tensor([1, 2])
    >>> x * 2 + 1
    tensor([3., 5.])
    """

    __array_priority__ = 1000  # NumPy arrays leave mixed operators to us

    def __init__(self, *data: Any) -> None:
        if len(data) == 1 and not isinstance(data[0], builtins.int):
            made = creation.tensor(data[0], dtype=dtypes.float32)
        else:
            made = creation.empty(*data) if data else creation.empty(0)
        self._set(made._cell, False)

    @classmethod
    def _make_subclass(cls, kind: builtins.type[Tensor], data: Tensor, require_grad: builtins.bool = False) -> Any:
        """A handle of class ``kind`` on the value of ``data``; a leaf, which shares the value with it."""
        made = object.__new__(kind)
        cell = data._cell
        made._set(Cell(ops.detach(cell.node), depth=cell.depth) if cell.history else cell, False)
        return made.requires_grad_(require_grad)

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
    def ndim(self) -> builtins.int:
        """The number of dimensions."""
        return self._cell.node.rank

    @property
    def itemsize(self) -> builtins.int:
        """Bytes per element."""
        return self._cell.node.dtype.itemsize

    @property
    def nbytes(self) -> builtins.int:
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
    def requires_grad(self) -> builtins.bool:
        """Whether gradients with respect to this tensor, or to what it was computed from, are wanted."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: builtins.bool) -> None:
        self.requires_grad_(value)

    @property
    def is_leaf(self) -> builtins.bool:
        """Whether this tensor was made by the user rather than by an operation that records gradients."""
        return not (self._requires_grad and self._cell.history)

    @property
    def grad_fn(self) -> GradientFunction | None:
        """A name for the operation that made this tensor; None for a leaf."""
        if self.is_leaf:
            return None
        name, _, number = (self._cell.name or self._cell.node.op.name.title().replace("_", "")).partition("/")
        return GradientFunction(f"{name}Backward{number or 0}")

    @property
    def grad(self) -> Tensor | None:
        """The gradient that ``backward`` has accumulated, or None."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Handle):
                raise TypeError(f"assigned grad expected to be a Tensor or None but got {builtins.type(value).__name__}")
            own, given = self._cell.node, value._cell.node
            if own.shape != given.shape or own.dtype is not given.dtype or own.device != given.device:
                raise RuntimeError(
                    f"assigned grad must have shape {list(own.shape)}, dtype {own.dtype.name} and device {own.device}, "
                    f"got {list(given.shape)}, {given.dtype.name} and {given.device}"
                )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    @property
    def data(self) -> Tensor:
        """A twin without history: in-place changes of one are seen by the other."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        cell = value._cell
        self._cell = Cell(ops.detach(cell.node), depth=cell.depth) if cell.history else cell
        self._leaf = None

    def size(self, dim: builtins.int | None = None) -> Any:
        """The extents, or one of them."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> builtins.int:
        """The number of dimensions."""
        return self._cell.node.rank

    ndimension = dim

    def numel(self) -> builtins.int:
        """The number of elements."""
        return size_of(self._cell.node.shape)

    nelement = numel

    def element_size(self) -> builtins.int:
        """Bytes per element."""
        return self._cell.node.dtype.itemsize

    def is_floating_point(self) -> builtins.bool:
        """Whether the elements are floats."""
        return self._cell.node.dtype.is_float

    def is_contiguous(self, memory_format: object = None) -> builtins.bool:
        """True: how a tensor lies in memory is the compiler's choice, and no operation asks."""
        return True

    def contiguous(self, memory_format: object = None) -> Tensor:
        """This tensor (see ``is_contiguous``)."""
        return self

    # ---- history

    def requires_grad_(self, requires_grad: builtins.bool = True) -> Tensor:
        """Whether operations on this tensor are to be recorded. For leaves only."""
        if requires_grad and not self._cell.node.dtype.is_float:
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        if self._cell.history:
            if self._requires_grad:
                if not requires_grad:
                    raise RuntimeError(
                        "you can only change requires_grad flags of leaf variables. If you want to use a computed variable "
                        "in a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
                    )
                return self
            if requires_grad:
                # A detached twin becomes a leaf of its own.
                self._cell = Cell(ops.detach(self._cell.node), depth=self._cell.depth)
        self._requires_grad = requires_grad
        return self

    def detach(self) -> Tensor:
        """A twin through which no gradient flows: in-place changes of one are seen by the other."""
        twin = Tensor.__new__(Tensor)
        twin._set(self._cell, False)
        twin._origin = ref(self) if self._requires_grad else self._origin
        return twin

    def detach_(self) -> Tensor:
        """Cuts this tensor off from the graph that computes it: it becomes a leaf."""
        if self._cell.history:
            self._cell = Cell(ops.detach(self._cell.node), depth=self._cell.depth)
        self._requires_grad = False
        return self

    def clone(self, *, memory_format: object = None) -> Tensor:
        """A tensor with equal values that in-place changes of this one do not reach."""
        return wrap(self._enter(), self, name="Clone")

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: builtins.bool | None = None,
        create_graph: builtins.bool = False,
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

    retain_grad = gradients.retain_grad

    @property
    def retains_grad(self) -> builtins.bool:
        """Whether ``retain_grad`` was called on this tensor, which is no leaf."""
        return self._retains_grad

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHook:
        """Calls ``hook(gradient)`` in each backward pass. For a leaf, what it returns replaces the gradient."""
        if not self._requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        hooks = self._hooks = self._hooks or {}
        number = max(hooks, default=-1) + 1
        hooks[number] = hook
        gradients.watch(self)
        return RemovableHook(hooks, number)

    # ---- running

    def realize(self) -> Tensor:
        """Computes this tensor now, without waiting for the device."""
        realization.realize_only(self)
        return self

    numpy = conversion.to_numpy
    item, tolist = conversion.item, conversion.tolist

    def __array__(self, dtype: Any = None, copy: builtins.bool | None = None) -> Any:
        array = conversion.to_numpy(self)
        return array if dtype is None else array.astype(dtype)

    def __bool__(self) -> builtins.bool:
        if self.numel() != 1:
            if not self.numel():
                raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        return builtins.bool(self.item())

    def __float__(self) -> builtins.float:
        return builtins.float(self.item())

    def __int__(self) -> builtins.int:
        return builtins.int(self.item())

    def __index__(self) -> builtins.int:
        if self._cell.node.dtype.is_float or self.numel() != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return builtins.int(self.item())

    def __repr__(self) -> str:
        return printing.text_of(self)

    def __format__(self, specification: str) -> str:
        if not self._cell.node.rank and not self._requires_grad:
            return format(self.item(), specification)
        return format(repr(self), specification)

    def __len__(self) -> builtins.int:
        if not self._cell.node.rank:
            raise TypeError("len() of a 0-d tensor")
        return self._cell.node.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self._cell.node.rank:
            raise TypeError("iteration over a 0-d tensor")
        return iter(joining.unbind(self, 0))

    def __reversed__(self) -> Tensor:
        return movement.flip(self, 0) if self._cell.node.rank else self

    def __contains__(self, element: Any) -> builtins.bool:
        if not is_operand(element):
            raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {builtins.type(element)}.")
        return builtins.bool(reduction.any(comparison.eq(self, element)).item())

    def __hash__(self) -> builtins.int:
        return id(self)

    def __copy__(self) -> Tensor:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[builtins.int, Any]) -> Tensor:
        if id(self) in memo:
            known: Tensor = memo[id(self)]
            return known
        if not self.is_leaf:
            raise RuntimeError("Only Tensors created explicitly by the user support the deepcopy protocol; use .detach() or .clone()")
        kind = builtins.type(self)
        copied = object.__new__(kind)
        copied._set(Cell(self._cell.node, depth=self._cell.depth) if not self._cell.history else Cell(ops.detach(self._cell.node)), self._requires_grad)
        copied.__dict__.update(self.__dict__)
        memo[id(self)] = copied
        if self._grad is not None:
            copied._grad = self._grad.__deepcopy__(memo)
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        elements = realization.to_host(self)
        return _rebuilt, (builtins.type(self), elements, self.dtype, self._requires_grad, self.__dict__)

    # ---- new tensors like this one

    def new_full(self, size: Any, fill_value: Any, *, dtype: DType | None = None, device: DeviceLike = None, requires_grad: builtins.bool = False) -> Tensor:
        """A tensor of ``size`` with one number, of this tensor's dtype and on its device."""
        return creation.full(size, fill_value, dtype=dtype or self.dtype, device=device or self._cell.node.device, requires_grad=requires_grad)

    def new_zeros(self, *size: Any, dtype: DType | None = None, device: DeviceLike = None, requires_grad: builtins.bool = False) -> Tensor:
        """Zeros of ``size``, of this tensor's dtype and on its device."""
        return self.new_full(as_shape(size), 0, dtype=dtype, device=device, requires_grad=requires_grad)

    def new_ones(self, *size: Any, dtype: DType | None = None, device: DeviceLike = None, requires_grad: builtins.bool = False) -> Tensor:
        """Ones of ``size``, of this tensor's dtype and on its device."""
        return self.new_full(as_shape(size), 1, dtype=dtype, device=device, requires_grad=requires_grad)

    new_empty = new_zeros

    def new_tensor(self, data: Any, *, dtype: DType | None = None, device: DeviceLike = None, requires_grad: builtins.bool = False) -> Tensor:
        """A copy of ``data``, of this tensor's dtype and on its device."""
        return creation.tensor(data, dtype=dtype or self.dtype, device=device or self._cell.node.device, requires_grad=requires_grad)

    def where(self, condition: Tensor, other: Any) -> Tensor:
        """This tensor where the condition holds, else ``other``."""
        chosen = selection.where(condition, self, other)
        assert isinstance(chosen, Tensor)
        return chosen

    # ---- operators

    __add__ = __radd__ = _operator(arithmetic.add)
    __sub__, __rsub__ = _operator(arithmetic.sub), _operator(arithmetic.sub, swapped=True)
    __mul__ = __rmul__ = _operator(arithmetic.mul)
    __truediv__, __rtruediv__ = _operator(arithmetic.div), _operator(arithmetic.div, swapped=True)
    __floordiv__, __rfloordiv__ = _operator(arithmetic.floor_divide), _operator(arithmetic.floor_divide, swapped=True)
    __mod__, __rmod__ = _operator(arithmetic.remainder), _operator(arithmetic.remainder, swapped=True)
    __pow__, __rpow__ = _operator(arithmetic.pow), _operator(arithmetic.pow, swapped=True)
    __matmul__, __rmatmul__ = _operator(linalg.matmul), _operator(linalg.matmul, swapped=True)
    __eq__, __ne__ = _operator(comparison.eq), _operator(comparison.ne)  # type: ignore[assignment]
    __lt__, __le__ = _operator(comparison.lt), _operator(comparison.le)
    __gt__, __ge__ = _operator(comparison.gt), _operator(comparison.ge)
    __and__ = __rand__ = _operator(comparison.bitwise_and)
    __or__ = __ror__ = _operator(comparison.bitwise_or)
    __xor__ = __rxor__ = _operator(comparison.bitwise_xor)
    __lshift__, __rlshift__ = _operator(comparison.bitwise_left_shift), _operator(comparison.bitwise_left_shift, swapped=True)
    __rshift__, __rrshift__ = _operator(comparison.bitwise_right_shift), _operator(comparison.bitwise_right_shift, swapped=True)
    __neg__, __pos__, __abs__, __invert__ = mathematics.neg, mathematics.positive, mathematics.abs, comparison.bitwise_not
    __iadd__, __isub__ = _operator(arithmetic.add_), _operator(arithmetic.sub_)
    __imul__, __itruediv__ = _operator(arithmetic.mul_), _operator(arithmetic.div_)
    __ifloordiv__, __imod__, __ipow__ = _operator(arithmetic.floor_divide_), _operator(arithmetic.remainder_), _operator(arithmetic.pow_)
    __iand__, __ior__, __ixor__ = _operator(comparison.bitwise_and_), _operator(comparison.bitwise_or_), _operator(comparison.bitwise_xor_)
    __getitem__, __setitem__ = indexing.getitem, assignment.setitem

    # ---- arithmetic

    add, add_, sub, sub_ = arithmetic.add, arithmetic.add_, arithmetic.sub, arithmetic.sub_
    subtract, mul, mul_ = arithmetic.subtract, arithmetic.mul, arithmetic.mul_
    multiply, div, div_, divide = arithmetic.multiply, arithmetic.div, arithmetic.div_, arithmetic.divide
    true_divide, floor_divide = arithmetic.true_divide, arithmetic.floor_divide
    floor_divide_, remainder = arithmetic.floor_divide_, arithmetic.remainder
    remainder_, fmod, fmod_, pow = arithmetic.remainder_, arithmetic.fmod, arithmetic.fmod_, arithmetic.pow
    pow_, maximum, minimum = arithmetic.pow_, arithmetic.maximum, arithmetic.minimum
    clamp, clamp_, clamp_min = arithmetic.clamp, arithmetic.clamp_, arithmetic.clamp_min
    clamp_min_, clamp_max, clamp_max_ = arithmetic.clamp_min_, arithmetic.clamp_max, arithmetic.clamp_max_
    clip, lerp, lerp_, addcmul = arithmetic.clip, arithmetic.lerp, arithmetic.lerp_, arithmetic.addcmul
    addcmul_, addcdiv, addcdiv_ = arithmetic.addcmul_, arithmetic.addcdiv, arithmetic.addcdiv_
    atan2, atan2_, arctan2 = arithmetic.atan2, arithmetic.atan2_, arithmetic.arctan2
    hypot, logaddexp = arithmetic.hypot, arithmetic.logaddexp

    # ---- functions of one operand

    abs, abs_, absolute, neg = mathematics.abs, mathematics.abs_, mathematics.absolute, mathematics.neg
    neg_, negative, positive = mathematics.neg_, mathematics.negative, mathematics.positive
    sign, sign_, square = mathematics.sign, mathematics.sign_, mathematics.square
    square_, sqrt, sqrt_ = mathematics.square_, mathematics.sqrt, mathematics.sqrt_
    rsqrt, rsqrt_, reciprocal = mathematics.rsqrt, mathematics.rsqrt_, mathematics.reciprocal
    reciprocal_, exp, exp_ = mathematics.reciprocal_, mathematics.exp, mathematics.exp_
    exp2, exp2_, expm1, expm1_ = mathematics.exp2, mathematics.exp2_, mathematics.expm1, mathematics.expm1_
    log, log_, log2, log2_ = mathematics.log, mathematics.log_, mathematics.log2, mathematics.log2_
    log10, log10_, log1p = mathematics.log10, mathematics.log10_, mathematics.log1p
    log1p_, sin, sin_, cos = mathematics.log1p_, mathematics.sin, mathematics.sin_, mathematics.cos
    cos_, tan, tan_, asin = mathematics.cos_, mathematics.tan, mathematics.tan_, mathematics.asin
    asin_, acos, acos_, atan = mathematics.asin_, mathematics.acos, mathematics.acos_, mathematics.atan
    atan_, arcsin, arccos = mathematics.atan_, mathematics.arcsin, mathematics.arccos
    arctan, sinh, sinh_, cosh = mathematics.arctan, mathematics.sinh, mathematics.sinh_, mathematics.cosh
    cosh_, tanh, tanh_, asinh = mathematics.cosh_, mathematics.tanh, mathematics.tanh_, mathematics.asinh
    acosh, atanh, erf, erf_ = mathematics.acosh, mathematics.atanh, mathematics.erf, mathematics.erf_
    erfc, erfc_, sigmoid = mathematics.erfc, mathematics.erfc_, mathematics.sigmoid
    sigmoid_, relu, relu_ = mathematics.sigmoid_, mathematics.relu, mathematics.relu_
    floor, floor_, ceil, ceil_ = mathematics.floor, mathematics.floor_, mathematics.ceil, mathematics.ceil_
    trunc, trunc_, fix, frac = mathematics.trunc, mathematics.trunc_, mathematics.fix, mathematics.frac
    frac_, round, round_ = mathematics.frac_, mathematics.round, mathematics.round_

    # ---- comparison, logic, bits

    eq, eq_, ne, ne_, lt = comparison.eq, comparison.eq_, comparison.ne, comparison.ne_, comparison.lt
    lt_, le, le_, gt, gt_ = comparison.lt_, comparison.le, comparison.le_, comparison.gt, comparison.gt_
    ge, ge_, not_equal, less = comparison.ge, comparison.ge_, comparison.not_equal, comparison.less
    less_equal, greater, greater_equal = comparison.less_equal, comparison.greater, comparison.greater_equal
    isnan, isinf, isfinite = comparison.isnan, comparison.isinf, comparison.isfinite
    isclose, allclose, equal = comparison.isclose, comparison.allclose, comparison.equal
    logical_and, logical_and_ = comparison.logical_and, comparison.logical_and_
    logical_or, logical_or_ = comparison.logical_or, comparison.logical_or_
    logical_xor, logical_xor_ = comparison.logical_xor, comparison.logical_xor_
    logical_not, logical_not_ = comparison.logical_not, comparison.logical_not_
    bitwise_and, bitwise_and_ = comparison.bitwise_and, comparison.bitwise_and_
    bitwise_or, bitwise_or_ = comparison.bitwise_or, comparison.bitwise_or_
    bitwise_xor, bitwise_xor_ = comparison.bitwise_xor, comparison.bitwise_xor_
    bitwise_not, bitwise_not_ = comparison.bitwise_not, comparison.bitwise_not_
    bitwise_left_shift, bitwise_right_shift = comparison.bitwise_left_shift, comparison.bitwise_right_shift

    # ---- reductions

    sum, nansum, prod, mean = reduction.sum, reduction.nansum, reduction.prod, reduction.mean
    any, all, count_nonzero = reduction.any, reduction.all, reduction.count_nonzero
    cumsum = reduction.cumsum
    var, std, norm, logsumexp = statistics.var, statistics.std, statistics.norm, statistics.logsumexp
    max, min, amax, amin, argmax = extrema.max, extrema.min, extrema.amax, extrema.amin, extrema.argmax
    argmin = extrema.argmin

    # ---- views

    reshape, view_as, flatten = movement.reshape, movement.view_as, movement.flatten
    unflatten, squeeze, unsqueeze = movement.unflatten, movement.squeeze, movement.unsqueeze
    permute, transpose, t, movedim = movement.permute, movement.transpose, movement.t, movement.movedim
    expand, expand_as, broadcast_to = movement.expand, movement.expand_as, movement.broadcast_to
    repeat, tile, repeat_interleave = movement.repeat, movement.tile, movement.repeat_interleave
    flip, roll = movement.flip, movement.roll
    split, chunk, unbind = joining.split, joining.chunk, joining.unbind

    # ---- selection

    masked_fill, masked_fill_ = selection.masked_fill, selection.masked_fill_
    gather, scatter, scatter_ = selection.gather, selection.scatter, selection.scatter_
    scatter_add, scatter_add_ = selection.scatter_add, selection.scatter_add_
    index_select, index_add, index_add_ = selection.index_select, selection.index_add, selection.index_add_
    index_copy, index_copy_, index_put = selection.index_copy, selection.index_copy_, selection.index_put
    index_put_, take_along_dim, narrow = selection.index_put_, selection.take_along_dim, selection.narrow
    select, unfold, tril, tril_ = selection.select, selection.unfold, selection.tril, selection.tril_
    triu, triu_, diagonal, diag = selection.triu, selection.triu_, selection.diagonal, selection.diag
    nonzero, masked_select = indexing.nonzero, indexing.masked_select

    # ---- softmax

    softmax, log_softmax = softmaxes.softmax, softmaxes.log_softmax

    # ---- products

    matmul, mm, bmm, mv, dot = linalg.matmul, linalg.mm, linalg.bmm, linalg.mv, linalg.dot
    outer, inner, addmm, baddbmm = linalg.outer, linalg.inner, linalg.addmm, linalg.baddbmm
    addmv = linalg.addmv

    # ---- random and constant values

    uniform_, normal_, bernoulli = random.uniform_, random.normal_, random.bernoulli
    bernoulli_, random_, multinomial = random.bernoulli_, random.random_, random.multinomial
    copy_, fill_, zero_ = inplace.copy_, inplace.fill_, inplace.zero_

    # ---- dtypes and devices

    to, cpu, cuda, type_as = conversion.to, conversion.cpu, conversion.cuda, conversion.type_as
    view, swapaxes = movement.reshape, movement.transpose
    type = conversion.type_name
    float = conversion.converter(dtypes.float32, "float")
    double = conversion.converter(dtypes.float64, "double")
    half = conversion.converter(dtypes.float16, "half")
    bfloat16 = conversion.converter(dtypes.bfloat16, "bfloat16")
    long = conversion.converter(dtypes.int64, "long")
    int = conversion.converter(dtypes.int32, "int")
    short = conversion.converter(dtypes.int16, "short")
    char = conversion.converter(dtypes.int8, "char")
    byte = conversion.converter(dtypes.uint8, "byte")
    bool = conversion.converter(dtypes.bool_, "bool")

def _rebuilt(kind: type[Tensor], elements: numpy.ndarray[Any, Any], dtype: DType, requires_grad: bool, attributes: dict[str, Any]) -> Tensor:
    """A tensor from its pickled parts."""
    made = object.__new__(kind)
    made._set(Cell(ops.buffer(runtime.from_host(elements, dtype, canonical(None)))), requires_grad)
    made.__dict__.update(attributes)
    return made


Handle.tensor_class = Tensor
