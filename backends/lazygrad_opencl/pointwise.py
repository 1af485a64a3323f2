"""What counts as a pointwise body, and its form in which all points are the body's own."""

from __future__ import annotations

from lazygrad.kernel.axes import canonical_axes
from lazygrad.kernel.kernel import Body, Stage


def is_pointwise(body: Body) -> bool:
    """Whether the body only stores, in one stage and any order."""
    if len(body.stages) != 1:
        return False
    (stage,) = body.stages
    return not stage.accumulators and not stage.sequential and all(store.mode == "set" for store in stage.stores)


def pointwise(body: Body) -> Body:
    """The stage's axes made the body's: all points are independent."""
    (stage,) = body.stages
    return canonical_axes(Body((*body.axes, *stage.axes), (Stage((), (), stage.stores),)))
