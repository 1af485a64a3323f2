"""Random numbers: a generator is a 64-bit seed and a count of calls, and each call takes the next number.

The numbers are a pure function of (seed, call, element), the same on every backend and in any order of
evaluation (Philox, see ``lazygrad.ops.random``). The call's number is bound when the call is made, and
reaches kernels as an argument: a loop that draws new numbers compiles nothing new.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy

from lazygrad import ops, runtime
from lazygrad.ir.dtype import DType, accumulator, float32, float64, int64
from lazygrad.ir.node import Node
from lazygrad.ir.shape import Shape
from lazygrad.tensor.creation import leaf_tensor
from lazygrad.tensor.devices import DeviceLike, canonical
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.inplace import filled
from lazygrad.tensor.operands import as_shape, cast

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor

# The seed of a generator that nobody seeded; torch's.
DEFAULT_SEED = 67280421310721


class Generator:
    """A stream of random numbers of its own.

    >>> import lazygrad as lg
    >>> a = lg.rand(2, generator=Generator().manual_seed(1))
    >>> b = lg.rand(2, generator=Generator().manual_seed(1))
    >>> lg.equal(a, b)
    True
    """

    def __init__(self, device: DeviceLike = None) -> None:
        self._seed = DEFAULT_SEED
        self._calls = 0
        self._keys: dict[str, Node] = {}

    def manual_seed(self, seed: int) -> Generator:
        """Starts the stream that belongs to ``seed`` from its beginning."""
        self._seed = int(seed) & (2**64 - 1)
        self._calls = 0
        self._keys = {}
        return self

    def seed(self) -> int:
        """Takes a seed from the operating system, and returns it."""
        import secrets

        self.manual_seed(secrets.randbits(63))
        return self._seed

    def initial_seed(self) -> int:
        """The seed in use."""
        return self._seed

    def get_state(self) -> tuple[int, int]:
        """Seed and number of calls, for ``set_state``."""
        return self._seed, self._calls

    def set_state(self, state: tuple[int, int]) -> None:
        """Goes on where ``get_state`` was called."""
        self.manual_seed(state[0])
        self._calls = state[1]

    def next_call(self, device: str) -> tuple[Node, Node]:
        """The argument nodes of the key and of the next call's number."""
        key = self._keys.get(device)
        if key is None:
            key = self._keys[device] = ops.argument(_signed(self._seed), int64, device)
        return key, ops.argument(_signed(self.take()), int64, device)

    def take(self) -> int:
        """The next call's number."""
        self._calls += 1
        return self._calls - 1


def _signed(value: int) -> int:
    """The int64 with the bits of an unsigned 64-bit number."""
    return value - 2**64 if value >= 2**63 else value


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Restarts the default generator with ``seed``: what follows is the same in every run."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Restarts the default generator with a seed that nobody can foresee, and returns it."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> tuple[int, int]:
    """The state of the default generator."""
    return default_generator.get_state()


def set_rng_state(new_state: tuple[int, int]) -> None:
    """Puts the default generator into a state that ``get_rng_state`` gave."""
    default_generator.set_state(new_state)


# As many random bits as the fraction of each dtype holds, so that rounding never reaches 1.
_UNIFORM_BITS = {"float16": 11, "bfloat16": 8, "float32": 24}


def uniform_node(shape: Shape, dtype: DType, device: str, generator: Generator | None, word: int = 0) -> Node:
    """Evenly distributed in [0, 1)."""
    return _uniform((generator or default_generator).next_call(device), shape, dtype, word)


def _uniform(call: tuple[Node, Node], shape: Shape, dtype: DType, word: int) -> Node:
    first = ops.random_bits(*call, shape, word)
    if dtype is float64:
        # 27 and 26 bits of two words make the 53 bits of a double's fraction.
        high = ops.cast(ops.bitwise_and(ops.shift_right(first, 5), 2**27 - 1), float64)
        low = ops.cast(ops.bitwise_and(ops.shift_right(ops.random_bits(*call, shape, word + 1), 6), 2**26 - 1), float64)
        return ops.mul(ops.add(ops.mul(high, float(2**26)), low), 2.0**-53)
    bits = _UNIFORM_BITS[dtype.name]
    whole = ops.bitwise_and(ops.shift_right(first, 32 - bits), 2**bits - 1)
    return ops.cast(ops.mul(ops.cast(whole, float32), 2.0**-bits), dtype)


def normal_node(shape: Shape, dtype: DType, device: str, generator: Generator | None) -> Node:
    """Normally distributed with mean 0 and deviation 1 (Box and Muller's transform)."""
    call = (generator or default_generator).next_call(device)
    wide = accumulator(dtype)
    # 1 - u lies in (0, 1], where the logarithm is finite.
    radius = ops.sqrt(ops.mul(ops.log(ops.sub(1.0, _uniform(call, shape, wide, 0))), -2.0))
    angle = ops.mul(_uniform(call, shape, wide, 2 if wide is float64 else 1), 2 * math.pi)
    return ops.cast(ops.mul(radius, ops.cos(angle)), dtype)


def integer_node(low: int, high: int, shape: Shape, device: str, generator: Generator | None) -> Node:
    """Integers (int64) evenly from low, low + 1, ..., high - 1."""
    count = high - low
    if count <= 0:
        raise RuntimeError(f"randint: expects 'from' to be less than 'to', but got from={low} >= to={high}")
    call = (generator or default_generator).next_call(device)
    first = _unsigned(ops.random_bits(*call, shape, 0))
    if count < 2**31:
        # Multiply and shift: the top 32 bits of bits * count (Lemire 2019); the product fits into 63 bits.
        drawn = ops.shift_right(ops.mul(first, count), 32)
    else:
        second = _unsigned(ops.random_bits(*call, shape, 1))
        wide = ops.bitwise_or(ops.shift_left(ops.bitwise_and(first, 2**31 - 1), 32), second)
        drawn = ops.remainder(wide, count) if count < 2**63 else wide
    return drawn if low == 0 else ops.add(drawn, low)


def _unsigned(bits: Node) -> Node:
    return ops.bitwise_and(ops.cast(bits, int64), 2**32 - 1)


def rand(
    *size: int | Sequence[int],
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random numbers, evenly distributed in [0, 1)."""
    node = uniform_node(as_shape(size), _float_dtype(dtype), canonical(device), generator)
    return leaf_tensor(node, requires_grad)


def randn(
    *size: int | Sequence[int],
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random numbers, normally distributed with mean 0 and deviation 1."""
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
    """Random integers below ``high``: ``randint(high, size)`` or ``randint(low, high, size)``."""
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
    """Normally distributed random numbers; mean and deviation are tensors, or numbers beside a size."""
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
    """
    source = generator or default_generator
    order = numpy.random.Generator(numpy.random.Philox(key=source.initial_seed(), counter=source.take())).permutation(n)
    return leaf_tensor(ops.buffer(runtime.from_host(order, dtype, canonical(device))))


def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each element of ``input`` gives (or ``p``), else 0."""
    x = input._enter()
    uniform = uniform_node(x.shape, float32 if x.dtype is not float64 else float64, x.device, generator)
    chance: Any = p if p is not None else ops.detach(cast(x, uniform.dtype))
    return wrap(cast(ops.lt(uniform, chance), x.dtype))


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Positions drawn with probabilities proportional to ``input`` (*, m): int64 (*, num_samples).

    Only ``replacement=True``, or one sample: each is the number of running sums that a uniform number passes.
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
    """Binds this tensor to random numbers, evenly distributed in [a, b)."""
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
