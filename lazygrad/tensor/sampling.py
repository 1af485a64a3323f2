"""Random tensors: new ones, and existing ones bound to random numbers. All take a generator, or the default one.

In: a shape or a tensor, and the distribution's parameters. Out: a lazy tensor without history.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy

from lazygrad import ops, runtime
from lazygrad.ir.dtype import DType, float32, float64, int64
from lazygrad.tensor.devices import DeviceLike, canonical
from lazygrad.tensor.handle import leaf_tensor, wrap
from lazygrad.tensor.inplace import filled
from lazygrad.tensor.operands import as_shape, cast
from lazygrad.tensor.random import Generator, default_generator, integer_node, normal_node, uniform_node
from lazygrad.tensor.recording import refuse

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


def rand(
    *size: int | Sequence[int],
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random numbers, evenly distributed in [0, 1).

    >>> import lazygrad as lg
    >>> x = lg.rand(1000)
    >>> bool((x >= 0).all() and (x < 1).all())
    True
    """
    node = uniform_node(as_shape(size), _float_dtype(dtype), canonical(device), generator)
    return leaf_tensor(node, requires_grad)


def randn(
    *size: int | Sequence[int],
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random numbers, normally distributed with mean 0 and deviation 1.

    >>> import lazygrad as lg
    >>> lg.randn(2, 3).shape
    lazygrad.Size([2, 3])
    """
    node = normal_node(as_shape(size), _float_dtype(dtype), canonical(device), generator)
    return leaf_tensor(node, requires_grad)


def _float_dtype(dtype: DType | None) -> DType:
    if dtype is not None and not dtype.is_float:
        raise RuntimeError(f"random numbers between integers need a floating point dtype, got {dtype.name}")
    return dtype or float32


def randint(
    low: int,
    high: int | Sequence[int] | None = None,
    size: Sequence[int] | None = None,
    *,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random integers below ``high``: ``randint(high, size)`` or ``randint(low, high, size)``.

    >>> import lazygrad as lg
    >>> x = lg.randint(3, 6, (1000,))
    >>> x.min(), x.max()
    (tensor(3), tensor(5))
    """
    if not isinstance(high, int):
        size = size if high is None else high
        low, high = 0, low
    if size is None:
        raise TypeError("randint: give randint(high, size) or randint(low, high, size)")
    node = integer_node(low, high, as_shape((tuple(size),)), canonical(device), generator)
    return leaf_tensor(cast(node, dtype or int64), requires_grad)


def rand_like(
    input: Tensor, *, dtype: DType | None = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """``rand`` with the shape, and unless given the dtype and device, of ``input``."""
    like = input._cell.node
    return rand(like.shape, dtype=dtype or like.dtype, device=device or like.device, requires_grad=requires_grad)


def randn_like(
    input: Tensor, *, dtype: DType | None = None, device: DeviceLike = None, requires_grad: bool = False
) -> Tensor:
    """``randn`` with the shape, and unless given the dtype and device, of ``input``."""
    like = input._cell.node
    return randn(like.shape, dtype=dtype or like.dtype, device=device or like.device, requires_grad=requires_grad)


def randint_like(
    input: Tensor, low: int, high: int | None = None, *, dtype: DType | None = None, device: DeviceLike = None
) -> Tensor:
    """``randint`` with the shape, and unless given the dtype and device, of ``input``."""
    like = input._cell.node
    if high is None:
        low, high = 0, low
    return randint(low, high, like.shape, dtype=dtype or like.dtype, device=device or like.device)


def normal(
    mean: float | Tensor,
    std: float | Tensor = 1.0,
    size: Sequence[int] | None = None,
    *,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: DeviceLike = None,
) -> Tensor:
    """Normally distributed random numbers; mean and deviation are tensors, or numbers beside a size.

    >>> import lazygrad as lg
    >>> lg.normal(10.0, 0.001, (2,)).round()
    tensor([10., 10.])
    """
    if size is None:
        for like in (mean, std):
            if not isinstance(like, (int, float)):
                size, device, dtype = like.shape, like._cell.node.device, like._cell.node.dtype
    if size is None:
        raise TypeError("normal: needs a size, or mean or std as a tensor")
    return randn(size, generator=generator, dtype=dtype, device=device) * std + mean


def randperm(n: int, *, generator: Generator | None = None, dtype: DType = int64, device: DeviceLike = None) -> Tensor:
    """The integers from 0 to n - 1 in random order.

    Drawn on the host from the generator's seed and call number: an order is index data, made before a step
    and not in it.

    >>> import lazygrad as lg
    >>> lg.equal(lg.zeros(5).scatter(0, lg.randperm(5), 1.0), lg.ones(5))
    True
    """
    refuse("draw a permutation (it is drawn on the host)")
    source = generator or default_generator
    order = numpy.random.Generator(numpy.random.Philox(key=source.initial_seed(), counter=source.take())).permutation(n)
    return leaf_tensor(ops.buffer(runtime.from_host(order, dtype, canonical(device))))


def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each element of ``input`` gives (or ``p``), else 0.

    >>> import lazygrad as lg
    >>> lg.tensor([0.0, 1.0]).bernoulli()
    tensor([0., 1.])
    """
    x = input._enter()
    uniform = uniform_node(x.shape, float32 if x.dtype is not float64 else float64, x.device, generator)
    chance: Any = p if p is not None else ops.detach(cast(x, uniform.dtype))
    return wrap(cast(ops.lt(uniform, chance), x.dtype))


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Positions drawn with probabilities proportional to ``input`` (*, m): int64 (*, num_samples).

    Only ``replacement=True``, or one sample: each is the number of running sums that a uniform number passes.

    >>> import lazygrad as lg
    >>> lg.multinomial(lg.tensor([0.0, 1.0, 0.0]), 2, replacement=True)
    tensor([1, 1])
    """
    if not replacement and num_samples > 1:
        raise RuntimeError("multinomial: several samples need replacement=True here")
    chances = input.detach()
    running = chances.cumsum(-1)
    total = running.narrow(-1, running.shape[-1] - 1, 1)
    shape = (*chances.shape[:-1], num_samples)
    drawn = rand(shape, generator=generator, dtype=running.dtype, device=running.device) * total
    passed = (drawn.unsqueeze(-1) >= running.unsqueeze(-2)).sum(-1)
    return passed.clamp(max=chances.shape[-1] - 1)


def uniform_(self: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Binds this tensor to random numbers, evenly distributed in [a, b).

    >>> import lazygrad as lg
    >>> x = lg.zeros(1000).uniform_(-1, 1)
    >>> bool((x >= -1).all() and (x < 1).all())
    True
    """
    x = self._cell.node
    drawn = uniform_node(x.shape, _float_dtype(x.dtype), x.device, generator)
    return filled(self, ops.add(ops.mul(drawn, b - a), a) if (a, b) != (0.0, 1.0) else drawn)


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Binds this tensor to normally distributed random numbers."""
    x = self._cell.node
    drawn = normal_node(x.shape, _float_dtype(x.dtype), x.device, generator)
    drawn = drawn if std == 1 else ops.mul(drawn, std)
    return filled(self, drawn if mean == 0 else ops.add(drawn, mean))


def bernoulli_(self: Tensor, p: float = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Binds this tensor to 1 with probability ``p``, else 0."""
    x = self._cell.node
    return filled(self, cast(ops.lt(uniform_node(x.shape, float32, x.device, generator), p), x.dtype))


def random_(self: Tensor, low: int = 0, high: int | None = None, *, generator: Generator | None = None) -> Tensor:
    """Binds this tensor to random integers from ``low`` to ``high - 1``; ``random_(high)`` counts from 0."""
    x = self._cell.node
    if high is None:
        # Without bounds: all integers that the dtype holds exactly.
        digits = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}.get(x.dtype.name, x.dtype.bits - 1)
        low, high = (0, low) if low else (0, 2**digits)
    return filled(self, cast(integer_node(low, high, x.shape, x.device, generator), x.dtype))
