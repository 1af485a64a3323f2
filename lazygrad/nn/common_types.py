"""The argument types that several layers share.

`Size2`: one number for both image directions, or a pair (height, width).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import lazygrad

Size2: TypeAlias = int | tuple[int, int]
DeviceLike: TypeAlias = "lazygrad.device | str | int | None"
DTypeLike: TypeAlias = "lazygrad.dtype | None"
