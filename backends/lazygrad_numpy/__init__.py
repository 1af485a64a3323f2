"""The reference backend: evaluates the graph node by node with NumPy. Slow, obvious, trusted.

No simplification, no scheduling and no lowering code is shared with the compiled backends: the meaning of each
node is its operation's ``numpy`` field.
"""

from lazygrad_numpy.evaluate import backend

__all__ = ["backend"]
