"""What a replay may overwrite: state and gradients whose old values nobody needs any more.

In: what a replay looks at. Out: the slots of leaves whose memory new values take, and the last gradients that new ones
overwrite. Who else holds a value is told by counts of references, and by the thread that writes its cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import get_ident

from lazygrad.capture.outside import gradient_references, own_gradient_references, own_references, references
from lazygrad.capture.part import Part
from lazygrad.ops.source import BUFFER
from lazygrad.runtime import Buffer
from lazygrad.tensor import Tensor
from lazygrad.tensor.cells import expendable
from lazygrad.tensor.handle import compute


def replaceable(part: Part, whole: frozenset[int]) -> tuple[frozenset[int], frozenset[int]]:
    """The leaves of state that may be overwritten; and of these the ones that nobody but their tensor holds.

    ``whole``: all leaves of state that the program makes anew. Those that the part leaves out are settled.
    """
    own, thread = own_references(), get_ident()
    cells = [cell for _, cell in part.replaced]
    is_alone = [count == own for count in references(cells)]
    if all(is_alone) and all(cell.thread == thread for cell in cells):
        return whole, whole
    shared = []
    foreign = []
    for (slot, cell), alone in zip(part.replaced, is_alone, strict=True):
        if cell.thread != thread:  # its writer may be taking the value at this moment
            cell.thread = thread
            foreign.append(slot)
        elif not alone:
            shared.append((slot, cell))
    kept = whole.difference([slot for slot, _ in shared], foreign)
    cells = [cell for _, cell in shared]
    free, readers = expendable((), {cell.node.result for cell in cells}, cells)
    if readers:
        compute(readers)
    return kept.union([slot for slot, cell in shared if cell.node.result in free]), kept


def replaced_gradients(part: Part, leaves: Sequence[Buffer]) -> dict[int, Buffer]:
    """By slot of a new gradient the one of the last step, where nobody needs that: the new one takes its place."""
    found: dict[int, Buffer] = {}
    if not part.gradients:
        return found
    before = [made for made in part.gradients if is_computed(made.of._grad)]
    counts = gradient_references([made.of._grad for made in before])
    own = own_gradient_references()
    read = set(map(id, leaves))
    for (slot, declared, of), count in zip(before, counts, strict=True):
        gradient = of._grad
        buffer = gradient._cell.node.result
        is_like = buffer.layout == declared.layout and buffer.shape == declared.shape
        is_whole = buffer.dtype is declared.dtype and not buffer.is_window
        is_bare = gradient._hooks is None and not gradient._requires_grad
        if count == own and is_like and is_whole and is_bare and id(buffer) not in read:
            found[slot] = buffer
    return found


def is_computed(gradient: Tensor | None) -> bool:
    """Whether there is a gradient whose elements lie in memory."""
    return gradient is not None and gradient._cell.node.op is BUFFER
