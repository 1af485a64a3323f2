"""Cells: the values that tensors hold, and which of them an update in place may overwrite.

In: nodes. Out: cells, each held by a tensor and its detached twins. All live cells are known here, because memory may
be overwritten only if nobody can ask for its old elements any more.

An update in place leaves the old value *superseded*. When a flush computes the update, the old value's memory is free
for the new one, as in torch, unless another tensor has the same value (a clone, which costs nothing until then). Other
tensors that would be computed from the old value later are computed in the same flush. What a graph with history might
need it for, a second pass of ``backward``, raises an error that names the update.

Each cell has one thread that writes it, the last one that did. Another thread that takes its value says so (``share``)
before it uses it, and what is shared is never overwritten: an update in another thread, or in a finalizer that runs
there, gets new memory. No lock is needed: who takes a value marks it, then looks whether it is still the cell's; who
updates the cell does so first, and looks for marks afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import compress, repeat
from threading import get_ident
from weakref import WeakSet, ref

from lazygrad import ops
from lazygrad.ir.node import Node, all_inputs, topological
from lazygrad.ops.identity import DETACH, LEAF
from lazygrad.ops.source import BUFFER
from lazygrad.runtime import Buffer
from lazygrad.runtime.interrupts import undivided
from lazygrad.runtime.per_thread import PerThread
from lazygrad.tensor.deposit import Depositor
from lazygrad.tensor.recording import RECORDING

# No thread has this number.
NOBODY = 0
# Dead entries are dropped from the list of live cells when it has this many more than after the last time.
SWEEP_AFTER = 8192


class Cell(Depositor):
    """What a tensor and its detached twins share.

    ``depth`` is how many operations stand one behind the other before the value is known, ``name`` torch's
    name of the function that made it (for ``grad_fn``) where that is not the node's own. ``capture`` is the number of
    the capture in which it was made, 0 for none. ``thread`` is the one that writes it.
    """

    __slots__ = ("__weakref__", "capture", "depth", "history", "name", "node", "thread")

    _deposited = "node"

    def __init__(self, node: Node, history: bool = False, depth: int = 0, name: str | None = None) -> None:
        self.node = node
        self.history = history
        self.depth = depth
        self.name = name
        self.capture = RECORDING.number
        self.thread = get_ident()
        _LIVE.append(ref(self))
        if len(_LIVE) > _next_sweep:
            _entries()

    def without_history(self) -> Cell:
        """This cell, or for one with history a new cell that holds the bare value."""
        return Cell(ops.detach(self.node), depth=self.depth) if self.history else self


_LIVE: list[ref[Cell]] = []
_next_sweep = SWEEP_AFTER
_sweeping = threading.Lock()
# What updates in place have superseded in this thread. Another's are in the middle of steps: taking their memory would
# compute half of a step with this thread's.
_SUPERSEDED: PerThread[WeakSet[Buffer]] = PerThread(WeakSet)
# Nodes and buffers that a thread has taken from a cell which another writes.
_SHARED: WeakSet[Node | Buffer] = WeakSet()


def live_cells() -> list[Cell]:
    """Every cell that a tensor holds, in the order in which they were made."""
    return [cell for cell in (entry() for entry in _entries()) if cell is not None]


def held_values() -> set[Node]:
    """The nodes that tensors hold, of all threads."""
    return {node for _, node in _values()}


def _values() -> list[tuple[ref[Cell], Node]]:
    """The nodes of all live cells.

    The cells are not held, not even for the time of a few instructions: to other threads those of theirs would look
    alive that only this one holds, and be computed. Whatever runs in C alone is not divided.
    """
    entries = _entries()
    nodes: list[Node | None] = list(map(getattr, map(ref.__call__, entries), repeat("node"), repeat(None)))
    return [(entry, node) for entry, node in zip(entries, nodes, strict=True) if node is not None]


def _entries() -> list[ref[Cell]]:
    """The entries of all cells that are alive, and perhaps of others."""
    global _next_sweep
    with undivided:
        if not _sweeping.acquire(blocking=False):
            # Another thread sweeps; or this one, and the garbage collector has run a finalizer that computes something.
            return _LIVE[:]
        try:
            entries = _LIVE[:]
            kept = list(compress(entries, map(ref.__call__, entries)))
            _LIVE[: len(entries)] = kept  # others may have been added meanwhile
            _next_sweep = len(kept) + SWEEP_AFTER
            return kept
        finally:
            _sweeping.release()


def value_of(cell: Cell) -> Node:
    """The node of a cell, for a graph: nobody overwrites its elements until that is computed."""
    node = cell.node  # first this, then the thread: who takes the cell over writes them in the other order
    return node if cell.thread == get_ident() else share(cell)


def share(cell: Cell) -> Node:
    """The node of a cell that another thread writes; its elements will not be overwritten."""
    while True:
        node = cell.node
        _share(node)
        if cell.node is node:
            return node


def _share(value: Node) -> None:
    _SHARED.add(value)  # before the results are looked up: ``settle`` looks in the other order
    order = topological([value])
    if any(node.op.is_deferred for node in order):
        order = topological([value], all_inputs)
    for node in order:
        if node.result is not None:
            _SHARED.add(node.result)


def settle(cell: Cell, node: Node, result: Buffer) -> None:
    """The cell's ``node`` has been computed: it holds the buffer from now on, unless it has been updated meanwhile."""
    if node in _SHARED:
        _SHARED.add(result)
    if cell.node is node:
        cell.node = ops.buffer(result)


def supersede(cell: Cell, node: Node) -> None:
    """The cell is ``node`` from now on, and its old value needed no more, but for what others do with it."""
    thread = get_ident()
    old = cell.node  # before the thread is looked up, as in ``value_of``
    own = cell.thread == thread
    cell.thread = thread
    cell.node = node
    if cell.thread != thread:  # two threads at once: this may be the one's value with the other's name
        cell.thread = NOBODY
    if own and old.op is BUFFER:
        _SUPERSEDED.own.add(old.result)


def forget_superseded(buffers: Iterable[Buffer]) -> None:
    """Takes ``supersede`` back."""
    for buffer in buffers:
        _SUPERSEDED.own.discard(buffer)


def has_superseded() -> bool:
    """Whether ``superseded`` would give any."""
    return bool(_SUPERSEDED.own)


def superseded() -> set[Buffer]:
    """The values that updates in place have replaced since they were asked for the last time."""
    found = set(_SUPERSEDED.own)
    _SUPERSEDED.own.clear()
    return found


def expendable(
    computed: Iterable[Cell], old: set[Buffer], replaced: Iterable[Cell] = ()
) -> tuple[set[Buffer], list[Cell]]:
    """The ``old`` values that nobody needs once ``computed`` is; and further cells to compute for that.

    Cells that are ``replaced`` hold such a value now and will not any more.
    """
    if not old:
        return old, []
    # There is one weak reference to a cell, however often it is asked for.
    leaving = {id(ref(cell)) for cell in replaced}
    chosen = leaving.union(id(ref(cell)) for cell in computed)
    free = {buffer for buffer in old if buffer not in _SHARED}
    waiting: list[tuple[ref[Cell], Node]] = []
    for entry, value in _values():
        node = value
        while node.result is None and (node.op is LEAF or node.op is DETACH):
            node = node.inputs[0]
        if node.result is not None:
            if id(entry) not in leaving:
                free.discard(node.result)
        elif id(entry) not in chosen:
            waiting.append((entry, value))
    return free, _readers(waiting, free)


def _deferred_readers(order: list[Node], old: set[Buffer]) -> set[Node]:
    """The nodes among these whose deferred composition may read an old value, though their inputs are computed."""
    deferred = [node for node in order if node.op.is_deferred and node.result is None]
    behind: set[Node] = set()
    for node in topological([i for reader in deferred for i in reader.inputs], all_inputs):
        if (node.result is not None and node.result in old) or not behind.isdisjoint(node.inputs):
            behind.add(node)
    return {node for node in deferred if not behind.isdisjoint(node.inputs)}


def _readers(waiting: list[tuple[ref[Cell], Node]], old: set[Buffer]) -> list[Cell]:
    """The cells whose values depend on an old one."""
    order = topological([value for _, value in waiting])
    reading = _deferred_readers(order, old)
    for node in order:
        if (node.result is not None and node.result in old) or not reading.isdisjoint(node.inputs):
            reading.add(node)
    cells = [entry() for entry, value in waiting if value in reading]
    return [cell for cell in cells if cell is not None]
