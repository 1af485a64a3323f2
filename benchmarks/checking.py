"""Whether everybody computed the same: results against a reference, before anything is timed.

In: files of arrays that processes have written. Out: how far each result is off, and which is worst.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy

from benchmarks.frameworks import Array
from benchmarks.workloads import Workload

# How far results may be from float32's, relative to their size, for each precision and a depth of one.
TOLERANCE = {"highest": 1e-4, "high": 1e-3, "bfloat16": 5e-3}
# Whoever is not farther from it than this times torch in the same precision, in whichever layout and mode, has rounded
# at other places, no more: small batches are normalized by variances of few numbers, and a step makes much of little.
FACTOR = 3.0
# Stands for infinity, which JSON does not have.
FAR = 1e300
STEP_NUMBER = re.compile(r" of step \d+$")


class Worst(NamedTuple):
    """The result that is farthest off, and its error over what is admitted."""

    result: str
    factor: float


def read_results(path: Path) -> dict[str, Array]:
    """What ``measuring.write_results`` wrote."""
    with numpy.load(path) as file:
        return {name: file[name] for name in file.files}


def errors(found: Mapping[str, Array], expected: Mapping[str, Array]) -> dict[str, float]:
    """How far from the expected each result is, relative to its size; FAR where there is a nan or too little.

    What later steps compute is compared on the scale of the first, too: a loss that comes near zero has no digits of
    its own.
    """
    return {name: _error(found.get(name), want, _size(expected, name)) for name, want in expected.items()}


def _size(expected: Mapping[str, Array], name: str) -> float:
    first = STEP_NUMBER.sub(" of step 0", name)
    return max(float(numpy.linalg.norm(expected[each].ravel())) for each in {name, first} & expected.keys())


def _error(found: Array | None, expected: Array, size: float) -> float:
    if found is None or found.shape != expected.shape:
        return FAR
    error = float(numpy.linalg.norm((found - expected).ravel())) / (size or 1.0)
    return error if numpy.isfinite(error) else FAR


def check(workload: Workload, found: Mapping[str, float], torchs: Iterable[Mapping[str, float]] = ()) -> Worst | None:
    """What was computed worst, given errors and those of torch's contestants; None where nothing was compared."""
    floor, peers = TOLERANCE[workload.precision] * workload.depth, list(torchs)

    def admitted(name: str) -> float:
        rounding = [each[name] for each in peers if each.get(name, FAR) < FAR]
        return max(floor, FACTOR * max(rounding, default=0.0))

    factors = [(error / admitted(name), name) for name, error in found.items()]
    if not factors:
        return None
    factor, name = max(factors)
    return Worst(name, factor)
