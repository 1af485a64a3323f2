"""Functions that generated files may call, as text: a file gets the definitions of those it uses.

Two-argument functions at the top combine two partial results of a reduction. NaN wins in max, min, argmax and
argmin, and of equal extremes the first position wins.
"""

from __future__ import annotations

from collections.abc import Iterable

_FUNCTIONS = {
    "add": """
def add(x, y):
    return x + y
""",
    "multiply": """
def multiply(x, y):
    return x * y
""",
    "either": """
def either(x, y):
    return x | y
""",
    "both": """
def both(x, y):
    return x & y
""",
    "larger": """
def larger(x, y):
    return tl.maximum(x, y, propagate_nan=tl.PropagateNan.ALL)
""",
    "smaller": """
def smaller(x, y):
    return tl.minimum(x, y, propagate_nan=tl.PropagateNan.ALL)
""",
    "first_largest": """
def first_largest(x, i, y, j):
    x_better = (x > y) | ((x != x) & (y == y))
    same = (x == y) | ((x != x) & (y != y))
    take_x = x_better | (same & (i < j))
    return tl.where(take_x, x, y), tl.where(take_x, i, j)
""",
    "first_smallest": """
def first_smallest(x, i, y, j):
    x_better = (x < y) | ((x != x) & (y == y))
    same = (x == y) | ((x != x) & (y != y))
    take_x = x_better | (same & (i < j))
    return tl.where(take_x, x, y), tl.where(take_x, i, j)
""",
    "halves": """
def halves(x):
    # The left and the right half of a block's columns.
    return tl.split(tl.permute(tl.reshape(x, (x.shape[0], 2, x.shape[1] // 2)), (0, 2, 1)))
""",
    "floor_divide": """
def floor_divide(x, y):
    # Rounded to minus infinity; 0 where the divisor is 0. The negation avoids the one overflow, minimum / -1.
    special = (y == 0) | (y == -1)
    safe = tl.where(special, 1, y)
    quotient = x // safe
    rest = x - quotient * safe
    floored = quotient - ((rest != 0) & ((rest < 0) != (safe < 0))).to(x.dtype)
    return tl.where(special, tl.where(y == 0, 0, 0 - x), floored)
""",
    "remainder": """
def remainder(x, y):
    special = (y == 0) | (y == -1)
    safe = tl.where(special, 1, y)
    rest = x - (x // safe) * safe
    floored = tl.where((rest != 0) & ((rest < 0) != (safe < 0)), rest + safe, rest)
    return tl.where(special, 0, floored)
""",
    "floor_divide_unsigned": """
def floor_divide_unsigned(x, y):
    return tl.where(y == 0, 0, x // tl.where(y == 0, 1, y))
""",
    "remainder_unsigned": """
def remainder_unsigned(x, y):
    safe = tl.where(y == 0, 1, y)
    return tl.where(y == 0, 0, x - (x // safe) * safe)
""",
    "power": """
def power(x, y):
    result = x * 0 + y * 0 + 1
    square = x + y * 0
    rest = tl.where(y < 0, 0, y) + x * 0
    for _ in range(BITS):
        result = tl.where((rest & 1) != 0, result * square, result)
        square = square * square
        rest = rest >> 1
    odd = (y & 1) != 0
    inverse = tl.where(x == 1, 1, tl.where(x == -1, tl.where(odd, -1, 1), 0))
    return tl.where(y < 0, inverse, result)
""",
    "power_unsigned": """
def power_unsigned(x, y):
    result = x * 0 + y * 0 + 1
    square = x + y * 0
    rest = y + x * 0
    for _ in range(BITS):
        result = tl.where((rest & 1) != 0, result * square, result)
        square = square * square
        rest = rest >> 1
    return result
""",
}
_MOST_BITS = 63


def definitions(names: Iterable[str]) -> list[str]:
    """The lines that define the functions, in the library's order."""
    wanted = set(names)
    lines: list[str] = []
    for name, text in _FUNCTIONS.items():
        if name in wanted:
            lines += ["@triton.jit", *text.strip("\n").replace("BITS", str(_MOST_BITS)).split("\n"), "", ""]
    return lines
