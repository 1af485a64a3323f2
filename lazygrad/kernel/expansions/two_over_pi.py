"""The bits of 2/pi, which argument reductions select windows of."""

from __future__ import annotations

# 2/pi = 0.A2F9836E... in hexadecimal. float64's largest numbers need 1205 bits, float32's 183.
_DIGITS = (
    "A2F9836E4E441529FC2757D1F534DDC0DB6295993C439041FE5163ABDEBBC561"
    "B7246E3A424DD2E006492EEA09D1921CFE1DEB1CB129A73EE88235F52EBB4484"
    "E99C7026B45F7E413991D639835339F49C845F8BBDF9283B1FF897FFDE05980F"
    "EF2F118B5A0A6D1F6D367ECF27CB09B74F463F669E5FEA2D7527BAC7EBE5F17B"
    "3D0739F78A5292EA6BFB5FB11F8D5D0856033046FC7B6BAB"
)
DIGIT_BITS = 4
KNOWN_BITS = DIGIT_BITS * len(_DIGITS)


def two_over_pi(bits: int) -> int:
    """2/pi * 2**bits rounded down, for up to ``KNOWN_BITS``.

    >>> hex(two_over_pi(32))
    '0xa2f9836e'
    """
    if bits > KNOWN_BITS:
        raise ValueError(f"2/pi is known here to {KNOWN_BITS} bits, got {bits}")
    return int(_DIGITS, 16) >> (KNOWN_BITS - bits)
