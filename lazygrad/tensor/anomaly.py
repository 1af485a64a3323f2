"""Anomaly detection: which operation made the first NaN or infinity, and in which line of the user's program.

In: the roots of a forward and a gradient graph. Every node is computed for itself and looked at on the host,
so this is slow and for debugging only.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy

from lazygrad import runtime
from lazygrad.ir.node import Node, all_inputs, topological
from lazygrad.ir.op import Family
from lazygrad.ops.identity import DETACH, LEAF
from lazygrad.ops.recomputation import CHECKPOINT

_enabled = False


def is_enabled() -> bool:
    """Whether ``backward`` and ``grad`` check what they compute."""
    return _enabled


class set_detect_anomaly:  # noqa: N801, torch's name
    """Switches anomaly detection on or off; as a context manager it restores the old value at the end.

    Args:
        mode: whether to detect.
        check_nan: admitted for torch's sake; False switches detection off.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        global _enabled
        self._before = _enabled
        _enabled = mode and check_nan

    def __enter__(self) -> None:
        """Keep the mode that the constructor has set."""

    def __exit__(self, *_: object) -> None:
        global _enabled
        _enabled = self._before


class detect_anomaly(set_detect_anomaly):  # noqa: N801, torch's name
    """A scope with anomaly detection: the first operation that makes a NaN or an infinity is named.

    >>> import lazygrad as lg
    >>> x = lg.tensor([0.0], requires_grad=True)
    >>> with lg.autograd.detect_anomaly():
    ...     (0 / x).sum().backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    RuntimeError: detect_anomaly: div made nan values ...
    """

    def __init__(self, check_nan: bool = True) -> None:
        warnings.warn("Anomaly Detection has been enabled. It computes every value for itself: slow.", stacklevel=2)
        super().__init__(True, check_nan)


def check(roots: Sequence[Node]) -> None:
    """RuntimeError that names the first node which has a NaN, or an infinity, that none of its inputs has."""
    order = [node for node in topological(roots, all_inputs) if node.dtype.is_float]
    computed = [n for n in order if n.op.family is not Family.SOURCE and n.op not in (LEAF, DETACH, CHECKPOINT)]
    runtime.realize([node for node in computed if node.result is None])
    has_nan: dict[Node, bool] = {}
    has_infinity: dict[Node, bool] = {}
    for node in order:
        array = _elements(node)
        if array is None:
            has_nan[node] = any(has_nan.get(i, False) for i in node.inputs)
            has_infinity[node] = any(has_infinity.get(i, False) for i in node.inputs)
            continue
        has_nan[node] = bool(numpy.isnan(array).any())
        has_infinity[node] = bool(numpy.isinf(array).any())
        if has_nan[node] and not any(has_nan.get(i, False) for i in node.inputs):
            _report(node, "nan")
        # Infinities that the user put in, as data or as a mask's constant, are meant.
        if has_infinity[node] and node.inputs and not any(has_infinity.get(i, False) for i in node.inputs):
            _report(node, "infinite")


def _elements(node: Node) -> Any:
    if node.result is not None:
        return runtime.to_host(node.result)
    if node.op.family is Family.SOURCE:
        return node.op.numpy(node) if not node.inputs else None
    return None


def _report(node: Node, kind: str) -> None:
    shapes = ", ".join(str(list(i.shape)) for i in node.inputs)
    inputs = f" from inputs of shape {shapes}" if node.inputs else ", given as data,"
    place = f"; made at {node.place}" if node.place is not None else ""
    raise RuntimeError(f"detect_anomaly: {node.op.name} made {kind} values of shape {list(node.shape)}{inputs}{place}")
