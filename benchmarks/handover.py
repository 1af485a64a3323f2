"""How fast cores of this machine, at this moment, hand over to each other what they have computed.

A host may give a virtual machine cores that share a cache, or cores of different complexes or sockets, and change that
while it runs. Steps that pass data between cores then take longer, though each core for itself is as fast as ever.
"""

from __future__ import annotations

import os
import time

import numpy

# Fits into a second-level cache, and takes far longer to read than a clock.
BYTES = 1 << 18
# Of several times the best counts: the system may need a moment to move the thread.
TIMES = 8


def handover() -> float | None:
    """GB/s at which the last core reads what the first has just written; None where there is one, or none is chosen.

    >>> rate = handover()
    >>> rate is None or rate > 0
    True
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        return None
    written = numpy.zeros(BYTES // 8)
    best = float("inf")
    try:
        for _ in range(TIMES):
            os.sched_setaffinity(0, {min(cores)})
            written += 1
            os.sched_setaffinity(0, {max(cores)})
            start = time.perf_counter()
            written.sum()
            best = min(best, time.perf_counter() - start)
    except OSError:
        return None
    finally:
        os.sched_setaffinity(0, cores)
    return BYTES / best / 1e9
