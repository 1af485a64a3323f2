"""Whether operations are recorded for differentiation: a switch for each thread, and the scopes that set
it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
Scope = TypeVar("Scope", bound="GradScope")


class _Switch(threading.local):
    enabled = True


SWITCH = _Switch()


def is_grad_enabled() -> bool:
    """Whether results of operations on tensors that require grad require grad themselves."""
    return SWITCH.enabled


class GradScope:
    """A scope that sets the switch and restores it: a context manager and a decorator.

    The library's own functions set the switch in ``try ... finally`` where a step may be interrupted: the end of a with
    block is a call, at whose beginning Ctrl-C may strike before the switch is restored.
    """

    def __init__(self, mode: bool) -> None:
        self.mode = mode
        self._outer: list[bool] = []

    def __enter__(self: Scope) -> Scope:
        self._outer.append(SWITCH.enabled)
        SWITCH.enabled = self.mode
        return self

    def __exit__(self, *_: object) -> None:
        SWITCH.enabled = self._outer.pop()

    def __call__(self, function: Function) -> Function:
        """The function, run within such a scope each time it is called."""

        @wraps(function)
        def scoped(*args: Any, **kwargs: Any) -> Any:
            outer, SWITCH.enabled = SWITCH.enabled, self.mode
            try:
                return function(*args, **kwargs)
            finally:
                SWITCH.enabled = outer

        return scoped  # type: ignore[return-value]


class no_grad(GradScope):  # noqa: N801, torch's name
    """Within this scope nothing is recorded; results do not require grad.

    >>> import lazygrad as lg
    >>> x = lg.ones(2, requires_grad=True)
    >>> with lg.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    def __new__(cls, function: Any = None) -> Any:
        """Allow ``@no_grad`` without parentheses."""
        return super().__new__(cls) if function is None else no_grad()(function)

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(GradScope):  # noqa: N801, torch's name
    """Within this scope operations are recorded, also inside ``no_grad``.

    >>> import lazygrad as lg
    >>> x = lg.ones(2, requires_grad=True)
    >>> with lg.no_grad(), lg.enable_grad():
    ...     (x * 2).requires_grad
    True
    """

    def __init__(self) -> None:
        super().__init__(True)


class set_grad_enabled(GradScope):  # noqa: N801, torch's name
    """Sets the switch at once; as a context manager it restores the old value at the end.

    >>> import lazygrad as lg
    >>> x = lg.ones(2, requires_grad=True)
    >>> with lg.set_grad_enabled(False):
    ...     (x * 2).requires_grad
    False
    """

    def __init__(self, mode: bool) -> None:
        super().__init__(mode)
        self._before = SWITCH.enabled
        SWITCH.enabled = mode

    def __enter__(self) -> set_grad_enabled:
        """Remember the value from before the constructor."""
        self._outer.append(self._before)
        SWITCH.enabled = self.mode
        return self


class inference_mode(GradScope):  # noqa: N801, torch's name
    """The same as ``no_grad``: a lazy graph has no further bookkeeping to save."""

    def __init__(self, mode: bool = True) -> None:
        super().__init__(not mode and SWITCH.enabled)
