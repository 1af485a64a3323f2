"""The argument types that several layers share, and the one conversion they need.

`Size2`: one number for both image directions, or a pair (height, width).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import lazygrad

Size2: TypeAlias = int | tuple[int, int]
DeviceLike: TypeAlias = "lazygrad.device | str | int | None"
DTypeLike: TypeAlias = "lazygrad.dtype | None"


def pair(value: Size2) -> tuple[int, int]:
    """Return (height, width) for a number or a pair.

    Example:
        >>> pair(3), pair((1, 2))
        ((3, 3), (1, 2))
    """
    if isinstance(value, int):
        return (value, value)
    height, width = value
    return (height, width)
