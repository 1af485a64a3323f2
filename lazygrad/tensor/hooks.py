"""Functions that a user hangs on a tensor's gradient or a module's call: kept in order, and taken away by handle."""

from __future__ import annotations

import itertools
from typing import Any

_next_identifier = itertools.count()


class RemovableHandle:
    """Removes a hook, by ``remove()`` or at the end of a with block.

    >>> import lazygrad as lg
    >>> x = lg.ones(2, requires_grad=True)
    >>> with x.register_hook(lambda gradient: gradient * 10):
    ...     x.sum().backward()
    >>> x.sum().backward()
    >>> x.grad
    tensor([11., 11.])
    """

    def __init__(self, hooks: dict[int, Any], hook: Any, prepend: bool = False) -> None:
        self.id = next(_next_identifier)
        self._hooks = hooks
        later = dict(hooks) if prepend else {}
        if prepend:
            hooks.clear()
        hooks[self.id] = hook
        hooks.update(later)

    def remove(self) -> None:
        """Takes the hook away; a second call does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()
