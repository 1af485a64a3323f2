"""Which alternative of each kernel is used: a winner of earlier trials, one of trials now, or the heuristic's.

In: a device and kernels. Out: an ``Alternative`` for each. Winners lie on disk below ``<cache>/tuning/<device and
driver>/``, one file for each kernel, named by its key. With ``LAZYGRAD_TUNE=1`` kernels without a winner are tried, by
the sessions of ``tuning_session``.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from lazygrad import environment
from lazygrad.kernel.identity import key
from lazygrad.kernel.kernel import Kernel
from lazygrad.runtime.cache import Store, digest
from lazygrad.runtime.device import HEURISTIC, Alternative, CompilingDevice
from lazygrad.runtime.tuning_session import CannotStart, Session

# What is not faster than the heuristic's by more than timings vary is not worth another program.
WORTHWHILE = 0.97
# Letters of a device's name in that of its folder, and digits of the hash that makes it unique.
NAME_LENGTH = 60
HASH_LENGTH = 16
# Part of every folder's name: raise it when winners of before are none any more.
FORMAT = "tuning 1"

logger = logging.getLogger("lazygrad")
_lock = Lock()
# Devices (by folder) and kernels (by key) that could not be tried; the next process may.
_given_up: set[tuple[str, str]] = set()


def chosen(device: CompilingDevice, kernels: Sequence[Kernel]) -> list[Alternative]:
    """The alternative of each kernel."""
    if not device.is_tunable:
        return [HEURISTIC] * len(kernels)
    winners = Winners(device)
    wants_trials = environment.level("LAZYGRAD_TUNE") > 0
    if not wants_trials and winners.is_empty():
        return [HEURISTIC] * len(kernels)
    with _lock:
        found = {kernel: winners.read(kernel) for kernel in dict.fromkeys(kernels)}
        if wants_trials:
            found.update(_tune(device, winners, [kernel for kernel, known in found.items() if known is None]))
    return [found[kernel] or HEURISTIC for kernel in kernels]


class Winners:
    """What trials on one kind of device have found."""

    def __init__(self, device: CompilingDevice) -> None:
        information = device.information
        name = re.sub(r"[^\w.-]+", "_", f"{information.description}_{information.driver}")[:NAME_LENGTH]
        hashed = digest(FORMAT, information.description, information.driver)[:HASH_LENGTH]
        self.folder = f"{name}-{hashed}"
        self._store = Store("tuning", self.folder)
        self._device = device

    def is_empty(self) -> bool:
        """Whether nothing was ever found."""
        try:
            return next(self._store.folder.iterdir(), None) is None
        except OSError:
            return True

    def read(self, kernel: Kernel) -> Alternative | None:
        """The kernel's winner; None when there is none, or none that the device would try today."""
        alternative = self.known(key(kernel))
        if alternative is None:
            return None
        if alternative != HEURISTIC and alternative not in self._device.alternatives(kernel):
            logger.info("what another version found for kernel %s is no alternative any more", kernel.name)
            return None
        return alternative

    def known(self, of: str) -> Alternative | None:
        """What was found for the kernel with a key, whether or not the device would try it today."""
        name = f"{of}.json"
        data = self._store.read(name)
        if data is None:
            return None
        try:
            found = json.loads(data)
            return tuple(tuple(int(number) for number in body) for body in found["alternative"])
        except (ValueError, KeyError, TypeError) as error:
            logger.warning(
                "what tuning found in %s cannot be understood (%s: %s) and is ignored",
                self._store.path(name), type(error).__name__, error,
            )  # fmt: skip
            self._store.remove(name)
            return None

    def write(self, kernel: Kernel, alternative: Alternative, measured: Mapping[int, float]) -> None:
        """Keeps a winner, with the seconds of all that were tried for whoever looks at the file."""
        found: dict[str, Any] = {"kernel": kernel.name, "alternative": alternative, "seconds": dict(measured)}
        self._store.write(f"{key(kernel)}.json", json.dumps(found).encode())


def _tune(device: CompilingDevice, winners: Winners, kernels: Sequence[Kernel]) -> dict[Kernel, Alternative]:
    """Tries the kernels one after the other; what is found is on disk at once."""
    jobs = []
    for kernel in kernels:
        alternatives = tuple(device.alternatives(kernel))
        if len(alternatives) > 1 and (winners.folder, key(kernel)) not in _given_up:
            jobs.append((kernel, alternatives))
    found: dict[Kernel, Alternative] = {}
    if not jobs:
        return found
    from tqdm import tqdm

    session = Session(device.name)
    bar = tqdm(jobs, desc=f"lazygrad tunes kernels for {device.name}", leave=False, file=sys.stderr, disable=None)
    try:
        for kernel, alternatives in bar:
            bar.set_postfix_str(kernel.name)
            measured = session.measure(kernel, alternatives)
            if not measured:
                _given_up.add((winners.folder, key(kernel)))
                continue
            found[kernel] = alternatives[best(measured)]
            winners.write(kernel, found[kernel], measured)
    except CannotStart as error:
        logger.warning("%s is not tuned: %s", device.name, error)
        _given_up.update((winners.folder, key(kernel)) for kernel, _ in jobs if kernel not in found)
    finally:
        bar.close()
        session.end()
    return found


def best(measured: Mapping[int, float]) -> int:
    """The number of the fastest; the heuristic's, 0, where no other is worthwhile.

    >>> best({0: 1.0, 1: 0.99, 2: 2.0}), best({0: 1.0, 1: 0.5, 2: 0.8})
    (0, 1)
    """
    fastest = min(measured, key=lambda number: (measured[number], number))
    return fastest if measured[fastest] < WORTHWHILE * measured[0] else 0
