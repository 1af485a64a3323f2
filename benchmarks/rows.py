"""The rows of the table: what of a workload is measured, in which unit, and how its process is started.

A row's name is the workload's, for the time of a step; or a cost and the workload's: ``overhead/gpt_train_8x128``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from os import devnull
from pathlib import Path

from benchmarks.contestants import Contestant
from benchmarks.workloads import Workload, named, processor_names

STEP = "step"
# Where compilers keep what they have compiled: each gets a folder of its own, and finds it empty or full.
CACHE_VARIABLES = (
    "LAZYGRAD_CACHE", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR", "CACHEDB",
)  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """A figure that a process of its own gives.

    Attributes:
        unit: of the figure.
        function: its name in ``benchmarks.costs``.
        is_cold: whether the process begins with empty caches; else they are filled by another process before.
        needs_workload: whether it is one for each training step.
        takes_part: whether a contestant has such a figure.
        environment: what the process must find in its environment.
        target: what lazygrad is to reach at most, by the contestant's mode and the workload's name.
    """

    unit: str
    function: str
    is_cold: bool = False
    needs_workload: bool = True
    takes_part: Callable[[Contestant], bool] = lambda contestant: True
    environment: Mapping[str, str] | None = None
    targets: Mapping[tuple[str, str], float] | None = None


def _has_own_clock(contestant: Contestant) -> bool:
    return contestant.kind in ("opencl", "triton")


_RESNET, _GPT = "resnet18_train_32x64x64", "gpt_train_8x128"
COSTS = {
    "first_cold": Cost(
        "s", "first", is_cold=True, targets={("plain", _RESNET): 6.0, ("plain", _GPT): 6.0}
    ),
    "first_warm": Cost("s", "first", targets={("plain", _RESNET): 0.8, ("plain", _GPT): 0.8}),
    "overhead": Cost(
        "ms", "overhead", takes_part=_has_own_clock, environment={"LAZYGRAD_PROFILE": devnull},
        targets={("plain", _RESNET): 25.0, ("compile", _RESNET): 1.0},
    ),
    "memory": Cost("MiB", "memory"),
    "import": Cost("s", "importing", needs_workload=False),
}  # fmt: skip
# Training steps whose costs are rows unless the user asks for others.
COSTLY = ("resnet18_train_32x64x64", "resnet18_train_8x224x224", "gpt_train_8x128", "mlp_train_128")


@dataclass(frozen=True)
class Row:
    """``kind`` is "step", or a cost's name."""

    name: str
    kind: str = STEP
    workload: Workload | None = None

    @property
    def unit(self) -> str:
        """Of all its figures."""
        return "ms" if self.kind == STEP else COSTS[self.kind].unit

    def target_of(self, contestant: Contestant) -> float | None:
        """What lazygrad is to reach at most, in the row's unit, where that is said for a cost."""
        targets = COSTS[self.kind].targets or {}
        name = self.workload.name if self.workload is not None else ""
        return targets.get((contestant.mode, name)) if contestant.kind == "opencl" else None

    def takes_part(self, contestant: Contestant) -> bool:
        """Whether there is such a figure of a contestant, different from those of the others."""
        if self.kind == STEP:
            return not contestant.images_only or (self.workload is not None and self.workload.images)
        if self.kind == "import" and contestant.mode not in ("", "plain", "eager"):
            return False
        return COSTS[self.kind].takes_part(contestant) and not contestant.images_only


def row(name: str, tiny: bool = False) -> Row:
    """The row of a name; KeyError where there is none."""
    kind, slash, workload = name.rpartition("/")
    if name in COSTS and not COSTS[name].needs_workload:
        return Row(name, name)
    if slash:
        if kind not in COSTS or not COSTS[kind].needs_workload:
            raise KeyError(name)
        return Row(name, kind, named(workload, tiny))
    return Row(name, workload=named(name, tiny))


def usual_names() -> list[str]:
    """Of all rows that are measured unless the user chooses, whole programs and their costs first."""
    steps = processor_names()
    costs = [f"{kind}/{name}" for kind, cost in COSTS.items() if cost.needs_workload for name in COSTLY]
    whole = [name for name in steps if named(name).whole]
    return [*whole, *costs, "import", *(name for name in steps if name not in whole)]


def selected(patterns: Sequence[str] | None, names: Iterable[str] | None = None, tiny: bool = False) -> list[Row]:
    """The rows that shell-like patterns stand for; any row's exact name is one, too.

    KeyError where a pattern stands for none.
    """
    known = list(usual_names() if names is None else names)
    if patterns is None:
        return [row(name, tiny) for name in known]
    found: dict[str, None] = {}
    for pattern in patterns:
        fitting = [name for name in known if fnmatchcase(name, pattern)]
        found |= dict.fromkeys(fitting or [pattern])
    return [row(name, tiny) for name in found]


def cache_environment(folder: Path) -> dict[str, str]:
    """Has all compilers keep what they compile below a folder."""
    return {
        name: str(folder / name.lower() / "cache.db") if name == "CACHEDB" else str(folder / name.lower())
        for name in CACHE_VARIABLES
    }
