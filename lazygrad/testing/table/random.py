"""Random numbers and sources: the bits are the reference's exactly, on every device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lazygrad import ops
from lazygrad.ir.dtype import DType, int32, int64
from lazygrad.ir.node import Node
from lazygrad.testing.row import ALL, EXACT, FLOATS, SINGLE, Row, Tolerance, case, tensor


def _sourced(build: Callable[..., Node]) -> Callable[..., Any]:
    """A function that makes its result on the device of its first tensor."""

    def function(m: Any, x: Any, **options: Any) -> Any:
        from lazygrad.tensor.handle import wrap

        return wrap(build(x._node.device, **options))

    return function


def _bits(device: str, key: int, call: int, word: int, shape: tuple[int, ...]) -> Node:
    return ops.random_bits(ops.argument(key, int64, device), ops.argument(call, int64, device), shape, word)


def _seeded(draw: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Draws after seeding, twice, so that also the second call's counter is compared."""

    def function(m: Any, x: Any) -> Any:
        m.manual_seed(1234)
        return draw(m, x), draw(m, x)

    return function


_LIKE = case(tensor(33, 9))


def _draw(
    name: str, draw: Callable[[Any, Any], Any], tolerance: Tolerance = EXACT, dtypes: tuple[DType, ...] = SINGLE
) -> Row:
    return Row(
        name=name, function=_seeded(draw), cases=(_LIKE, case(tensor()), case(tensor(0, 3))), dtypes=dtypes,
        tolerance=tolerance, torch=False, gradients=False,
    )  # fmt: skip


ROWS: tuple[Row, ...] = (
    Row(
        name="random_bits", function=_sourced(_bits), torch=False, dtypes=(int32,), tolerance=EXACT, gradients=False,
        cases=tuple(
            case(tensor(), key=key, call=call, word=word, shape=shape)
            for key, call in ((0, 0), (1, 2), (-1, 2**40 + 3), (2**63 - 1, -(2**63)))
            for word, shape in ((0, (33,)), (1, (7, 9)), (2, ()), (3, (0, 2)), (0, (2, 129)))
        ),
    ),
    _draw("rand", lambda m, x: m.rand_like(x), dtypes=FLOATS),
    _draw("randn", lambda m, x: m.randn_like(x), Tolerance(16, 16), FLOATS),
    _draw("randint", lambda m, x: m.randint(-3, 10, tuple(x.shape), device=x.device)),
    _draw("randperm", lambda m, x: m.randperm(17, device=x.device)),
    _draw("bernoulli", lambda m, x: m.bernoulli(m.full_like(x, 0.3))),
    _draw("dropout", lambda m, x: m.nn.functional.dropout(x, 0.4, training=True), Tolerance(2)),
    Row(name="dropout in evaluation", function=lambda m, x: m.nn.functional.dropout(x, 0.4, training=False),
        cases=(_LIKE,),
        tolerance=EXACT),
    Row(name="arange", function=lambda m, x: (
            m.arange(9, device=x.device), m.arange(2, 17, 3, device=x.device), m.arange(0, 1, 0.125, device=x.device),
            m.arange(5, 0, -2, device=x.device), m.linspace(0, 1, 9, device=x.device)),
        cases=(case(tensor()),), dtypes=SINGLE, tolerance=Tolerance(2), gradients=False),
    Row(name="creation", function=lambda m, x: (
            m.zeros_like(x), m.ones_like(x), m.full_like(x, 2), m.zeros(2, 3, device=x.device),
            m.eye(4, device=x.device),
            m.full((2, 2), 7, device=x.device)),
        cases=(case(tensor(3, 5)), case(tensor(0))), dtypes=ALL, tolerance=EXACT, gradients=False),
    Row(name="arguments",
        function=_sourced(lambda device, value, dtype: ops.add(ops.argument(value, dtype, device), 1)),
        cases=(case(tensor(), value=3, dtype=int64), case(tensor(), value=-7, dtype=int32)), dtypes=SINGLE,
        tolerance=EXACT,
        torch=False, gradients=False),
)  # fmt: skip
