"""A text with its precedence, which decides where parentheses go."""

from __future__ import annotations

from typing import NamedTuple

# From loosest to tightest, as in Python.
COMPARISON, OR, XOR, AND, SHIFT, SUM, PRODUCT, MINUS, POWER, ATOM = range(10)


class Text(NamedTuple):
    """A text and how tightly its loosest operator binds."""

    text: str
    precedence: int = ATOM

    def inside(self, precedence: int) -> str:
        """As an operand of an operator: in parentheses when it binds less tightly."""
        return self.text if self.precedence >= precedence else f"({self.text})"
