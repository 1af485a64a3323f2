"""From lazy nodes to results: the one entry through which everything runs."""

from __future__ import annotations

from collections.abc import Sequence, Set

from lazygrad.ir.node import Node
from lazygrad.runtime.buffer import Buffer
from lazygrad.runtime.device import CompilingDevice, Device, EvaluatingDevice
from lazygrad.runtime.registry import device


def realize(nodes: Sequence[Node], expendable: Set[Buffer] = frozenset()) -> None:
    """Computes the nodes: afterwards each one's ``result`` is a buffer. Work is submitted, not waited for.

    The elements of ``expendable`` buffers are needed for nothing else: their memory may be overwritten. Threads that
    want the same nodes compute them once. After an exception a device has either computed all of its nodes or none.
    """
    by_device: dict[str, list[Node]] = {}
    for candidate in dict.fromkeys(nodes):
        if candidate.result is None:
            by_device.setdefault(candidate.device, []).append(candidate)
    for name, waiting in by_device.items():
        opened = device(name)
        with opened.lock:
            # What another thread has computed while this one waited for the device is there now.
            roots = [root for root in waiting if root.result is None]
            if not roots:
                continue
            if len(roots) < len(waiting):  # a result may be an input, under another name
                expendable = expendable - {root.result for root in waiting}
            interrupted = opened.is_submitting
            if interrupted:  # by a finalizer or a signal's handler, between launches that may need everything
                expendable = frozenset()
            opened.is_submitting = True
            try:
                _compute(opened, roots, expendable)
            finally:
                opened.is_submitting = interrupted


def _compute(opened: Device, roots: Sequence[Node], expendable: Set[Buffer]) -> None:
    if isinstance(opened, EvaluatingDevice):
        opened.evaluate(roots)
    elif isinstance(opened, CompilingDevice):
        # Scheduler and kernels take a tenth of a second to import; whoever never compiles does not wait for them.
        from lazygrad.runtime.compiled import realize_compiled

        realize_compiled(opened, roots, expendable)
