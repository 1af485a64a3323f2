"""The numbers of a tiling for block programs, and which other numbers are worth a trial.

A heuristic chooses them by shape and machine; a tuner measures their neighbours on the device. In: what the heuristic
chose, and the numbers that make sense for the body. Out: a short list, nearest first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

# Compiling one takes a device compiler a second or two, so these are what a minute of one core is enough for.
MOST_SIZES = 32
# How far one more pipeline stage is, where twice as many rows are 1: stages change little by themselves.
STAGE_DISTANCE = 0.5
MOST_WARPS = 16


class BlockSize(NamedTuple):
    """A tile of ``rows`` x ``columns``, ``depth`` steps of a sum at once, for ``warps`` warps; ``stages`` of a loop's
    loads are under way together. All are powers of two but for the stages.
    """

    rows: int
    columns: int = 1
    depth: int = 1
    warps: int = 4
    stages: int = 1


def distance(one: BlockSize, other: BlockSize) -> float:
    """How often some number has to be doubled or halved to come from one to the other.

    >>> distance(BlockSize(64, 32), BlockSize(32, 64)), distance(BlockSize(64), BlockSize(64, stages=2))
    (2.0, 0.5)
    """
    doubled = sum(abs(a.bit_length() - b.bit_length()) for a, b in zip(one[:4], other[:4], strict=True))
    return doubled + STAGE_DISTANCE * abs(one.stages - other.stages)


def nearest(first: BlockSize, candidates: Iterable[BlockSize]) -> list[BlockSize]:
    """The candidates but for ``first``, each once, nearest to it first, and not more than ``MOST_SIZES``."""
    others = [size for size in dict.fromkeys(candidates) if size != first]
    return sorted(others, key=lambda size: (distance(first, size), size))[:MOST_SIZES]


def around(number: int, least: int, most: int) -> list[int]:
    """Powers of two from a quarter of a power of two to four times it, within limits that it keeps itself.

    >>> around(64, 32, 1024)
    [32, 64, 128, 256]
    """
    return [each for each in (number // 4, number // 2, number, 2 * number, 4 * number) if least <= each <= most]
