"""From generated files to machine code, compiled once and kept on disk.

In: generated sources. Out: a ``Binary`` for each launch of each. On disk, below
``<cache>/triton/<target and version>/``, lie

    <kernel>_<hash>.py           the generated file, for people
    <function>_<hash>.binary     the machine code of a function, its assembly and what a launch needs to know

What is on disk is found without importing Triton. What is not is compiled by Triton in processes beside this one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lazygrad.ir.node import user_place
from lazygrad.kernel.kernel import Kernel
from lazygrad.runtime import Alternative, BackendError, CompileError
from lazygrad.runtime.cache import Store, digest
from lazygrad.runtime.statistics import total
from lazygrad_triton import versions
from lazygrad_triton.binaries import Binary, Target
from lazygrad_triton.files import HASH_LENGTH, NAME_LENGTH, keep
from lazygrad_triton.generated import GeneratedSource, Launch
from lazygrad_triton.remembered import Remembered
from lazygrad_triton.signature import Signature, signature
from lazygrad_triton.worker import Compiled, Job, Refused
from lazygrad_triton.workers import TritonWorkers

# a * b + c may become one fused operation, as on every other device; nothing else is relaxed.
OPTIONS = {"enable_fp_fusion": True}
# Nobody reads more of a compiler's output than this.
MESSAGE_LINES = 60
_workers = TritonWorkers()


@dataclass(frozen=True)
class Request:
    """A file to compile. ``aligned`` promises that offsets are multiples of 16, which makes wider loads."""

    name: str
    source: GeneratedSource
    signature: Signature
    aligned: bool = True


class Compiler:
    """Compiles for one target. BackendError when there is no Triton that can be used."""

    def __init__(self, target: Target) -> None:
        version = versions.installed_version()
        if version is None:
            raise BackendError("Triton is not installed; pip install 'lazygrad[triton]'")
        self.target = target
        self._version = version
        self.identity = f"{target.name}-triton-{version}"
        self.store = Store("triton", self.identity)

    def build(self, requests: Sequence[Request]) -> list[tuple[Binary, ...]]:
        """The binaries of each request, one for each launch; from disk or from Triton.

        CompileError names the kernel, the user's line, the generated file, and has what Triton said.
        """
        wanted = [(each, launch, self._entry(each, launch)) for each in requests for launch in each.source.launches]
        known: dict[str, Binary] = {}
        missing: dict[str, tuple[Request, Launch]] = {}
        for request, launch, entry in wanted:
            if entry not in known and entry not in missing:
                found = self._read(entry)
                if found is None:
                    missing[entry] = (request, launch)
                else:
                    known[entry] = found
                    total.programs_loaded += 1
        built = {request for request, _ in missing.values()}
        total.kernels_built += len(built)
        total.kernels_loaded += len(set(requests) - built)
        known.update(self._compile(missing))
        entries = iter(entry for _, _, entry in wanted)
        return [tuple(known[next(entries)] for _ in request.source.launches) for request in requests]

    def load(self, wanted: Sequence[Sequence[str]]) -> list[tuple[Binary, ...]] | None:
        """The binaries of several programs by the names of their entries; None when one is not on disk."""
        known: dict[str, Binary] = {}
        for name in dict.fromkeys(name for names in wanted for name in names):
            found = self._read(name)
            if found is None:
                return None
            known[name] = found
        total.programs_loaded += len(known)
        total.kernels_loaded += len(wanted)
        return [tuple(known[name] for name in names) for names in wanted]

    def remembered(self, kernel: Kernel, alternative: Alternative, source: GeneratedSource) -> Remembered:
        """What ``load`` and a launch need to know of a program."""
        requests = [Request(kernel.name, source, signature(kernel), aligned) for aligned in (True, False)]
        aligned, unaligned = (tuple(self._entry(request, launch) for launch in source.launches) for request in requests)
        movable = any(buffer.movable for buffer in kernel.buffers)
        return Remembered(source.launches, aligned, unaligned if movable else aligned, alternative)

    def _entry(self, request: Request, launch: Launch) -> str:
        job = self._job(request, launch, path="")
        hashed = digest(job.text, job.function, json.dumps([job.types, job.divisible, job.options]))
        return f"{launch.function[:NAME_LENGTH]}_{hashed[:HASH_LENGTH]}.binary"

    def _read(self, entry: str) -> Binary | None:
        data = self.store.read(entry)
        return None if data is None else Binary.from_bytes(data)

    def _job(self, request: Request, launch: Launch, path: str) -> Job:
        options: dict[str, Any] = {"num_warps": launch.warps, "num_stages": launch.stages, **OPTIONS}
        return Job(
            request.source.text, path, launch.function, request.signature.types,
            request.signature.divisible(request.aligned), *self.target, options,
        )  # fmt: skip

    def _compile(self, missing: dict[str, tuple[Request, Launch]]) -> dict[str, Binary]:
        if not missing:
            return {}
        paths = {request: keep(self.store, request.name, request.source.text) for request, _ in missing.values()}
        answers = _workers.compile([self._job(request, launch, paths[request]) for request, launch in missing.values()])
        made: dict[str, Binary] = {}
        refused: list[tuple[Request, Refused]] = []
        for (entry, (request, _)), answer in zip(missing.items(), answers, strict=True):
            if isinstance(answer, Refused):
                refused.append((request, answer))
                continue
            made[entry] = self._binary(answer)
            self.store.write(entry, made[entry].to_bytes())
            total.programs_built += 1
        if refused:
            request, answer = refused[0]
            raise self._error(request, paths[request], answer)
        return made

    def _binary(self, compiled: Compiled) -> Binary:
        numbers = compiled.metadata
        return Binary(
            target=self.target,
            function=numbers["name"],
            code=compiled.binary,
            assembly=compiled.assembly,
            threads=numbers["warps"] * self.target.warp_size,
            shared=numbers["shared"],
            scratch=tuple(numbers["scratch"]),
        )

    def _error(self, request: Request, path: str, refused: Refused) -> CompileError:
        said = refused.message.strip().split("\n")
        if len(said) > MESSAGE_LINES:
            said = [*said[:MESSAGE_LINES], f"... and {len(said) - MESSAGE_LINES} more lines"]
        text = "\n".join(said)
        is_file = not path.startswith("<")
        return CompileError(
            f"Triton {self._version} refused generated source for {self.target.name}: kernel {request.name}, needed at "
            f"{user_place() or 'an unknown line'}. The source is {f'in {path}' if is_file else 'below'}. "
            f"Triton says:\n{text}" + ("" if is_file else f"\n{request.source.text}")
        )


def compile_source(kernel: Kernel, source: GeneratedSource, target: Target, aligned: bool = True) -> tuple[Binary, ...]:
    """The binaries of one kernel's file, one for each launch, for any target; no device is needed."""
    (binaries,) = Compiler(target).build([Request(kernel.name, source, signature(kernel), aligned)])
    return binaries
