"""From lazy nodes to results: the one entry through which everything runs."""

from __future__ import annotations

from collections.abc import Sequence

from lazygrad.ir.node import Node
from lazygrad.runtime.device import CompilingDevice, EvaluatingDevice
from lazygrad.runtime.registry import device


def realize(nodes: Sequence[Node]) -> None:
    """Computes the nodes: afterwards each one's ``result`` is a buffer. Work is submitted, not waited for."""
    by_device: dict[str, list[Node]] = {}
    for candidate in dict.fromkeys(nodes):
        if candidate.result is None:
            by_device.setdefault(candidate.device, []).append(candidate)
    for name, roots in by_device.items():
        opened = device(name)
        if isinstance(opened, EvaluatingDevice):
            opened.evaluate(roots)
        elif isinstance(opened, CompilingDevice):
            # Scheduler and kernels take a tenth of a second to import; whoever never compiles does not wait for them.
            from lazygrad.runtime.compiled import realize_compiled

            realize_compiled(opened, roots)
