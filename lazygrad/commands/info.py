"""``python -m lazygrad info``: backends and their devices, versions, the cache, environment variables."""

from __future__ import annotations

import argparse
import platform
import re
from collections.abc import Iterator
from importlib import metadata

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lazygrad import environment
from lazygrad.ir.dtype import DType, accumulator
from lazygrad.runtime import eviction
from lazygrad.runtime.cache_folder import cache_folder
from lazygrad.runtime.device import Capabilities, CompilingDevice
from lazygrad.runtime.pool import readable_size
from lazygrad.runtime.registry import available_backends, backend, default_device, device

_REQUIREMENT = re.compile(r"^([\w.-]+)(?:.*extra == ['\"](\w+)['\"])?")


def info(console: Console | None = None) -> None:
    """Prints everything a report about this installation needs."""
    console = console or Console()
    for table in (_versions(), _devices(), _cache(), _variables()):
        console.print(table)


def run(options: argparse.Namespace, console: Console) -> int:
    """Runs the command; returns the exit status."""
    info(console)
    return 0


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _versions() -> Table:
    table = _table("Versions", "package", "version")
    table.add_row("Python", f"{platform.python_version()} on {platform.platform()}")
    for package in ("lazygrad", *_requirements()):
        try:
            table.add_row(package, metadata.version(package))
        except metadata.PackageNotFoundError:
            table.add_row(package, "not installed")
    return table


def _requirements() -> list[str]:
    """The packages that lazygrad itself or one of its backends needs, as its own metadata tells."""
    try:
        lines = metadata.requires("lazygrad") or []
    except metadata.PackageNotFoundError:
        return []
    wanted = {None, *available_backends()}
    found = [match for match in map(_REQUIREMENT.match, lines) if match is not None and match[2] in wanted]
    return list(dict.fromkeys(match[1] for match in found))


def _devices() -> Table:
    table = _table("\nDevices (* is the default)", "device", "what it is", "driver", "what it can do")
    try:
        default = default_device()
    except Exception as error:  # a wrong LAZYGRAD_DEVICE must not hide the devices there are
        default = ""
        table.caption = escape(str(error))
    for name in available_backends():
        try:
            loaded = backend(name)
            found = loaded.devices()
        except Exception as error:
            table.add_row(name, "cannot be used", "", escape(str(error)))
            continue
        if not found:
            reason = getattr(loaded, "reason", None)
            table.add_row(name, "no device", "", escape(reason()) if reason is not None else "")
        for each in found:
            star = "*" if each.name == default else ""
            table.add_row(each.name + star, escape(each.description), escape(each.driver), _abilities(each.name))
    return table


def _abilities(name: str) -> str:
    try:
        opened = device(name)
    except Exception as error:
        return escape(f"cannot be opened: {error}")
    if not isinstance(opened, CompilingDevice):
        return f"evaluates node by node; {_dtypes(opened.dtypes)}"
    return "; ".join(_capabilities(opened.capabilities))


def _capabilities(capabilities: Capabilities) -> Iterator[str]:
    machine = capabilities.machine
    yield f"{machine.flavour} code, {machine.cores} cores"
    yield f"vectors of {machine.vector_bytes} bytes, {machine.vector_registers} registers"
    yield f"caches {readable_size(machine.level1_cache)} and {readable_size(machine.level2_cache)}"
    yield f"work-groups up to {machine.work_group_limit} items with {readable_size(machine.local_memory)}"
    yield f"up to {capabilities.argument_limit} buffers a kernel"
    yield _dtypes(capabilities.dtypes)
    storage = sorted(dtype.name for dtype in capabilities.dtypes if accumulator(dtype) is not dtype)
    if storage:
        yield f"computed in float32: {', '.join(storage)}"


def _dtypes(dtypes: frozenset[DType]) -> str:
    return f"dtypes {', '.join(sorted(dtype.name for dtype in dtypes))}"


def _cache() -> Table:
    found = list(eviction.files())
    size = readable_size(sum(each.size for each in found))
    table = _table("\nCache (python -m lazygrad cache)", "folder", "contents")
    most = f"at most {readable_size(eviction.limit())}"
    table.add_row(escape(str(cache_folder())), f"{len(found)} files, {size} of {most}; may be deleted at any time")
    return table


def _variables() -> Table:
    table = _table("\nEnvironment variables", "name", "value", "meaning")
    for variable in environment.VARIABLES:
        shown = environment.value(variable.name, f"unset: {variable.default}")
        table.add_row(variable.name, escape(shown), escape(variable.meaning))
    return table
