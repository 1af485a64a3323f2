"""Backends by name: found through the entry points ``lazygrad.backends``, loaded when first used.

``LAZYGRAD_DEVICE`` names the default device: ``opencl``, ``opencl:1``, ``triton``, ``numpy``. Unset, the best
available backend serves, and that is said once at INFO level. A device is opened once, whichever thread is first, and
by one process: after a fork the child's attempt to use it raises (see ``forking``).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import lru_cache
from threading import RLock
from typing import TYPE_CHECKING, Protocol

from lazygrad.runtime import forking
from lazygrad.runtime.device import Device, DeviceInformation

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "lazygrad.backends"
logger = logging.getLogger("lazygrad")


class Backend(Protocol):
    """What an entry point of ``lazygrad.backends`` loads to.

    It may also have ``reason() -> str``: why there is no device, for ``python -m lazygrad info``. Where a driver does
    not survive a fork, ``devices`` and ``open`` begin with ``forking.claim``.
    """

    name: str
    preference: int  # among usable backends the largest is the default

    def devices(self) -> Sequence[DeviceInformation]:
        """The devices that can be opened here, in the order of their numbers; empty when there is none."""

    def open(self, variant: str) -> Device:
        """The device for what follows the colon in its name (``""`` for none given)."""


class BackendError(RuntimeError):
    """A backend or device that was asked for cannot be used; the message says why and what can."""


# Held while a backend is loaded or a device opened.
_lock = RLock()
_loaded: dict[str, Backend] = {}
# Devices by every name under which they were asked for, and those of the process from which this one was forked.
_opened: dict[str, Device] = {}
_left_behind: dict[str, Device] = {}
_chosen: list[str] = []  # the best device, once it is known


@lru_cache(maxsize=1)
def _entry_points() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # a tenth of the time that importing lazygrad takes

    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        known = found.get(point.name)
        if known is not None and known.value != point.value:
            raise BackendError(
                f"two installed packages provide a lazygrad backend named {point.name!r}: {known.value} and "
                f"{point.value}; uninstall one of them"
            )
        found[point.name] = point
    return found


def backend(name: str) -> Backend:
    """Loads a backend. BackendError with the cause when it does not exist or its import fails."""
    found = _loaded.get(name)
    if found is not None:
        return found
    point = _entry_points().get(name)
    if point is None:
        raise BackendError(f"no backend named {name!r} is installed; available: {', '.join(available_backends())}")
    with _lock:
        try:
            loaded: Backend = point.load()
        except Exception as error:
            raise BackendError(
                f"backend {name!r} ({point.value}) failed to import: {type(error).__name__}: {error}"
            ) from error
        return _loaded.setdefault(name, loaded)


def available_backends() -> tuple[str, ...]:
    """The names of installed backends, sorted; none is loaded for it."""
    return tuple(sorted(_entry_points()))


def device(name: str) -> Device:
    """The opened device of a name, canonical or not.

    Raises:
        BackendError: there is no such backend or device.
        RuntimeError: the process from which this one was forked has opened it.
    """
    found = _opened.get(name)
    return found if found is not None else _open(name)


def _open(name: str) -> Device:
    kind, _, variant = name.partition(":")
    with _lock:
        if name in _left_behind:
            raise RuntimeError(forking.refusal(_left_behind[name].name))
        found = _opened.get(name)
        if found is None:
            opened = backend(kind).open(variant)
            found = _opened[name] = _opened.setdefault(opened.name, opened)
        return found


def _after_fork() -> None:
    """In a child: what does not survive is left behind, and no lock is held by a thread that does not exist."""
    global _lock
    _lock = RLock()
    for name, opened in list(_opened.items()):
        if opened.survives_fork:
            opened.lock = RLock()
        else:
            del _opened[name]
            _left_behind[name] = opened
            forking.never_destroy(opened)
    _chosen.clear()


forking.in_child(_after_fork)


def canonical_device(name: str) -> str:
    """``"opencl"`` becomes ``"opencl:0"``: the name under which nodes carry the device. Opens it."""
    return device(name).name


def default_device() -> str:
    """The canonical name of the device on which new tensors are made."""
    chosen = os.environ.get("LAZYGRAD_DEVICE")
    return canonical_device(chosen) if chosen else _best()


def _best() -> str:
    if _chosen:
        return _chosen[0]
    with _lock:
        usable: list[tuple[int, str]] = []
        for name in available_backends():
            try:
                loaded = backend(name)
                if loaded.devices():
                    usable.append((loaded.preference, name))
            except BackendError as error:
                logger.warning("%s", error)
        if not usable:
            raise BackendError("no lazygrad backend is usable here; run `python -m lazygrad info`")
        if not _chosen:
            name = canonical_device(max(usable)[1])
            description = device(name).information.description
            logger.info("lazygrad runs on %s (%s); set LAZYGRAD_DEVICE to choose", name, description)
            _chosen.append(name)
        return _chosen[0]
