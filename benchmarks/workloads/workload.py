"""What a workload is: one definition that is built in lazygrad and in torch alike, with what it must do at least."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.frameworks import Framework

# How products are computed: float32 ("highest"), TensorFloat32 ("high"), or bfloat16 operands.
Precision = Literal["highest", "high", "bfloat16"]


@dataclass(frozen=True)
class Run:
    """A workload built in a framework.

    ``step`` does it once and returns what has to be computed by then. ``left_behind`` names what a step leaves
    besides, so that it can be compared: gradients, parameters.
    """

    step: Callable[[], Sequence[Any]]
    left_behind: Callable[[], Mapping[str, Any]] = field(default=dict)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One line of the table.

    Attributes:
        name: what the user types after ``--only``.
        build: makes it in a framework; ``"highest"`` makes the reference that others are compared with.
        precision: what the contestants compute in.
        flops: arithmetic that must be done, additions and multiplications; 0 where it says nothing.
        bytes: what must be moved at least, every input read and every result written once; 0 where it says nothing.
        steps: how many steps are compared; more than one where a step changes what the next one computes.
        depth: by how much rounding errors grow on the way through layers.
        images: whether activations are images, which torch computes faster with channels last on some devices.
        launch_bound: whether launching is most of the work; torch.compile then records CUDA graphs.
        limit: seconds after which all contestants together are given up.
    """

    name: str
    build: Callable[[Framework, Precision], Run]
    precision: Precision
    flops: float = 0
    bytes: float = 0
    steps: int = 1
    depth: float = 1
    images: bool = False
    launch_bound: bool = False
    limit: float = 40
