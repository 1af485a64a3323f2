"""Variants: one capture of a function, made into a program that can be replayed.

In: a trace. Out, for each call whose guards hold: the results, with all state updated in place. A replay runs no Python
code of the function: it reads numbers of the host, takes the buffers that its tensors have now, submits one program,
and binds tensors to what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lazygrad import ops, runtime
from lazygrad.capture.explain import MemoryReport, VariantReport
from lazygrad.capture.guards import Guards
from lazygrad.capture.outside import (
    Outside,
    gradient_references,
    own_gradient_references,
    own_references,
    references,
)
from lazygrad.capture.stand_in import StandIn
from lazygrad.capture.trace import CaptureError, Read, Trace
from lazygrad.capture.trees import rebuild
from lazygrad.ir.layout import Layout
from lazygrad.ir.node import Node, Place
from lazygrad.ir.shape import Shape, size_of
from lazygrad.ops.source import BUFFER
from lazygrad.runtime import Buffer, CompilingDevice, Device, EvaluatingDevice
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


class NeedsHistory(Exception):
    """The results can be differentiated, and the function did not differentiate them itself."""


class View(NamedTuple):
    """A leaf that is a part of a tensor from outside: its slot, shape, layout, and offset in the whole."""

    slot: int
    shape: Shape
    layout: Layout
    offset: int


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
        self._guards = Guards(trace.guards)
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
        self._outside = Outside(list(trace.known.values()), self._argument_of)
        self._describe_leaves(trace)
        self.executable: Executable | None = None
        # The slots of results that are gradients, and whose (a Tensor) they are.
        self._gradients: list[tuple[int, SlotDeclaration, Any]] = []

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

    def _describe_leaves(self, trace: Trace) -> None:
        """Where the buffers that the program reads come from: tensors from outside, parts of them, and constants."""
        cell_of = {id(before.stand_in.allocation): before.cell for before in trace.known.values()}
        changed = {id(before.cell) for before in trace.changed()}
        self._constants: list[Buffer] = []
        self._positions: list[int] = []  # by slot: among the tensors from outside, and the constants behind these
        self._views: list[View] = []
        self._replaced: list[tuple[int, Cell]] = []  # the slots of state that the program makes anew, and its cells
        for slot, buffer in enumerate(self.structure.leaves):
            cell = cell_of.get(id(buffer.allocation))
            if cell is None:
                self._positions.append(len(trace.known) + len(self._constants))
                self._constants.append(buffer)
                continue
            self._positions.append(self._outside.positions[id(cell)])
            if not isinstance(buffer, StandIn):
                self._views.append(View(slot, buffer.shape, buffer.layout, buffer.offset))
            elif id(cell) in changed and id(cell) not in self._argument_of:
                self._replaced.append((slot, cell))
        viewed = {self._positions[view.slot] for view in self._views}  # memory that has a second reader stays
        self._replaced = [entry for entry in self._replaced if self._positions[entry[0]] not in viewed]
        self._replaced_cells = [cell for _, cell in self._replaced]
        self._all_replaced = frozenset([slot for slot, _ in self._replaced])

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
        outside = self._outside.cells
        read = {position: outside[position] for position in self._positions if position < len(outside)}
        state = [cell.node for cell in read.values() if cell is not None]
        sizes = [size_of(shape) * dtype.itemsize for shape, dtype in self.shapes]
        made = [size for size, target in zip(sizes, self.targets, strict=True) if not isinstance(target, (Cell, int))]
        return VariantReport(
            why,
            tuple(guard.what for guard in self._guards.guards),
            kernels,
            arena,
            sum(made),
            sum(size_of(node.shape) * node.dtype.itemsize for node in state),
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
        return self._guards.difference() or self._outside.difference(arguments)

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
        buffers = self._leaves(arguments)
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

    def _leaves(self, arguments: Sequence[Tensor]) -> list[Buffer]:
        found = self._outside.buffers(arguments)
        found += self._constants
        leaves = [found[position] for position in self._positions]
        for slot, shape, layout, offset in self._views:
            whole = leaves[slot]
            leaves[slot] = Buffer(
                whole.allocation, shape, whole.dtype, whole.device, layout, whole.offset + offset, is_window=True
            )
        return leaves

    def _replaceable(self) -> tuple[frozenset[int], frozenset[int]]:
        """The leaves of state that may be overwritten; and of these the ones that nobody but their tensor holds."""
        if self.executable is None:
            return frozenset(), frozenset()
        own = own_references()
        counts = references(self._replaced_cells)
        if counts.count(own) == len(counts):
            return self._all_replaced, self._all_replaced
        is_alone = [count == own for count in counts]
        alone = [slot for (slot, _), is_it in zip(self._replaced, is_alone, strict=True) if is_it]
        shared = [entry for entry, is_it in zip(self._replaced, is_alone, strict=True) if not is_it]
        cells = [cell for _, cell in shared]
        free, readers = expendable((), {cell.node.result for cell in cells}, cells)
        if readers:
            compute(readers)
        also = [slot for slot, cell in shared if cell.node.result in free]
        return frozenset([*alone, *also]), frozenset(alone)

    def _replaced_gradients(self, leaves: Sequence[Buffer]) -> dict[int, Buffer]:
        """By slot of a new gradient the one of the last step, where nobody needs that: the new one takes its place."""
        found: dict[int, Buffer] = {}
        before = [known for known in self._gradients if _is_computed(known[2]._grad)]
        # The list is the one reference to a gradient besides its tensor's.
        counts = gradient_references([of._grad for _, _, of in before])
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
            cell.node, cell.history, cell.depth, cell.name = ops.buffer(buffer), False, 0, None


def _is_computed(gradient: Tensor | None) -> bool:
    return gradient is not None and gradient._cell.node.op is BUFFER
