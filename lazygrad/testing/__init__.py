"""For those who write a backend, an operation or a derivative: conformance and gradient checks.

Example::

    from lazygrad.testing import conformance, gradcheck

    for row in conformance.rows():
        conformance.run_row(row, "mybackend:0")

    gradcheck(lambda x: (x.sigmoid() * x).sum(1), [x])
"""

from lazygrad.testing.gradcheck import GradientError, gradcheck

__all__ = ["GradientError", "gradcheck"]
