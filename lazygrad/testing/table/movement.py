"""Movement: every view, views of views, and what joins and cuts tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lazygrad import ops
from lazygrad.ir.dtype import bfloat16, bool_, float32, int64
from lazygrad.ir.node import Node
from lazygrad.ops.movement import Padding, Range, Window
from lazygrad.testing.row import EXACT, FLOATS, SINGLE, SUMMED, Row, case, mask, tensor


def primitive(build: Callable[..., Node]) -> Callable[..., Any]:
    """A function of tensors from one of nodes, for primitives that torch has no function for."""
    from lazygrad.tensor.handle import wrap

    return lambda m, *tensors, **options: wrap(build(*(t._enter() for t in tensors), **options), *tensors)


# Movement does not look at elements: one dtype of each width, and those that are stored otherwise than computed.
MOVED = (bool_, bfloat16, float32, int64)


def _moving(name: str, function: Callable[..., Any], *cases: Any, **fields: Any) -> Row:
    fields.setdefault("dtypes", MOVED)
    return Row(name=name, function=function, cases=cases, tolerance=EXACT, **fields)


_X = tensor(3, 4, 5)
ROWS: tuple[Row, ...] = (
    _moving(
        "reshape", lambda m, x, shape: x.reshape(shape),
        case(_X, shape=(12, 5)), case(_X, shape=(5, 4, 3)), case(_X, shape=(-1,)), case(tensor(), shape=(1, 1)),
        case(tensor(1), shape=()), case(tensor(0, 3), shape=(3, 0)), case(tensor(2, 3, 1), shape=(1, 6)),
        case(tensor(4, 6, look=lambda m, x: x.permute(1, 0)), shape=(4, 6)),
    ),
    _moving(
        "permute", lambda m, x, axes: x.permute(axes),
        case(_X, axes=(2, 0, 1)), case(_X, axes=(0, 2, 1)), case(_X, axes=(2, 1, 0)), case(tensor(7, 9), axes=(1, 0)),
        case(tensor(0, 3), axes=(1, 0)), case(tensor(33, 17), axes=(1, 0)),
    ),
    _moving("transpose", lambda m, x: (x.transpose(0, 2), x.transpose(-1, -2), x[0].T, x.mT), case(_X)),
    _moving(
        "expand", lambda m, x, shape: x.expand(shape),
        case(tensor(1, 5), shape=(4, 5)), case(tensor(5), shape=(3, 5)), case(tensor(), shape=(2, 2)),
        case(tensor(3, 1), shape=(2, 3, 4)), case(tensor(3, 1), shape=(-1, 7)), case(tensor(1), shape=(0,)),
    ),
    _moving("broadcast_to", lambda m, x: m.broadcast_to(x, (3, 4, 5)), case(tensor(4, 1))),
    _moving("squeeze and unsqueeze", lambda m, x: (x.squeeze(), x.squeeze(0), x.unsqueeze(-1), x.unsqueeze(1)),
            case(tensor(1, 4, 1))),
    _moving("flatten", lambda m, x: (x.flatten(), x.flatten(1), m.flatten(x, 0, 1)), case(_X)),
    _moving(
        "pad", lambda m, x, pad, value: m.nn.functional.pad(x, pad, value=value),
        case(tensor(3, 5), pad=(1, 2), value=0.0), case(tensor(3, 5), pad=(0, 1, 2, 0), value=1.0),
        case(tensor(3, 5), pad=(-1, 2), value=0.0), case(tensor(4), pad=(0, 0), value=0.0), dtypes=FLOATS,
    ),
    _moving(
        "after", primitive(lambda x, first: ops.after(x, ops.sum_(first, (0,)))),
        case(_X, tensor(7)), case(tensor(4, 6, look=lambda m, x: x.permute(1, 0)), tensor(3)),
        case(tensor(0), tensor(2)), torch=False, dtypes=FLOATS,
    ),
    _moving(
        "pad between", primitive(lambda x, paddings: ops.pad(x, paddings)),
        case(tensor(5), paddings=(Padding(0, 0, 1),)),
        case(tensor(3, 4), paddings=(Padding(1, 2, 2), Padding(0, 1, 0))),
        case(tensor(4), paddings=(Padding(-1, 3, 1),)),
        case(tensor(1, 0), paddings=(Padding(1, 1, 3), Padding(2, 0, 1))),
        torch=False,
    ),
    _moving(
        "slice", lambda m, x: (x[1:3], x[:, ::2], x[-2:, 1:-1], x[..., 2], x[0, 1], x[3:1], x[:, -1:]),
        case(tensor(5, 7)), case(tensor(4, 9, look=lambda m, x: x.permute(1, 0))),
    ),
    _moving("slice of everything", primitive(lambda x: ops.slice_(x, (Range(1, 8, 3), Range(0, 5, 4)))),
            case(tensor(9, 5)), torch=False),
    _moving("flip", lambda m, x, axes: x.flip(axes), case(_X, axes=(0,)), case(_X, axes=(1, 2)),
        case(_X, axes=(0, 1, 2))),
    _moving(
        "windows", primitive(lambda x, windows: ops.windows(x, windows)),
        case(tensor(9), windows=(Window(0, 3),)), case(tensor(9), windows=(Window(0, 3, 2),)),
        case(tensor(17), windows=(Window(0, 3, 2, 3),)), case(tensor(9), windows=(Window(0, 3, 3),)),
        case(tensor(2, 7, 8), windows=(Window(1, 3, 1, 2), Window(2, 2, 2))),
        case(tensor(8), windows=(Window(0, 1, 3),)),
        case(tensor(2, 5), windows=(Window(1, 5),)), torch=False,
    ),
    _moving("unfold", lambda m, x: (x.unfold(0, 3, 2), x.unfold(1, 2, 1)), case(tensor(9, 4))),
    _moving(
        "cat", lambda m, x, y, dim: m.cat([x, y, x], dim),
        case(tensor(3, 4), tensor(3, 4), dim=0), case(tensor(3, 4), tensor(3, 2), dim=1),
        case(tensor(2, 3, 5), tensor(2, 1, 5), dim=-2), case(tensor(0, 4), tensor(3, 4), dim=0),
    ),
    _moving("stack", lambda m, x, y: (m.stack([x, y]), m.stack([x, y], 1), m.stack([x, y, x], -1)),
            case(tensor(3, 4), tensor(3, 4)), case(tensor(1), tensor(1))),
    _moving("split and chunk", lambda m, x: (*x.split(2), *x.split([1, 4], 0), *x.chunk(3, 1)), case(tensor(5, 7))),
    _moving("repeat and tile", lambda m, x: (x.repeat(2, 3), m.tile(x, (2,))), case(tensor(3, 4)), case(tensor(5))),
    _moving("roll", lambda m, x: (m.roll(x, 2, 0), m.roll(x, (1, -1), (0, 1))), case(tensor(5, 4))),
    _moving("triangles", lambda m, x: (m.tril(x), m.triu(x), m.tril(x, 1), m.triu(x, -1)), case(tensor(5, 7))),
    _moving(
        "views of views",
        lambda m, x: x.permute(2, 0, 1)[1:].flip(0).reshape(4, -1)[:, ::3].unsqueeze(1).expand(-1, 2, -1) * 1,
        case(_X), dtypes=FLOATS,
    ),
    Row(
        name="views of what is computed", dtypes=SINGLE, tolerance=SUMMED, cases=(case(tensor(6, 5)),),
        function=lambda m, x: ((x * 2).permute(1, 0).reshape(-1)[3:] + 1, (x + 1)[::2].sum(1), (x - 1).T @ x),
    ),
    _moving("where over views", lambda m, c, x: m.where(c.T, x.flip(0), x[:, :1]), case(mask(5, 4), tensor(4, 5))),
)  # fmt: skip
