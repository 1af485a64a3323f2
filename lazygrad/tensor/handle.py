"""The handle: how a tensor holds on to a lazy node, and under which identity it enters an operation.

In: nodes. Out: tensors, and for each tensor that takes part in an operation the node that stands for it
there.

A tensor owns a cell, and ``.data`` and ``.detach()`` share it, so that an in-place change of one is seen by
the other. What is held afterwards:

- A cell with ``history`` holds a node through which derivatives flow to leaves. Any other cell holds a bare
  value, and no leaf can be reached from it.
- A leaf that requires grad enters an operation as ``ops.leaf(value)``, a node that is unique to this tensor:
  equal values of two leaves, or of a leaf and a constant, are never taken for each other.
- A tensor with history enters as ``ops.detach(node)`` where nothing is recorded, so that what is computed
  under ``no_grad`` reaches no leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import TYPE_CHECKING, Any, ClassVar, TypeGuard
from weakref import WeakKeyDictionary, ref

from lazygrad import ops, runtime
from lazygrad.ir.node import Node
from lazygrad.ir.op import Family
from lazygrad.ops.identity import DETACH, LEAF
from lazygrad.ops.source import BUFFER
from lazygrad.runtime.per_thread import PerThread
from lazygrad.tensor.cells import Cell, expendable, has_superseded, settle, supersede, superseded, value_of
from lazygrad.tensor.deposit import Depositor
from lazygrad.tensor.grad_mode import SWITCH
from lazygrad.tensor.recording import RECORDING

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor

# A graph of more operations one behind the other than this computes itself, so that a loop which only ever
# adds to a tensor cannot grow without end. Far above the depth of networks: flushing one would compute its
# forward pass twice.
DEPTH_LIMIT = 10_000


# For each leaf node the tensor whose ``.grad`` it fills.
LEAF_OWNERS: WeakKeyDictionary[Node, ref[Handle]] = WeakKeyDictionary()


# Cells that in-place methods or backward() left to be computed with the thread's next submission, by id, in order. Each
# thread has its own: what others have pending would give every step another graph.
# Values of a WeakValueDictionary would do, which takes four times as long for what each step does with each parameter.
_PENDING: PerThread[dict[int, ref[Cell]]] = PerThread(dict)


class Handle(Depositor):
    """The part of Tensor that owns the node; Tensor is its one subclass."""

    __slots__ = (
        "__weakref__",
        "_cell",
        "_grad",
        "_hooks",
        "_leaf",
        "_origin",
        "_requires_grad",
        "_retains_grad",
    )

    _deposited = "_grad"
    tensor_class: ClassVar[type[Tensor]]

    _cell: Cell
    _grad: Tensor | None
    _hooks: dict[int, Any] | None
    _leaf: Node | None
    _origin: ref[Handle] | None
    _requires_grad: bool
    _retains_grad: bool

    def _set(self, cell: Cell, requires_grad: bool) -> None:
        self._cell = cell
        self._requires_grad = requires_grad
        self._grad = self._hooks = self._leaf = self._origin = None
        self._retains_grad = False

    @property
    def _node(self) -> Node:
        """The node that stands for this tensor in a graph: its leaf node, or its value."""
        cell = self._cell
        if RECORDING.recorder is not None:
            RECORDING.recorder.enter(cell)
        return self._leaf_node() if self._requires_grad and not cell.history else value_of(cell)

    def _enter(self) -> Node:
        """The node under which this tensor takes part in an operation now."""
        cell = self._cell
        if RECORDING.recorder is not None:
            RECORDING.recorder.enter(cell)
        node = value_of(cell)
        if cell.history:
            return node if self._requires_grad and SWITCH.enabled else ops.detach(node)
        if node.result is not None and node.op is not BUFFER:
            # Computed in the meantime: the graph behind the value may die.
            settle(cell, node, node.result)
            node = value_of(cell)
            cell.depth = 0
        return self._leaf_node() if self._requires_grad and SWITCH.enabled else node

    def _leaf_node(self) -> Node:
        value = value_of(self._cell)
        leaf = self._leaf
        if leaf is not None and leaf.inputs[0] is value:
            return leaf
        if value.result is None and value.op.family is not Family.SOURCE and RECORDING.recorder is None:
            # A leaf whose value is still an expression. Fresh random numbers are computed for themselves; an
            # updated parameter begins a new step, and all that is pending is computed with it, or each step's
            # graph would contain all steps before it.
            if self._cell.depth:
                flush([self._cell])
            else:
                compute([self._cell])
            value = value_of(self._cell)
        self._leaf = leaf = ops.leaf(value)
        LEAF_OWNERS[leaf] = ref(self)
        return leaf

    def _rebind(self, node: Node, history: bool, depth: int) -> None:
        """What every in-place method ends in: this tensor and its detached twins are ``node`` now."""
        cell = self._cell
        if cell.history and not self._requires_grad:
            if self._origin is not None and self._origin() is not None:
                raise RuntimeError(
                    "a detached twin of a tensor with autograd history cannot be changed in place: the "
                    "history would no longer tell the value; use x.detach().clone()"
                )
            self._cell = cell = Cell(node)
        if history:
            self._requires_grad = True
        supersede(cell, node)
        cell.history, cell.depth, cell.name = history, depth, None
        if not history and node.op.family is not Family.SOURCE:
            submit_later(cell)


def wrap(node: Node, *operands: object, name: str | None = None) -> Tensor:
    """The tensor of a new node, which requires grad when an operand does and gradients are recorded.

    Args:
        node: the result.
        operands: what it was computed of; those that are no tensors are passed over.
        name: torch's name of the function, where the node's own operation does not tell; "Sum/1" is printed
            as SumBackward1.
    """
    history = False
    depth = 0
    for operand in operands:
        if isinstance(operand, Handle):
            if operand._requires_grad:
                history = True
            if operand._cell.depth > depth:
                depth = operand._cell.depth
    history = history and SWITCH.enabled and node.dtype.is_float
    cell = Cell(node, history, depth + 1, name)
    made = tensor_of(cell, history)
    if depth >= DEPTH_LIMIT and RECORDING.recorder is None:
        compute([cell])
    return made


def leaf_tensor(node: Node, requires_grad: bool = False) -> Tensor:
    """The tensor of a new node without history."""
    if requires_grad and not node.dtype.is_float:
        raise RuntimeError("Only Tensors of floating point dtype can require gradients")
    return tensor_of(Cell(node), requires_grad)


def tensor_of(cell: Cell, requires_grad: bool = False, kind: type[Tensor] | None = None) -> Tensor:
    """A tensor that owns ``cell``, of class ``kind`` (Tensor unless given)."""
    made = object.__new__(kind or Handle.tensor_class)
    made._set(cell, requires_grad)
    return made


def is_tensor(value: object) -> TypeGuard[Tensor]:
    """Whether ``value`` is a tensor."""
    return isinstance(value, Handle)


def named(tensor: Tensor, name: str) -> Tensor:
    """``tensor``, known as the result of torch's function ``name`` when its ``grad_fn`` is printed."""
    tensor._cell.name = name
    return tensor


def submit_later(cell: Cell) -> None:
    """Has ``cell`` computed with the next submission, if somebody still holds it then."""
    pending = _PENDING.own
    key = id(cell)
    known = pending.get(key)
    if known is not None:
        if known() is cell:
            return
        pending.pop(key, None)  # a cell that has died had the number
    pending[key] = ref(cell)


def pending_cells() -> list[Cell]:
    """The cells that wait for the next submission, in the order in which they came to wait."""
    pending = _PENDING.own
    found = [(key, entry()) for key, entry in pending.copy().items()]
    for key, cell in found:
        if cell is None:
            entry = pending.pop(key, None)
            if entry is not None and entry() is not None:  # a finalizer's cell has got the number meanwhile
                pending[key] = entry
    return [cell for _, cell in found if cell is not None]


def forget_pending(cell: Cell) -> None:
    """Takes ``submit_later`` back."""
    _PENDING.own.pop(id(cell), None)


def flush(cells: Iterable[Cell]) -> None:
    """Computes the cells and all that is pending in one submission, in the memory of what updates in place replace."""
    if RECORDING.recorder is not None:
        RECORDING.recorder.settle(list(cells))
        return
    if not _PENDING.own and not has_superseded() and all(cell.node.op is BUFFER for cell in cells):
        return  # as after a compiled function
    chosen = list(dict.fromkeys((*cells, *pending_cells())))
    # In this order: a finalizer or another thread may update the cells at any line.
    replaced = superseded()
    nodes = [value_of(cell) for cell in chosen]
    old, readers = expendable(chosen, replaced)
    try:
        _compute([*chosen, *readers], [*nodes, *map(value_of, readers)], old)
    except BaseException:
        # They may be what cannot be computed, and would take every later submission with them.
        pending = _PENDING.own
        for cell in chosen:
            pending.pop(id(cell), None)
        raise


def compute(cells: list[Cell]) -> None:
    """Computes the cells in one submission. Those without history hold a buffer afterwards, and no graph."""
    if RECORDING.recorder is not None:
        RECORDING.recorder.settle(cells)
        return
    _compute(cells, [value_of(cell) for cell in cells])


def _compute(cells: list[Cell], nodes: list[Node], old: Set[runtime.Buffer] = frozenset()) -> None:
    """Computes the nodes of the cells. The buffers ``old`` may be overwritten."""
    roots = [_root(node) for node in nodes]
    waiting = [root for root in roots if root.result is None]
    if waiting:
        if old and len(waiting) < len(roots):  # another thread may have computed what reads them, as being the same
            old = old - {root.result for root in roots}
        runtime.realize(waiting, old)
    pending = _PENDING.own
    for cell, node, root in zip(cells, nodes, roots, strict=True):
        if cell.node is not node:  # updated in the meantime, by another thread or a finalizer
            continue
        cell.depth = 0
        if not cell.history and node.op is not BUFFER:
            settle(cell, node, root.result)
        pending.pop(id(cell), None)


def _root(node: Node) -> Node:
    """The node to compute for the value of ``node``."""
    if node.result is None:
        if node.op.family is Family.SOURCE:
            # Constants are shared by all graphs and must stay constants there: compute a twin.
            return ops.leaf(node)
        if node.op in (LEAF, DETACH) and node.inputs[0].result is not None:
            node.result = node.inputs[0].result
    return node
