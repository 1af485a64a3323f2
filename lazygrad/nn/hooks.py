"""Forward hooks: functions that a module calls before and after its `forward`, and how their results are taken.

In: what a module was called with, or what it gave. Out: the same, or what the hook put in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Hook:
    """One registered function; `with_kwargs` says whether it also receives keyword arguments."""

    function: Callable[..., Any]
    with_kwargs: bool

    def before(
        self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that `forward` is to get."""
        given = (args, kwargs) if self.with_kwargs else (args,)
        changed = self.function(module, *given)
        if changed is None:
            return args, kwargs
        if not self.with_kwargs:
            return (changed if isinstance(changed, tuple) else (changed,)), kwargs
        if not isinstance(changed, tuple) or len(changed) != 2:
            raise RuntimeError(
                f"a forward pre-hook with with_kwargs=True must return None or (args, kwargs), got {changed!r}"
            )
        return changed

    def after(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        """Return what the call is to give."""
        given = (args, kwargs) if self.with_kwargs else (args,)
        changed = self.function(module, *given, output)
        return output if changed is None else changed
