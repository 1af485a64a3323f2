"""Sizes of memory as people write them."""

from __future__ import annotations

import re

_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_WRITTEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", re.IGNORECASE)


def parse_size(size: int | str) -> int:
    """The bytes of a size: a number, or text with a unit, in powers of 1024.

    >>> parse_size(300), parse_size("500M"), parse_size("1.5 GiB")
    (300, 524288000, 1610612736)
    """
    found = _WRITTEN.fullmatch(size) if isinstance(size, str) else None
    if found is not None:
        count = int(float(found[1]) * 1024 ** _UNITS[found[2].upper()])
    elif isinstance(size, int) and not isinstance(size, bool):
        count = size
    else:
        raise ValueError(f'a size of memory is a number of bytes or text such as "500M" or "1.5GiB", got {size!r}')
    if count < 0:
        raise ValueError(f"a size of memory must not be negative, got {size!r}")
    return count
