"""Kernel packs: what one machine has compiled for a script, as a file that an equal machine adds to its cache.

In: the entries that a process has read or written, and the devices that it has used. Out: a zip file of these entries,
still with their hashes, and ``manifest.json``, which says for which devices they are. ``add`` puts them into the cache
of this machine if one of its devices is the same in everything that code depends on, and else says what differs.

A pack has machine code and is trusted like a program that one installs: take it from people you would take that from.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from lazygrad.runtime.cache import Store, cache_folder, is_entry, sealed, unsealed
from lazygrad.runtime.device import CompilingDevice
from lazygrad.runtime.registry import BackendError, available_backends, backend, device
from lazygrad.runtime.schedule_store import maker
from lazygrad.runtime.structure_key import stable_text

MANIFEST = "manifest.json"
FORMAT = "lazygrad pack 1"
# Entries that say something about this machine's files only.
NOT_PACKED = ("sources",)


class PackError(Exception):
    """A pack cannot be written or added; the message is for the user."""


class Added(NamedTuple):
    """What ``add`` did: how many entries it wrote, for which device, and whether its schedules are of use here."""

    entries: int
    device: str
    same_sources: bool


def describe(of: CompilingDevice) -> dict[str, Any]:
    """Everything about a device that code made for it depends on, as plain data."""
    machine = of.capabilities.machine
    own = {name: stable_text(getattr(of.capabilities, name)) for name in ("dtypes", "argument_limit")}
    return {
        "name": of.name,
        "description": of.information.description,
        "driver": of.information.driver,
        "code": of.code_identity(),
        "capabilities": {**{name: stable_text(value) for name, value in vars(machine).items()}, **own},
        "sources": maker(type(of).__module__.partition(".")[0]),
    }


def write(target: Path, paths: Iterable[str], devices: Sequence[Mapping[str, Any]]) -> int:
    """Writes a pack of the entries at ``paths`` (files of the cache) and their namesakes; returns how many they are."""
    if not devices:
        raise PackError("the script has compiled nothing: no device that compiles has been used")
    root = cache_folder()
    chosen: dict[str, bytes] = {}
    for path in sorted(_with_namesakes(Path(path) for path in paths)):
        try:
            name = path.relative_to(root).as_posix()
            data = path.read_bytes()
        except (ValueError, OSError):
            continue
        if name.partition("/")[0] not in NOT_PACKED and is_entry(name) and unsealed(data) is not None:
            chosen[name] = data
    if not chosen:
        raise PackError(f"nothing of what the script has compiled is in the cache folder {root}; can it be written?")
    manifest = json.dumps({"format": FORMAT, "devices": list(devices), "entries": sorted(chosen)}, indent=1)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.partial")
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(MANIFEST, sealed(manifest.encode()))
            for name, data in chosen.items():
                file.writestr(name, data)
        partial.replace(target)
    except OSError as error:
        raise PackError(f"the pack cannot be written to {target}: {error}") from error
    return len(chosen)


def _with_namesakes(paths: Iterable[Path]) -> set[Path]:
    """The paths, and what lies beside them under the same name with another suffix: an index for what is indexed."""
    folders: dict[Path, set[str]] = {}
    for path in paths:
        folders.setdefault(path.parent, set()).add(path.stem)
    found: set[Path] = set()
    for folder, stems in folders.items():
        try:
            found.update(folder / name for name in os.listdir(folder) if Path(name).stem in stems)  # noqa: PTH208
        except OSError:
            continue
    return found


def add(source: Path) -> Added:
    """Puts a pack's entries into the cache. PackError when it is none, is damaged, or is for other devices."""
    try:
        with zipfile.ZipFile(source) as file:
            manifest = _manifest(source, file)
            entries = {name: file.read(name) for name in manifest["entries"]}
    except FileNotFoundError:
        raise PackError(f"there is no pack at {source}") from None
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise PackError(f"{source} is no pack, or a damaged one: {error}") from error
    for name, data in entries.items():
        parts = PurePosixPath(name).parts
        if len(parts) < 2 or ".." in parts or PurePosixPath(name).is_absolute() or unsealed(data) is None:
            raise PackError(f"{source} is damaged: its entry {name} is not what it was; fetch the pack again")
    here, same_sources = _matching(source, manifest["devices"])
    for name, data in entries.items():
        *below, last = PurePosixPath(name).parts
        store = Store(*below)
        if store.write_plain(last, data) is None:
            raise PackError(f"the cache folder {store.folder} cannot be written")
    return Added(len(entries), here, same_sources)


def _manifest(source: Path, file: zipfile.ZipFile) -> dict[str, Any]:
    payload = unsealed(file.read(MANIFEST))
    manifest: dict[str, Any] = json.loads(payload) if payload is not None else {}
    if manifest.get("format") != FORMAT:
        raise PackError(f"{source} is damaged, or a pack of another version of lazygrad; make it again")
    return manifest


def _matching(source: Path, wanted: Sequence[Mapping[str, Any]]) -> tuple[str, bool]:
    """The first device here for which the pack is. PackError says how the nearest ones differ."""
    reasons: list[str] = []
    for each in wanted:
        for found in _devices(each["name"].partition(":")[0]):
            different = differences(each, found)
            if not different:
                return found["name"], each["sources"] == found["sources"]
            reasons.append(f"{found['name']}: {'; '.join(different)}")
        if not reasons:
            reasons.append(f"there is no device of the kind {each['name'].partition(':')[0]} here")
    for_what = ", ".join(f"{each['description']} ({each['driver']})" for each in wanted)
    raise PackError(f"{source} is for another device, {for_what}. " + ". ".join(reasons))


def _devices(kind: str) -> list[dict[str, Any]]:
    if kind not in available_backends():
        return []
    found = []
    try:
        for information in backend(kind).devices():
            opened = device(information.name)
            if isinstance(opened, CompilingDevice):
                found.append(describe(opened))
    except BackendError as error:
        raise PackError(f"no device of the kind {kind} can be used here: {error}") from error
    return found


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """In words, everything in which a pack's device is not this one.

    >>> there = {"description": "a", "driver": "1", "code": "x", "capabilities": {"cores": "2"}}
    >>> differences(there, {**there, "driver": "2", "capabilities": {"cores": "4"}})
    ['driver 1 in the pack, 2 here', 'cores 2 in the pack, 4 here']
    """
    found = [
        f"{name} {there[name]} in the pack, {here[name]} here"
        for name in ("description", "driver")
        if there[name] != here[name]
    ]
    names = dict.fromkeys((*there["capabilities"], *here["capabilities"]))
    for name in names:
        old, new = there["capabilities"].get(name, "unknown"), here["capabilities"].get(name, "unknown")
        if old != new:
            found.append(f"{name} {old} in the pack, {new} here")
    if not found and there["code"] != here["code"]:
        found.append(f"other versions of driver or compiler ({there['code']} in the pack, {here['code']} here)")
    return found


__all__ = ["Added", "PackError", "add", "describe", "differences", "write"]
