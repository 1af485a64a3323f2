"""Random numbers: distributions, streams, repeatability, and independence of when they are computed."""

import numpy
import pytest

import lazygrad as lg

MANY = 40_000


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_uniform_numbers(dtype):
    lg.manual_seed(0)
    x = lg.rand(MANY, dtype=getattr(lg, dtype)).double().numpy()
    assert x.min() >= 0
    assert x.max() < 1
    assert abs(x.mean() - 0.5) < 0.01
    counts = numpy.histogram(x, 16, (0, 1))[0]
    assert abs(counts / MANY - 1 / 16).max() < 0.006


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_numbers(dtype):
    lg.manual_seed(1)
    x = lg.randn(MANY, dtype=getattr(lg, dtype)).double().numpy()
    assert numpy.isfinite(x).all()
    assert abs(x.mean()) < 0.02
    assert abs(x.std() - 1) < 0.02
    assert abs((x**3).mean()) < 0.06
    assert abs((x**4).mean() - 3) < 0.15
    shifted = lg.normal(3.0, 0.5, (MANY,)).numpy()
    assert abs(shifted.mean() - 3) < 0.02
    assert abs(shifted.std() - 0.5) < 0.02


@pytest.mark.parametrize(("low", "high"), [(0, 10), (-3, 4), (5, 6), (0, 2**40), (-(2**62), 2**62)])
def test_integers(low, high):
    x = lg.randint(low, high, (MANY // 4,)).numpy()
    assert x.min() >= low
    assert x.max() < high
    if high - low < 20:
        assert len(numpy.unique(x)) == high - low
        assert abs(x.mean() - (low + high - 1) / 2) < 0.15
    else:
        assert abs(x.astype(float).mean() / (high - low) - (low + high) / 2 / (high - low)) < 0.02


def test_forms_of_randint():
    assert lg.randint(5, (2, 3)).shape == (2, 3)
    assert lg.randint(2, 5, (4,)).dtype is lg.int64
    assert lg.randint(high=5, low=1, size=(4,), dtype=lg.int32).dtype is lg.int32
    assert lg.randint_like(lg.ones(3), 7).dtype is lg.float32
    with pytest.raises(RuntimeError, match="from=3 >= to=3"):
        lg.randint(3, 3, (2,))
    with pytest.raises(TypeError, match=r"randint\(high, size\)"):
        lg.randint(3)


def test_permutations():
    x = lg.randperm(100)
    assert x.dtype is lg.int64
    assert sorted(x.tolist()) == list(range(100))
    assert x.tolist() != lg.randperm(100).tolist()


def test_chances():
    lg.manual_seed(5)
    assert abs(lg.bernoulli(lg.full((MANY,), 0.3)).mean().item() - 0.3) < 0.02
    assert abs(lg.zeros(MANY).bernoulli_(0.8).mean().item() - 0.8) < 0.02
    drawn = lg.multinomial(lg.tensor([1.0, 0.0, 3.0]), 4000, replacement=True).numpy()
    assert set(drawn.tolist()) == {0, 2}
    assert abs((drawn == 2).mean() - 0.75) < 0.03
    assert lg.multinomial(lg.ones(5, 4), 1).shape == (5, 1)
    with pytest.raises(RuntimeError, match="replacement=True"):
        lg.multinomial(lg.ones(4), 2)


def test_a_seed_repeats_everything():
    def draw():
        lg.manual_seed(42)
        return [
            lg.rand(3),
            lg.randn(3),
            lg.randint(9, (3,)),
            lg.randperm(9),
            lg.zeros(3).uniform_(),
            lg.zeros(3).normal_(),
        ]

    for one, other in zip(draw(), draw(), strict=True):
        assert one.tolist() == other.tolist()
    lg.manual_seed(43)
    assert lg.rand(3).tolist() != draw()[0].tolist()


def test_numbers_do_not_depend_on_when_they_are_computed():
    lg.manual_seed(7)
    first, second = lg.rand(4), lg.rand(4)
    forwards = (first.tolist(), second.tolist())
    lg.manual_seed(7)
    first, second = lg.rand(4), lg.rand(4)
    assert (second.tolist(), first.tolist())[::-1] == forwards
    again = first + first
    assert again.tolist() == pytest.approx([2 * value for value in forwards[0]])


def test_calls_differ_and_one_tensor_does_not():
    x, y = lg.rand(8), lg.rand(8)
    assert x.tolist() != y.tolist()
    z = lg.rand(8)
    assert (z - z).tolist() == [0] * 8


def test_generators():
    one, other = lg.Generator().manual_seed(3), lg.Generator().manual_seed(3)
    assert lg.rand(4, generator=one).tolist() == lg.rand(4, generator=other).tolist()
    state = one.get_state()
    expected = lg.randn(4, generator=one).tolist()
    one.set_state(state)
    assert lg.randn(4, generator=one).tolist() == expected
    assert one.initial_seed() == 3
    assert one.manual_seed(2**64 - 1).initial_seed() == 2**64 - 1
    assert lg.rand(2, generator=one).shape == (2,)


def test_state_of_the_default_generator():
    lg.manual_seed(11)
    state = lg.get_rng_state()
    expected = lg.rand(3).tolist()
    lg.set_rng_state(state)
    assert lg.rand(3).tolist() == expected
    assert lg.initial_seed() == 11


def test_filling_in_place():
    x = lg.zeros(MANY)
    x.uniform_(-2, 2)
    assert abs(x.mean().item()) < 0.05
    assert x.min().item() >= -2
    x.normal_(1, 2)
    assert abs(x.std().item() - 2) < 0.05
    y = lg.zeros(100, dtype=lg.int64).random_(5)
    assert set(y.tolist()) <= set(range(5))
    assert lg.zeros(100, dtype=lg.int64).random_(3, 5).min().item() >= 3


def test_like():
    x = lg.ones(2, 3, dtype=lg.float64)
    for made in (lg.rand_like(x), lg.randn_like(x)):
        assert made.shape == x.shape
        assert made.dtype is lg.float64
    assert lg.rand_like(x, dtype=lg.float32).dtype is lg.float32
    with pytest.raises(RuntimeError, match="floating point dtype"):
        lg.rand(2, dtype=lg.int64)


def test_a_generators_key_is_one_argument():
    x, y = lg.rand(2)._node, lg.rand(2)._node

    def key(node):
        while node.op.name != "random_bits":
            node = node.inputs[0]
        return node.inputs

    assert key(x)[0] is key(y)[0]
    assert key(x)[1] is not key(y)[1]
