"""Mathematics: the expression of a lazy tensor, or of a gradient, simplified and written for people to read.

    graph of nodes -> leaves named -> term in normal form -> text, in let-lines where it is long

Only reading is done here: what runs is simplified by ``lazygrad.passes``, by rules that keep every rounding.
"""

from lazygrad.mathematics.symbolic import symbolic

__all__ = ["symbolic"]
