"""Views, joining and splitting against torch."""

import numpy
import pytest

import lazygrad as lg
from unit.tensor.against_torch import agree, numbers

VIEWS = {
    "reshape": lambda lib, x: x.reshape(4, 6),
    "reshape inferred": lambda lib, x: x.reshape(-1, 2),
    "reshape of a tuple": lambda lib, x: lib.reshape(x, (3, 8)),
    "view": lambda lib, x: x.view(2, 12),
    "view_as": lambda lib, x: x.view_as(x.reshape(24)),
    "flatten": lambda lib, x: x.flatten(),
    "flatten some": lambda lib, x: lib.flatten(x, 1, 2),
    "unflatten": lambda lib, x: x.unflatten(2, (2, -1)),
    "squeeze": lambda lib, x: x.unsqueeze(1).unsqueeze(-1).squeeze(),
    "squeeze one": lambda lib, x: x.unsqueeze(1).unsqueeze(-1).squeeze(1),
    "squeeze nothing": lambda lib, x: x.squeeze(0),
    "unsqueeze": lambda lib, x: x.unsqueeze(-2),
    "permute": lambda lib, x: x.permute(2, 0, 1),
    "permute of a tuple": lambda lib, x: lib.permute(x, (-1, 0, 1)),
    "transpose": lambda lib, x: x.transpose(0, -1),
    "mT": lambda lib, x: x.mT,
    "t": lambda lib, x: x[0].t(),
    "T": lambda lib, x: x[0].T,
    "movedim": lambda lib, x: x.movedim(0, 2),
    "movedim several": lambda lib, x: lib.movedim(x, (0, 1), (2, 0)),
    "expand": lambda lib, x: x[:, :1].expand(2, 5, 4),
    "expand new": lambda lib, x: x[0].expand(3, -1, -1),
    "expand_as": lambda lib, x: x[:1].expand_as(x),
    "broadcast_to": lambda lib, x: lib.broadcast_to(x[0, 0], (3, 4)),
    "repeat": lambda lib, x: x.repeat(2, 1, 3),
    "repeat new": lambda lib, x: x[0].repeat(2, 2, 1),
    "tile": lambda lib, x: x.tile(2),
    "repeat_interleave": lambda lib, x: x.repeat_interleave(2, 1),
    "repeat_interleave flat": lambda lib, x: x.repeat_interleave(3),
    "flip": lambda lib, x: x.flip(0, 2),
    "flip of a tuple": lambda lib, x: lib.flip(x, (1,)),
    "roll": lambda lib, x: x.roll(1, 2),
    "roll back": lambda lib, x: x.roll((-1, 5), (0, 2)),
    "roll flat": lambda lib, x: lib.roll(x, 7),
    "narrow": lambda lib, x: x.narrow(1, 1, 2),
    "select": lambda lib, x: x.select(2, -1),
    "unfold": lambda lib, x: x.unfold(2, 3, 1),
    "diagonal": lambda lib, x: x.diagonal(),
    "diagonal of others": lambda lib, x: x.diagonal(1, 1, 2),
    "diagonal below": lambda lib, x: lib.diagonal(x, -1, -1, 0),
    "diagonal outside": lambda lib, x: x.diagonal(9),
    "diag": lambda lib, x: x[0].diag(),
    "diag above": lambda lib, x: x[0].diag(1),
    "diag of a vector": lambda lib, x: x[0, 0].diag(),
    "diag of a vector, below": lambda lib, x: lib.diag(x[0, 0], -2),
    "diag of a vector, above": lambda lib, x: lib.diag(x[0, 0], 1),
    "tril": lambda lib, x: x.tril(),
    "tril above": lambda lib, x: x.tril(1),
    "triu": lambda lib, x: lib.triu(x, -1),
    "cat": lambda lib, x: lib.cat([x, x * 2, x[:1]], 0),
    "cat last": lambda lib, x: lib.cat((x, x[..., :1]), dim=-1),
    "cat of many": lambda lib, x: lib.cat([x * i for i in range(1, 40)], 1),
    "cat with empty": lambda lib, x: lib.cat([lib.zeros(0, dtype=lib.float64), x]),
    "stack": lambda lib, x: lib.stack([x, x + 1], 1),
    "stack last": lambda lib, x: lib.stack([x, x + 1, x + 2], -1),
    "hstack": lambda lib, x: lib.hstack([x, x]),
    "hstack of vectors": lambda lib, x: lib.hstack([x[0, 0], x[1, 1]]),
    "vstack": lambda lib, x: lib.vstack([x[0, 0], x[1, 1]]),
    "split": lambda lib, x: x.split(3, 2),
    "split sizes": lambda lib, x: lib.split(x, [1, 3], 2),
    "chunk": lambda lib, x: x.chunk(3, 2),
    "chunk few": lambda lib, x: lib.chunk(x, 5),
    "unbind": lambda lib, x: x.unbind(1),
    "iteration": lambda lib, x: list(x),
    "meshgrid": lambda lib, x: lib.meshgrid(x[0, 0], x[0, 1], indexing="ij"),
    "meshgrid xy": lambda lib, x: lib.meshgrid(x[0, 0], x[0, 1, :2], indexing="xy"),
    "broadcast_tensors": lambda lib, x: lib.broadcast_tensors(x, x[0, 0]),
    "contiguous": lambda lib, x: x.transpose(0, 1).contiguous(),
    "clone": lambda lib, x: x.clone(),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views(name):
    agree(VIEWS[name], numbers(2, 3, 4))


def test_cat_promotes():
    agree(lambda lib, x, y: lib.cat([x, y]), numpy.array([1, 2]), numpy.array([0.5], "float32"))


def test_nan_and_negative_zero_stay_in_their_place():
    result = lg.cat([lg.tensor([float("nan"), -0.0]), lg.tensor([1.0, float("inf")])]).numpy()
    assert numpy.isnan(result[0])
    assert numpy.signbit(result[1])
    assert result[2] == 1


def test_a_scalar_has_the_views_of_a_vector():
    x = lg.tensor(3.0)
    assert x.reshape(1).shape == (1,)
    assert x.flatten().shape == (1,)
    assert x.unsqueeze(0).shape == (1,)
    assert x.expand(2, 2).tolist() == [[3.0, 3.0], [3.0, 3.0]]
    assert x.T.shape == ()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x.reshape(5), RuntimeError, r"shape '\[5\]' is invalid for input of size 6"),
        (lambda x: x.reshape(-1, -1), RuntimeError, "only one dimension can be inferred"),
        (lambda x: x.reshape(-1, 4), RuntimeError, "invalid for input of size 6"),
        (lambda x: x.expand(2, 4), RuntimeError, "must match the existing size"),
        (lambda x: x.permute(0, 2), IndexError, "out of range"),
        (lambda x: x.permute(0), RuntimeError, "number of dimensions"),
        (lambda x: lg.cat([x, lg.ones(2, 4)]), RuntimeError, "sizes of tensors must match except in dimension 0"),
        (lambda x: lg.cat([]), RuntimeError, "non-empty"),
        (lambda x: lg.stack([x, x[:1]]), RuntimeError, "equal size"),
        (lambda x: x.split([1, 1], 1), RuntimeError, "sum exactly to 3"),
        (lambda x: x.narrow(0, 1, 2), RuntimeError, "exceeds dimension size"),
        (lambda x: x.unsqueeze(4), IndexError, "out of range"),
        (lambda x: x + lg.ones(4), RuntimeError, r"add: shapes \[2, 3\] and \[4\] cannot be broadcast"),
    ],
)
def test_errors_say_what_was_given(call, error, message):
    with pytest.raises(error, match=message):
        call(lg.ones(2, 3))
