"""Variants: one capture of a function, made into a program that can be replayed.

In: a trace. Out, for each call whose guards hold: the results, with all state updated in place. A replay runs no Python
code of the function: it reads numbers of the host, takes the buffers that its tensors have now, submits one program,
and binds tensors to what comes out.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple

from lazygrad import ops, runtime
from lazygrad.capture.explain import MemoryReport, VariantReport
from lazygrad.capture.guards import Guard, ObjectGuard
from lazygrad.capture.stand_in import StandIn
from lazygrad.capture.trace import CaptureError, Read, Trace, actual
from lazygrad.capture.trees import rebuild
from lazygrad.ir.dtype import float32
from lazygrad.ir.layout import Layout, row_major
from lazygrad.ir.node import Node, Place
from lazygrad.ir.shape import Shape, size_of
from lazygrad.ops.source import BUFFER
from lazygrad.runtime import Buffer, CompilingDevice, Device, EvaluatingDevice
from lazygrad.runtime.buffer import Allocation
from lazygrad.runtime.interrupts import undivided
from lazygrad.runtime.pool import size_class
from lazygrad.runtime.structure import Structure, linearize, substitute
from lazygrad.schedule.budget import Budget
from lazygrad.schedule.memory import lines_at_peak
from lazygrad.schedule.schedule import SlotDeclaration
from lazygrad.tensor import Tensor
from lazygrad.tensor.cells import Cell, expendable
from lazygrad.tensor.handle import compute, tensor_of

if TYPE_CHECKING:
    from lazygrad.runtime.executable import Executable


def _references(cell: Cell) -> tuple[int, int]:
    """How many references there are to the node of a cell's value, and to its buffer."""
    node = cell.node
    buffer = node.result
    return sys.getrefcount(node), sys.getrefcount(buffer)


@cache
def _own_references() -> tuple[int, int]:
    """The same for a value that nobody but its cell holds; which numbers these are depends on Python's version."""
    buffer = Buffer(Allocation(None, 0), (1,), float32, "none", row_major((1,)))
    cell = Cell(ops.buffer(buffer))
    del buffer
    return _references(cell)


def _gradient_references(of: Any) -> tuple[int, int, int, int, int]:
    """How many references there are to a tensor's gradient, and to all that it is made of."""
    gradient = of._grad
    cell = gradient._cell
    node = cell.node
    buffer = node.result
    allocation = buffer._allocation
    count = sys.getrefcount
    return count(gradient), count(cell), count(node), count(buffer), count(allocation)


@cache
def _own_gradient_references() -> tuple[int, int, int, int, int]:
    """The same for a gradient that nobody but its tensor holds."""
    of = tensor_of(Cell(ops.constant(0, (), float32, "none")))
    of._grad = tensor_of(Cell(ops.buffer(Buffer(Allocation(None, 0), (1,), float32, "none", row_major((1,))))))
    return _gradient_references(of)


class NeedsHistory(Exception):
    """The results can be differentiated, and the function did not differentiate them itself."""


class Leaf(NamedTuple):
    """Where a buffer that the program reads comes from: an argument, a tensor from outside, or a constant.

    ``view``: of a part of it, shape, layout and offset.
    """

    argument: int | None
    cell: Cell | None
    constant: Buffer | None
    view: tuple[Shape, Layout, int] | None


class Gradient(NamedTuple):
    """A tensor whose ``.grad`` becomes a new tensor."""

    of: Tensor


class _Made(NamedTuple):
    """A result that the program computes."""

    number: int


class _Given(NamedTuple):
    """A result that is an argument."""

    argument: int


class _Outside(NamedTuple):
    """A result that is a tensor from outside."""

    tensor: Tensor


class Variant:
    """One captured program. ``left`` are values that the function made and left with somebody else."""

    def __init__(self, trace: Trace, arguments: Sequence[Tensor], result: Any, left: Sequence[Cell]) -> None:
        self.guards: tuple[Guard | ObjectGuard, ...] = tuple(trace.guards)
        self.actions = tuple(trace.actions)
        self._made: dict[int, int] = {}  # ids of the tensors that the function returned: the number of their root
        self._argument_of = {id(t._cell): number for number, t in reversed(list(enumerate(arguments)))}
        roots: list[Node] = []
        self.targets: list[Cell | Gradient | int | None] = []
        self._result = rebuild(result, lambda tensor: self._output(trace, tensor, roots))
        for before in trace.changed():
            cell = before.cell
            if cell.history:
                raise NeedsHistory
            roots.append(cell.node)
            self.targets.append(self._argument_of.get(id(cell), cell))
        self.unset: list[Tensor] = []
        for tensor, gradient in trace.gradients.values():
            if tensor._grad is None:
                self.unset += [tensor]
            elif tensor._grad is not gradient and trace.is_inside(tensor._grad._cell):
                roots.append(ops.detach(tensor._grad._cell.node))
                self.targets.append(Gradient(tensor))
            elif tensor._grad is not gradient:
                raise CaptureError(f"{trace.name}: .grad is set to a tensor from outside; set it outside the function")
        for cell in left:
            roots.append(ops.detach(cell.node) if cell.history else cell.node)
            self.targets.append(cell)
        self._describe_program(trace, roots)

    def _output(self, trace: Trace, tensor: Tensor, roots: list[Node]) -> Any:
        cell = tensor._cell
        if not trace.is_inside(cell):
            number = self._argument_of.get(id(cell))
            return _Given(number) if number is not None else _Outside(tensor)
        known = self._made.get(id(tensor))
        if known is None:
            if cell.history and tensor._requires_grad and not trace.has_backward:
                raise NeedsHistory
            known = self._made[id(tensor)] = len(roots)
            roots.append(ops.detach(cell.node) if cell.history else cell.node)
            self.targets.append(None)
        return _Made(known)

    # ---- the program

    def _describe_program(self, trace: Trace, roots: Sequence[Node]) -> None:
        self.shapes = [(root.shape, root.dtype) for root in roots]
        devices = {root.device for root in roots}
        if len(devices) > 1:
            raise CaptureError(
                f"{trace.name} computes on {' and '.join(sorted(devices))}; a compiled function has one device. "
                "Compile the parts that run on one device each"
            )
        self.device = runtime.device(devices.pop()) if devices else None
        # Kernels have at least one point; the reference has no kernels.
        skips_empty = isinstance(self.device, CompilingDevice)
        self.computed = [number for number, root in enumerate(roots) if size_of(root.shape) or not skips_empty]
        self.place: Place | None = roots[0].place if roots else None
        self.structure: Structure = linearize([roots[number] for number in self.computed])
        cell_of = {id(before.stand_in.allocation): before.cell for before in trace.known.values()}
        self._layouts = [
            (cell, before.stand_in.layout, before.stand_in.is_window, self._argument_of.get(id(cell)))
            for cell, before in trace.known.items()
        ]
        self.leaves = [self._leaf(buffer, cell_of) for buffer in self.structure.leaves]
        changed = {id(before.cell) for before in trace.changed()}
        self.replaced = [
            (slot, leaf.cell)
            for slot, leaf in enumerate(self.leaves)
            if leaf.view is None and leaf.cell is not None and id(leaf.cell) in changed
        ]
        self._all_replaced = frozenset(slot for slot, _ in self.replaced)
        self.executable: Executable | None = None
        self._gradients: list[tuple[int, SlotDeclaration, Tensor]] = []  # the slots of results that are gradients

    def build(self, memory_budget: int | None = None) -> None:
        """Finds or makes schedule and programs, with a budget such that no more bytes are needed."""
        if isinstance(self.device, CompilingDevice) and self.computed:
            from lazygrad.runtime.compiled import find

            with self.device.lock:
                budget = None if memory_budget is None else Budget(memory_budget, self._all_replaced)
                self.executable = find(self.device, self.structure, budget)
            leaves, declared = self.executable.schedule.leaves, self.executable.schedule.slots
            slots = dict(zip(self.computed, self.executable.schedule.roots, strict=True))
            self._gradients = [
                (slots[number], declared[slots[number] - leaves], target.of)
                for number, target in enumerate(self.targets)
                if isinstance(target, Gradient) and slots.get(number, -1) >= leaves
            ]
            # The graph has done its part; the arguments' numbers are all that is read again.
            self.structure = self.structure._replace(order=[], steps=(), leaves=[])

    def _leaf(self, buffer: Buffer, cell_of: dict[int, Cell]) -> Leaf:
        cell = cell_of.get(id(buffer.allocation))
        if cell is None:
            return Leaf(None, None, buffer, None)
        view = None if isinstance(buffer, StandIn) else (buffer.shape, buffer.layout, buffer.offset)
        number = self._argument_of.get(id(cell))
        return Leaf(number, None if number is not None else cell, None, view)

    def keep(self, objects: Sequence[object]) -> None:
        """Keeps what guards know by identity alive, so that no other object takes its place."""
        self._kept = tuple(objects)

    def report(self, why: str, kept: bool) -> VariantReport:
        """What the program is and why there is it."""
        kernels: tuple[str, ...] = ()
        arena = 0
        if self.executable is not None:
            assert isinstance(self.device, CompilingDevice)
            kernels = tuple(kernel.name for kernel in self.executable.kernels)
            arena = self.executable.memory(self.device, self._all_replaced).arena
        state = {id(leaf.cell): leaf.cell for leaf in self.leaves if leaf.cell is not None}
        sizes = [size_of(shape) * dtype.itemsize for shape, dtype in self.shapes]
        made = [size for size, target in zip(sizes, self.targets, strict=True) if not isinstance(target, (Cell, int))]
        return VariantReport(
            why,
            tuple(guard.what for guard in self.guards),
            kernels,
            arena,
            sum(made),
            sum(size_of(cell.node.shape) * cell.node.dtype.itemsize for cell in state.values()),
            kept,
        )

    def memory(self) -> MemoryReport:
        """What the next replay will need."""
        if self.executable is None or not isinstance(self.device, CompilingDevice):
            return MemoryReport(0, 0, 0, 0, ())
        executable, prepared = self.executable.standing()
        plan = executable.memory(self.device, self._replaceable()[0])
        schedule = executable.schedule
        results = [
            size_class(slot.size)
            for slot, offset, donor in zip(schedule.slots, plan.offsets, plan.donors, strict=True)
            if offset is None and donor is None
        ]
        arena = size_class(plan.arena) if plan.arena else 0
        arena += self.device.scratch_growth(executable.scratch_bytes)
        live = self.device.pool.statistics().live
        return MemoryReport(live, prepared, sum(results), arena, lines_at_peak(schedule))

    # ---- calls

    def difference(self, arguments: Sequence[Tensor]) -> str | None:
        """None when this variant is right for a call, else what is different."""
        for guard in self.guards:
            found = guard.difference()
            if found is not None:
                return found
        for cell, layout, is_window, number in self._layouts:
            now = cell if number is None else arguments[number]._cell
            buffer = now.node.result or actual(now)
            if (buffer.layout is not layout and buffer.layout != layout) or buffer.is_window is not is_window:
                what = "a tensor from outside" if number is None else f"argument {number}"
                return f"{what} lies in memory in another way, or is a part of a larger tensor"
        return None

    def replay(self, arguments: Sequence[Tensor], acted: bool = False) -> Any:
        """The function's result. ``acted``: numbers and counters of the host are those of this call already."""
        if not acted:
            for action in self.actions:
                if isinstance(action, Read):
                    action.argument.attributes.handle.value = action.read()
                else:
                    action()
        results = self._run(arguments)
        made: dict[int, Tensor] = {}

        def value(of: Any) -> Any:
            if isinstance(of, _Outside):
                return of.tensor
            if isinstance(of, _Given):
                return arguments[of.argument]
            if of.number not in made:
                made[of.number] = tensor_of(Cell(ops.buffer(results[of.number])))
            return made[of.number]

        return rebuild(self._result, value, (_Made, _Given, _Outside))

    def _run(self, arguments: Sequence[Tensor]) -> list[Buffer]:
        device = self.device
        if device is None:
            self._bind((), arguments)
            return []
        with device.lock:
            interrupted = device.is_submitting  # by a finalizer, between launches that may need everything
            donated, kept = (frozenset(), frozenset()) if interrupted else self._replaceable()
            device.is_submitting = True
            try:
                results = self._submit(device, arguments, donated, kept, interrupted)
            finally:
                device.is_submitting = interrupted
        return results

    def _submit(
        self,
        device: Device,
        arguments: Sequence[Tensor],
        donated: frozenset[int],
        kept: frozenset[int],
        is_interrupting: bool,
    ) -> list[Buffer]:
        buffers = [self._buffer(leaf, arguments) for leaf in self.leaves]
        numbers = [handle.value for handle in self.structure.arguments]
        with undivided:
            if self.executable is not None:
                assert isinstance(device, CompilingDevice)
                into = {} if is_interrupting else self._replaced_gradients(buffers)
                found = self.executable.run(device, buffers, numbers, self.place, donated, kept, into)
            elif self.computed:
                assert isinstance(device, EvaluatingDevice)
                nodes = substitute(self.structure, buffers, numbers, device.name)
                device.evaluate(nodes)
                found = [node.result for node in nodes]
            else:
                found = []
            results = list(found)
            if len(results) < len(self.shapes):
                made, results = iter(results), []
                computed = set(self.computed)
                for number, (shape, dtype) in enumerate(self.shapes):
                    results.append(next(made) if number in computed else device.empty(shape, dtype))  # type: ignore[attr-defined]
            self._bind(results, arguments)
        return results

    def _buffer(self, leaf: Leaf, arguments: Sequence[Tensor]) -> Buffer:
        if leaf.constant is not None:
            return leaf.constant
        cell: Cell = arguments[leaf.argument]._cell if leaf.argument is not None else leaf.cell  # type: ignore[assignment]
        whole = cell.node.result or actual(cell)
        if leaf.view is None:
            return whole
        shape, layout, offset = leaf.view
        return Buffer(whole.allocation, shape, whole.dtype, whole.device, layout, whole.offset + offset, is_window=True)

    def _replaceable(self) -> tuple[frozenset[int], frozenset[int]]:
        """The leaves of state that may be overwritten; and of these the ones that nobody but their tensor holds."""
        if self.executable is None:
            return frozenset(), frozenset()
        alone = []
        shared = []
        of_node, of_buffer = _own_references()
        thread = get_ident()
        for slot, cell in self.replaced:
            if cell.thread != thread:  # its writer may be taking the value at this moment
                cell.thread = thread
                continue
            references = _references(cell)
            if references[0] <= of_node and references[1] <= of_buffer and cell.node.op is BUFFER:
                alone.append(slot)
            else:
                shared.append((slot, cell))
        if not shared:
            return self._all_replaced if len(alone) == len(self.replaced) else frozenset(alone), frozenset(alone)
        cells = [cell for _, cell in shared]
        free, readers = expendable((), {cell.node.result for cell in cells}, cells)
        if readers:
            compute(readers)
        also = [slot for slot, cell in shared if cell.node.result in free]
        return frozenset([*alone, *also]), frozenset(alone)

    def _replaced_gradients(self, leaves: Sequence[Buffer]) -> dict[int, Buffer]:
        """By slot of a new gradient the one of the last step, where nobody needs that: the new one takes its place."""
        found: dict[int, Buffer] = {}
        read = set(map(id, leaves))
        own = _own_gradient_references()
        for slot, declared, of in self._gradients:
            if of._grad is None or of._grad._cell.node.op is not BUFFER or _gradient_references(of) != own:
                continue
            buffer = of._grad._cell.node.result
            is_like = buffer.layout == declared.layout and buffer.shape == declared.shape
            is_whole = buffer.dtype is declared.dtype and not buffer.is_window
            is_bare = of._grad._hooks is None and not of._grad._requires_grad
            if is_like and is_whole and is_bare and id(buffer) not in read:
                found[slot] = buffer
        return found

    def _bind(self, results: Sequence[Buffer], arguments: Sequence[Tensor]) -> None:
        for tensor in self.unset:
            tensor._grad = None
        for target, buffer in zip(self.targets, results, strict=True):
            if target is None:
                continue
            if isinstance(target, Gradient):
                gradient = target.of._grad
                if gradient is None or gradient._cell.node.result is not buffer:
                    target.of._grad = tensor_of(Cell(ops.buffer(buffer)))
                continue
            cell = arguments[target]._cell if isinstance(target, int) else target
            assert isinstance(cell, Cell)
            if cell.node.result is buffer:
                continue  # updated in place
            cell.thread = get_ident()
            cell.node, cell.history, cell.depth, cell.name = ops.buffer(buffer), False, 0, None
