"""Who takes part: a framework, on a device, run in one of its modes.

    opencl compile          opencl:1 plain          triton plain          numpy plain
    torch eager             torch compile           torch eager channels last
    torch:cuda eager        jax                     tinygrad

The first word is a lazygrad device, or a peer with its own device behind a colon. A selection such as ``torch`` stands
for all contestants whose names begin with its words.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import NamedTuple

from benchmarks.frameworks import Framework

CHANNELS_LAST = "channels last"
TINYGRAD_DEVICE = "CPU"
LAZYGRAD_DEVICES = ("opencl", "triton", "numpy")
# Where torch.compile looks for a compiler of C++, which it needs on processors.
CPP_COMPILERS = ("g++", "clang++", "c++")


@dataclass(frozen=True)
class Contestant:
    """``kind`` is "numpy", "opencl", "triton", "torch", "jax" or "tinygrad"; ``device`` what stands behind the colon.

    ``cores``: on how many of the machine's; 0 for all of them.
    """

    kind: str
    device: str = ""
    mode: str = ""
    cores: int = 0

    @property
    def place(self) -> str:
        """Its first word, which for lazygrad is a device's name."""
        return f"{self.kind}:{self.device}" if self.device else self.kind

    @property
    def name(self) -> str:
        """What the user types, and, where cores were chosen, on how many it ran."""
        return " ".join(filter(None, (self.place, self.mode))) + (f" @{self.cores}" if self.cores else "")

    @property
    def is_lazygrad(self) -> bool:
        """Whether it is one of ours."""
        return self.kind in LAZYGRAD_DEVICES

    @property
    def images_only(self) -> bool:
        """Whether it differs from another contestant for images only."""
        return self.mode.endswith(CHANNELS_LAST)

    def environment(self) -> dict[str, str]:
        """What its process must find in its environment before it imports anything."""
        found = {"LAZYGRAD_DEVICE": self.place} if self.is_lazygrad else {}
        if self.kind == "tinygrad":
            found["DEV"] = self.device or TINYGRAD_DEVICE
        if self.cores:
            threads = str(self.cores)
            found |= {"POCL_MAX_PTHREAD_COUNT": threads, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        return found

    def restrict(self) -> None:
        """Lets the present process run on ``cores`` cores only, before it starts any thread."""
        if self.cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: self.cores])

    def framework(self) -> Framework:
        """Imports and opens it."""
        return FAMILIES[self.kind].open(self)


def _lazygrad(contestant: Contestant) -> Framework:
    from benchmarks.frameworks.lazygrad import Lazygrad

    return Lazygrad(contestant.place, contestant.mode == "compile")


def _torch(contestant: Contestant) -> Framework:
    from benchmarks.frameworks.torch import Torch

    compile = contestant.mode.startswith("compile")
    return Torch(contestant.device or "cpu", compile, contestant.images_only, contestant.cores)


def _jax(contestant: Contestant) -> Framework:
    from benchmarks.frameworks.jax import Jax

    return Jax(contestant.device or "cpu")


def _tinygrad(contestant: Contestant) -> Framework:
    from benchmarks.frameworks.tinygrad import Tinygrad

    return Tinygrad(contestant.device or TINYGRAD_DEVICE)


class Family(NamedTuple):
    """Contestants of one kind: how they are opened, the module that must be there, and their modes."""

    open: Callable[[Contestant], Framework]
    module: str
    modes: Sequence[str]


_TORCH_MODES = ("eager", f"eager {CHANNELS_LAST}", "compile", f"compile {CHANNELS_LAST}")
FAMILIES = {
    "opencl": Family(_lazygrad, "pyopencl", ("plain", "compile")),
    "triton": Family(_lazygrad, "triton", ("plain", "compile")),
    "numpy": Family(_lazygrad, "numpy", ("plain",)),
    "torch": Family(_torch, "torch", _TORCH_MODES),
    "jax": Family(_jax, "jax", ("",)),
    "tinygrad": Family(_tinygrad, "tinygrad", ("",)),
}
# Those that take part unless the user chooses: the others are slower by far, and would be waited for.
USUAL = ("opencl", "torch")


def selected(words: Iterable[str]) -> list[Contestant]:
    """The contestants that selections stand for, in their order, each once.

    ValueError where there is none of a name.
    """
    found: dict[Contestant, None] = {}
    for selection in words:
        place, _, mode = selection.strip().partition(" ")
        kind, _, device = place.partition(":")
        if kind == "all":
            found |= dict.fromkeys(selected(FAMILIES))
            continue
        family = FAMILIES.get(kind)
        modes = () if family is None else [m for m in family.modes if f"{m} ".startswith(f"{mode} " if mode else "")]
        if not modes:
            known = "; ".join(f"{name} ({', '.join(f.modes)})" if f.modes[0] else name for name, f in FAMILIES.items())
            raise ValueError(f"there is no contestant {selection!r}; there are {known}; and all")
        found |= dict.fromkeys(Contestant(kind, device, m) for m in modes)
    return list(found)


def parse(name: str) -> Contestant:
    """The contestant of exactly this name."""
    words, _, cores = name.partition(" @")
    for contestant in selected([words]):
        if contestant.name == words:
            return replace(contestant, cores=int(cores or 0))
    raise ValueError(f"{name!r} stands for several contestants")


def on_cores(contestants: Sequence[Contestant], cores: Sequence[int]) -> list[Contestant]:
    """Each contestant with each number of cores; as it is where there are none."""
    return [replace(c, cores=n) for c in contestants for n in cores] if cores else list(contestants)


def hindrance(contestant: Contestant) -> str | None:
    """Why it cannot take part, as far as one can tell without starting it; None where nothing seems to be missing."""
    module = FAMILIES[contestant.kind].module
    if find_spec(module) is None:
        return f"{module} is not installed"
    if contestant.kind == "tinygrad" and contestant.device in ("", TINYGRAD_DEVICE):
        compiler = os.environ.get("CC", "clang")
        if shutil.which(compiler) is None:
            return f"tinygrad's processor device needs {compiler}"
    on_processor = contestant.kind == "torch" and contestant.device in ("", "cpu")
    if on_processor and contestant.mode.startswith("compile"):
        wanted = [os.environ["CXX"]] if "CXX" in os.environ else CPP_COMPILERS
        if not any(map(shutil.which, wanted)):
            return f"torch.compile needs a compiler of C++ ({', '.join(wanted)})"
    return None
