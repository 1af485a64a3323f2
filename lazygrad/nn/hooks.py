"""Functions a user hangs on a module's call: kept in order, removable by handle.

In: a callback and the dictionary that will hold it. Out: a `RemovableHandle`, with which the user takes
the callback away again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_next_identifier = itertools.count()


@dataclass(frozen=True)
class Hook:
    """One registered callback; `with_kwargs` says whether it also receives keyword arguments."""

    function: Callable[..., Any]
    with_kwargs: bool


class RemovableHandle:
    """Removes a hook, by `remove()` or at the end of a with block.

    Example:
        >>> import lazygrad as lg
        >>> layer = lg.nn.Identity()
        >>> with layer.register_forward_hook(lambda module, args, output: output * 2):
        ...     print(layer(lg.ones(2)))
        tensor([2., 2.])
        >>> print(layer(lg.ones(2)))
        tensor([1., 1.])
    """

    def __init__(self, hooks: dict[int, Hook], hook: Hook, prepend: bool) -> None:
        self.id = next(_next_identifier)
        self._hooks = hooks
        earlier = dict(hooks) if prepend else {}
        if prepend:
            hooks.clear()
        hooks[self.id] = hook
        hooks.update(earlier)

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()
