"""Schedules on disk: a graph whose structure any earlier process has met needs neither scheduler nor code generator.

In: a device and a structure. Out: the schedule with its programs, or None. Entries lie in ``<cache>/schedules``; their
name is a digest of the structure, of the device's capabilities and versions, and of the source files of lazygrad and of
the backend, so that a changed checkout finds nothing that other code has made.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy

from lazygrad import environment
from lazygrad.runtime.cache import Store, cache_folder, digest
from lazygrad.runtime.device import CompilingDevice, Program
from lazygrad.runtime.executable import Executable
from lazygrad.runtime.preparing import PreparingExecutable
from lazygrad.runtime.schedule_record import FORMAT, read_record, write_record
from lazygrad.runtime.source_identity import source_identity
from lazygrad.runtime.statistics import total
from lazygrad.runtime.structure import Structure
from lazygrad.runtime.structure_key import NoKeyError, stable_text, steps_text
from lazygrad.schedule import Schedule
from lazygrad.schedule.budget import Budget

FOLDER = "schedules"
_used: dict[str, CompilingDevice] = {}
logger = logging.getLogger("lazygrad")


class Slot:
    """The place on disk of one structure's schedule on one device. ``name`` is None where it has none."""

    def __init__(self, device: CompilingDevice, structure: Structure, budget: Budget | None = None) -> None:
        _used[device.name] = device
        self._device = device
        self._structure = structure
        self._budget = budget
        self.name = _name(device, structure, budget)
        self._store = Store(FOLDER) if self.name is not None else None

    def load(self) -> Executable | None:
        """The schedule with its programs, ready to run; None when it must be made."""
        if self._store is None or self.name is None:
            return None
        data = self._store.read(self.name)
        if data is None:
            return None
        try:
            found = read_record(data, self._structure.order)
            if not _still_tuned_so(self._device, found.premises):
                return None
            programs = self._device.recall(found.kernels, found.programs)
        except (LookupError, TypeError, ValueError) as error:
            logger.warning("the schedule in %s cannot be understood (%s); it is made again", self.name, error)
            self._store.remove(self.name)
            return None
        if programs is None:
            return None
        total.schedules_loaded += 1
        ordered = [programs[number] for number in found.numbers]
        # With a budget every byte is spoken for.
        return (PreparingExecutable if self._budget is None else Executable)(found.schedule, ordered)

    def save(self, schedule: Schedule, programs: Sequence[Program]) -> None:
        """Keeps what was made, unless the device has found meanwhile that its programs are not kept."""
        if self._store is not None and self.name is not None and self._device.code_identity() is not None:
            device = self._device
            record = write_record(
                schedule,
                lambda position: device.remember(programs[position]),
                self._structure.order,
                _tuned(device, schedule),
            )
            self._store.write(self.name, record)


def _tuned(device: CompilingDevice, schedule: Schedule) -> list[Any]:
    """The key of each kernel, and what tuning had found for it: another winner makes another program."""
    if not device.is_tunable:
        return []
    from lazygrad.kernel.identity import key
    from lazygrad.runtime.tuning import Winners

    winners = Winners(device)
    keys = dict.fromkeys(key(kernel) for kernel in dict.fromkeys(each.kernel for each in schedule.kernels))
    return [[each, winners.known(each)] for each in keys]


def _still_tuned_so(device: CompilingDevice, premises: Sequence[Any]) -> bool:
    if not premises or (not (cache_folder() / "tuning").exists() and all(winner is None for _, winner in premises)):
        return True
    from lazygrad.runtime.tuning import Winners

    winners = Winners(device)
    return all(
        winners.known(key) == (None if winner is None else tuple(map(tuple, winner))) for key, winner in premises
    )


def used_devices() -> list[CompilingDevice]:
    """The devices that schedules were looked for on, in the order in which they were first used."""
    return list(_used.values())


def _name(device: CompilingDevice, structure: Structure, budget: Budget | None) -> str | None:
    code = device.code_identity()
    # Trials must see every kernel, and change which programs are chosen.
    if code is None or environment.level("LAZYGRAD_TUNE") > 0:
        return None
    made_by = maker(type(device).__module__.partition(".")[0])
    if made_by is None:
        return None
    try:
        return digest(made_by, code, stable_text(device.capabilities), stable_text(budget), steps_text(structure.steps))
    except NoKeyError as error:
        logger.debug("a schedule is not kept: %s", error)
        return None


@lru_cache(maxsize=8)
def maker(backend: str) -> str | None:
    """What makes schedules and programs: the sources of lazygrad and of a backend, and what they compute with."""
    core, own = source_identity("lazygrad"), source_identity(backend)
    if core is None or own is None:
        return None
    return digest(FORMAT, core, own, f"Python {sys.version_info[0]}.{sys.version_info[1]}", numpy.__version__)
