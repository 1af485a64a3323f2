"""Backends by name: found through the entry points ``lazygrad.backends``, loaded when first used.

``LAZYGRAD_DEVICE`` names the default device: ``opencl``, ``opencl:1``, ``triton``, ``numpy``. Unset, the best
available backend serves, and that is said once at INFO level.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from lazygrad.runtime.device import Device, DeviceInformation

GROUP = "lazygrad.backends"
logger = logging.getLogger("lazygrad")


class Backend(Protocol):
    """What an entry point of ``lazygrad.backends`` loads to.

    It may also have ``reason() -> str``: why there is no device, for ``python -m lazygrad info``.
    """

    name: str
    preference: int  # among usable backends the largest is the default

    def devices(self) -> Sequence[DeviceInformation]:
        """The devices that can be opened here, in the order of their numbers; empty when there is none."""

    def open(self, variant: str) -> Device:
        """The device for what follows the colon in its name (``""`` for none given)."""


class BackendError(RuntimeError):
    """A backend or device that was asked for cannot be used; the message says why and what can."""


@lru_cache(maxsize=1)
def _entry_points() -> dict[str, EntryPoint]:
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


@cache
def backend(name: str) -> Backend:
    """Loads a backend. BackendError with the cause when it does not exist or its import fails."""
    point = _entry_points().get(name)
    if point is None:
        raise BackendError(f"no backend named {name!r} is installed; available: {', '.join(available_backends())}")
    try:
        loaded: Backend = point.load()
    except Exception as error:
        raise BackendError(
            f"backend {name!r} ({point.value}) failed to import: {type(error).__name__}: {error}"
        ) from error
    return loaded


def available_backends() -> tuple[str, ...]:
    """The names of installed backends, sorted; none is loaded for it."""
    return tuple(sorted(_entry_points()))


@cache
def device(name: str) -> Device:
    """The opened device of a canonical name."""
    kind, _, variant = name.partition(":")
    return backend(kind).open(variant)


@cache
def canonical_device(name: str) -> str:
    """``"opencl"`` becomes ``"opencl:0"``: the name under which nodes carry the device. Opens it."""
    return device(name).name


def default_device() -> str:
    """The canonical name of the device on which new tensors are made."""
    chosen = os.environ.get("LAZYGRAD_DEVICE")
    return canonical_device(chosen) if chosen else _best()


@lru_cache(maxsize=1)
def _best() -> str:
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
    name = canonical_device(max(usable)[1])
    logger.info("lazygrad runs on %s (%s); set LAZYGRAD_DEVICE to choose", name, device(name).information.description)
    return name
