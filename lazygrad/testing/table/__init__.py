"""The conformance table: every primitive and the compositions that networks are made of, in every dtype.

One file for each family of operations; ``ROWS`` is all of them.
"""

from lazygrad.testing.row import Row
from lazygrad.testing.table import attention, contract, elementwise, indexing, layers, movement, random, reduce

ROWS: tuple[Row, ...] = (
    *elementwise.ROWS,
    *reduce.ROWS,
    *movement.ROWS,
    *contract.ROWS,
    *attention.ROWS,
    *indexing.ROWS,
    *random.ROWS,
    *layers.ROWS,
)

__all__ = ["ROWS"]
