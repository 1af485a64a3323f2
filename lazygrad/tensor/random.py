"""Generators of random numbers: a 64-bit seed and a count of calls, of which each takes the next number.

The numbers are a pure function of (seed, call, element), the same on every backend and in any order of
evaluation (Philox, see ``lazygrad.ops.random``). The call's number is bound when the call is made, and
reaches kernels as an argument: a loop that draws new numbers compiles nothing new. Here a call becomes a node;
``sampling`` has torch's functions.
"""

from __future__ import annotations

import math
from functools import partial
from threading import RLock

from lazygrad import ops
from lazygrad.ir.dtype import DType, accumulator, float32, float64, int64
from lazygrad.ir.node import Node
from lazygrad.ir.shape import Shape
from lazygrad.runtime import forking
from lazygrad.tensor.devices import DeviceLike
from lazygrad.tensor.recording import RECORDING, effect

# The seed of a generator that nobody seeded; torch's.
DEFAULT_SEED = 67280421310721
# One for all generators: it is held for a few statements only, and generators stay what can be copied and pickled.
_lock = RLock()
forking.hold(_lock)


class Generator:
    """A stream of random numbers of its own. ``device`` is admitted: a generator serves all devices.

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
        self.set_state((int(seed), 0))
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
        with _lock:
            return self._seed, self._calls

    def set_state(self, state: tuple[int, int]) -> None:
        """Goes on where ``get_state`` was called."""

        def start(seed: int, calls: int) -> None:
            with _lock:
                self._seed, self._calls, self._keys = seed & (2**64 - 1), calls, {}

        before = self.get_state()
        effect(lambda: start(*state), lambda: start(*before))

    def next_call(self, device: str) -> tuple[Node, Node]:
        """The argument nodes of the key and of the next call's number."""
        recorder = RECORDING.recorder
        if recorder is not None:
            key, call = ops.argument(0, int64, device), ops.argument(0, int64, device)
            effect(self.take, partial(setattr, self, "_calls", self._calls))
            recorder.number(key, lambda: _signed(self._seed))
            recorder.number(call, lambda: _signed(self._calls - 1))
            return key, call
        with _lock:
            known = self._keys.get(device)
            if known is None:
                known = self._keys[device] = ops.argument(_signed(self._seed), int64, device)
            return known, ops.argument(_signed(self.take()), int64, device)

    def take(self) -> int:
        """The next call's number, which no other thread gets."""
        with _lock:
            taken = self._calls
            self._calls = taken + 1
            return taken


def _signed(value: int) -> int:
    """The int64 with the bits of an unsigned 64-bit number."""
    return value - 2**64 if value >= 2**63 else value


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Restarts the default generator with ``seed``: what follows is the same in every run.

    >>> import lazygrad as lg
    >>> _ = lg.manual_seed(0)
    >>> a = lg.rand(3)
    >>> _ = lg.manual_seed(0)
    >>> lg.equal(a, lg.rand(3))
    True
    """
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
    """Puts the default generator into a state that ``get_rng_state`` gave.

    >>> import lazygrad as lg
    >>> state = lg.get_rng_state()
    >>> a = lg.rand(3)
    >>> lg.set_rng_state(state)
    >>> lg.equal(a, lg.rand(3))
    True
    """
    default_generator.set_state(new_state)


# As many random bits as the fraction of each dtype holds, so that rounding never reaches 1.
_UNIFORM_BITS = {"float16": 11, "bfloat16": 8, "float32": 24}


def uniform_node(shape: Shape, dtype: DType, device: str, generator: Generator | None) -> Node:
    """Evenly distributed in [0, 1)."""
    return _uniform((generator or default_generator).next_call(device), shape, dtype, 0)


def _uniform(call: tuple[Node, Node], shape: Shape, dtype: DType, word: int) -> Node:
    """Of the call's four words of random bits an element, those from ``word`` on."""
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
