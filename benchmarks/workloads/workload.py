"""What a workload is: one definition that is built in every framework alike, with what it must do at least."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.frameworks import Framework, Precision, Run

Build = Callable[[Framework, Precision], Run]
# Seconds for building, compiling and comparing: compilers of whole networks take minutes where there are few cores.
PATIENCE = 600.0
FLOAT32_BYTES = 4
# By how much rounding errors grow through a training step. In a ResNet activations within rounding of zero count,
# too: a ReLU or maximum that goes the other way is a jump in the gradients.
TRAINING_DEPTH = 10
RESNET_DEPTH = 30
# Updates show in what the next steps compute.
TRAINED_STEPS = 3


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One group of lines in the table.

    Attributes:
        name: what the user types after ``--only``.
        build: makes it in a framework; ``"highest"`` makes the reference that others are compared with.
        precision: what the contestants compute in.
        flops: arithmetic that must be done, additions and multiplications; 0 where it says nothing.
        bytes: what must be moved at least, every input read and every result written once; 0 where it says nothing.
        steps: how many steps are compared; more than one where a step changes what the next one computes.
        depth: by how much rounding errors grow on the way through layers.
        images: whether activations are images, which some frameworks compute faster with channels last.
        whole: whether it is a program of its own, with its own processes and memory, rather than one operation.
        target: what lazygrad is to reach at most on a processor, as a ratio to the best of torch.
        limit: seconds after which a contestant is given up.
    """

    name: str
    build: Build
    precision: Precision = "highest"
    flops: float = 0
    bytes: float = 0
    steps: int = 1
    depth: float = 1
    images: bool = False
    whole: bool = False
    target: float | None = None
    limit: float = PATIENCE
