"""lazygrad and its peers behind one face, so that a workload is written once and computes the same in all of them."""

from benchmarks.frameworks.data import Array, integers, normal, weights
from benchmarks.frameworks.framework import Framework, Precision, Run

__all__ = ["Array", "Framework", "Precision", "Run", "integers", "normal", "weights"]
