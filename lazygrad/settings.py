"""Settings of the whole process that say how exactly and how repeatably operations compute.

In: what the user sets. Out: what an operation is bound to when it is called; a later change does not touch graphs
that exist. The functions have torch's names and meanings.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar, get_args

Precision = Literal["highest", "high", "medium"]
T = TypeVar("T")


class Bound(NamedTuple):
    """What operations are bound to when they are called."""

    matmul_precision: Precision = "highest"
    deterministic: bool = False


_DEFAULT = Bound()


@dataclass
class _Settings:
    bound: Bound = _DEFAULT
    warn_only: bool = False


_SETTINGS = _Settings()


class _Thread(threading.local):
    """The settings that a thread's operations are bound to instead of those of the process."""

    bound: Bound | None = None


_THREAD = _Thread()


def bound() -> Bound:
    """What an operation that is called now is bound to."""
    return _THREAD.bound or _SETTINGS.bound


def under(settings: Bound, function: Callable[[], T]) -> T:
    """What ``function`` returns, with its operations bound to these settings: those of when it was put off."""
    outer, _THREAD.bound = _THREAD.bound, settings
    try:
        return function()
    finally:
        _THREAD.bound = outer


def set_float32_matmul_precision(precision: Precision) -> None:
    """Sets how exactly devices with such units multiply float32 in matrix products, convolutions and attention.

    A product is bound to the setting when it is called, and so are the products of its gradient. Sums are
    accumulated in float32 in any case. Devices without such units (NumPy, OpenCL) always compute in float32,
    which is at least as exact as asked for.

    Args:
        precision: "highest" multiplies float32; "high" rounds operands to TensorFloat32 (10 bits of mantissa);
            "medium" rounds them to bfloat16 (7 bits).

    Raises:
        RuntimeError: there is no such precision.

    >>> import lazygrad as lg
    >>> lg.set_float32_matmul_precision("high")
    >>> lg.get_float32_matmul_precision()
    'high'
    >>> lg.set_float32_matmul_precision("highest")
    """
    if precision not in get_args(Precision):
        raise RuntimeError(
            f"set_float32_matmul_precision: expected {', '.join(map(repr, get_args(Precision)))}, got {precision!r}"
        )
    _SETTINGS.bound = _SETTINGS.bound._replace(matmul_precision=precision)


def get_float32_matmul_precision() -> Precision:
    """What ``set_float32_matmul_precision`` was given last: "highest" unless it was called."""
    return bound().matmul_precision


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Sets whether every operation must give the same bits each time it is run.

    Off, additions to one element of a tensor (``scatter_add``, ``index_add``, ``index_put`` with ``accumulate``,
    and the gradients of ``gather``, ``index_select``, indexing and ``embedding``) may happen in any order on
    devices that add atomically; sums of floats then differ in their last bits from run to run. On, they are
    added in the order of the indices. All other operations are deterministic in any case. An operation is bound
    to the setting when it is called, those of a gradient when the gradient is built.

    Args:
        mode: whether to be deterministic.
        warn_only: admitted: there is no operation without a deterministic form, so nothing to warn of.

    >>> import lazygrad as lg
    >>> lg.use_deterministic_algorithms(True)
    >>> lg.are_deterministic_algorithms_enabled()
    True
    >>> lg.use_deterministic_algorithms(False)
    """
    _SETTINGS.bound, _SETTINGS.warn_only = _SETTINGS.bound._replace(deterministic=bool(mode)), bool(warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """Whether operations are deterministic now (see ``use_deterministic_algorithms``)."""
    return bound().deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """What ``use_deterministic_algorithms`` was given last as ``warn_only``."""
    return _SETTINGS.warn_only
