"""Variants: one capture of a function, made into a program that can be replayed.

In: a trace. Out, for each call whose guards hold: the results, with all state updated in place. A replay runs no Python
code of the function: it reads numbers of the host, takes the buffers that its tensors have now, submits one program,
and binds tensors to what comes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from operator import attrgetter
from threading import get_ident
from typing import TYPE_CHECKING, Any, NamedTuple

from lazygrad import ops, runtime
from lazygrad.capture.explain import MemoryReport, VariantReport
from lazygrad.capture.guards import Guards
from lazygrad.capture.outside import Outside, own_references, references
from lazygrad.capture.overwriting import is_computed, replaceable, replaced_gradients
from lazygrad.capture.part import Gradient, Leaf, Left, MadeGradient, Part, View
from lazygrad.capture.stand_in import StandIn
from lazygrad.capture.trace import CaptureError, Read, Trace
from lazygrad.capture.trees import rebuild
from lazygrad.ir.node import Node, Place
from lazygrad.ir.shape import size_of
from lazygrad.ir.value import Number
from lazygrad.runtime import Buffer, CompilingDevice, Device, EvaluatingDevice
from lazygrad.runtime.interrupts import undivided
from lazygrad.runtime.pool import size_class
from lazygrad.runtime.structure import Structure, linearize, substitute
from lazygrad.schedule.budget import Budget
from lazygrad.schedule.memory import lines_at_peak
from lazygrad.tensor import Tensor
from lazygrad.tensor.cells import Cell
from lazygrad.tensor.deposit import Deposit
from lazygrad.tensor.handle import tensor_of

if TYPE_CHECKING:
    from lazygrad.runtime.executable import Executable

NOTHING: frozenset[int] = frozenset()
NOWHERE: dict[int, Buffer] = {}
_VALUE = attrgetter("value")
# The gradients of the first replay are new tensors, those of the second lie where they did.
FIRST_REST = 1
# Where deposits are touched before the next call, as by a training loop that looks at its gradients, each one that
# finds itself touched makes the next come twice as many calls later, up to this number.
LONGEST_REST = 64


class NeedsHistory(Exception):
    """The results can be differentiated, and the function did not differentiate them itself."""


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
        self._handles = self.structure.arguments
        self._outside = Outside(list(trace.known.values()), self._argument_of)
        self._describe_leaves(trace)
        self.executable: Executable | None = None
        self._deposit = Deposit()
        self._has_deposited = False
        self._misses = 0  # deposits in a row that were touched before the next replay
        self._rest = FIRST_REST  # replays until the next deposit

    def build(self, memory_budget: int | None = None) -> None:
        """Finds or makes schedule and programs, with a budget such that no more bytes are needed."""
        if isinstance(self.device, CompilingDevice) and self.computed:
            from lazygrad.runtime.compiled import find

            with self.device.lock:
                budget = None if memory_budget is None else Budget(memory_budget, self._all_replaced)
                self.executable = find(self.device, self.structure, budget)
            leaves, declared = self.executable.schedule.leaves, self.executable.schedule.slots
            slots = dict(zip(self.computed, self.executable.schedule.roots, strict=True))
            self._everything.gradients[:] = [
                MadeGradient(slots[number], declared[slots[number] - leaves], target.of)
                for number, target in enumerate(self.targets)
                if isinstance(target, Gradient) and slots.get(number, -1) >= leaves
            ]
            # The graph has done its part; the arguments' numbers are all that is read again.
            self.structure = self.structure._replace(order=[], steps=(), leaves=[])

    def _describe_leaves(self, trace: Trace) -> None:
        """Where the buffers that the program reads come from: tensors from outside, parts of them, and constants."""
        cell_of = {id(before.stand_in.allocation): before.cell for before in trace.known.values()}
        changed = {id(before.cell) for before in trace.changed()}
        self._constants: list[Buffer | None] = []  # by slot
        leaves: list[Leaf] = []
        replaced: list[tuple[int, Cell]] = []
        for slot, buffer in enumerate(self.structure.leaves):
            cell = cell_of.get(id(buffer.allocation))
            self._constants.append(buffer if cell is None else None)
            if cell is None:
                continue
            is_whole = isinstance(buffer, StandIn)
            view = None if is_whole else View(buffer.shape, buffer.layout, buffer.offset)
            leaves.append(Leaf(slot, self._outside.positions[id(cell)], view))
            if is_whole and id(cell) in changed and id(cell) not in self._argument_of:
                replaced.append((slot, cell))
        viewed = {leaf.position for leaf in leaves if leaf.view is not None}  # memory that has a second reader stays
        replaced = [(slot, cell) for slot, cell in replaced if self._outside.positions[id(cell)] not in viewed]
        self._all_replaced = frozenset([slot for slot, _ in replaced])
        targets = [(number, target) for number, target in enumerate(self.targets) if target is not None]
        self._everything = Part(list(range(len(trace.known))), leaves, replaced, [], targets)
        self._places = self._outside.places(self._everything.positions)

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
        read = {leaf.position: self._outside.cells[leaf.position] for leaf in self._everything.leaves}
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
        plan = executable.memory(self.device, self._replaceable(self._everything)[0])
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
        left: Left | None = self._deposit.left
        places = self._places if left is None else left.places
        return self._guards.difference() or places.difference(arguments)

    def replay(self, arguments: Sequence[Tensor], acted: bool = False) -> Any:
        """The function's result. ``acted``: numbers and counters of the host are those of this call already."""
        if not acted:
            for action in self.actions:
                if isinstance(action, Read):
                    action.argument.attributes.handle.value = action.read()
                else:
                    action()
        results = self._run(arguments)
        if isinstance(self._result, _Made):
            return tensor_of(Cell(ops.buffer(results[self._result.number])))
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

    def _run(self, arguments: Sequence[Tensor]) -> Mapping[int, Buffer]:
        device = self.device
        if device is None:
            self._bind({}, arguments, self._everything)
            return {}
        with device.lock:
            interrupted = device.is_submitting  # by a finalizer, between launches that may need everything
            device.is_submitting = True
            try:
                made, in_place = self._submit(device, arguments, interrupted)
            except BaseException:
                self._deposit.left = None
                raise
            finally:
                device.is_submitting = interrupted
            if in_place is not None:
                self._put_away(in_place)
        return made

    def _submit(
        self, device: Device, arguments: Sequence[Tensor], is_interrupting: bool
    ) -> tuple[Mapping[int, Buffer], set[int] | None]:
        """The results that nobody is bound to; and what was updated in place, unless that cannot be put away."""
        left: Left | None = None if is_interrupting else self._deposit.left
        if left is not None and left.thread == get_ident():  # else its writer may be taking values at this moment
            again = self._submit_again(left, arguments)
            if again is not None:
                return again, None
        left = None  # it holds buffers of which is asked now who else holds them
        part = self._everything
        donated, kept = (NOTHING, NOTHING) if is_interrupting else self._replaceable(part)
        leaves = self._leaves(part, self._places.buffers(arguments))
        numbers = self._numbers()
        with undivided:
            if self.executable is not None:
                assert isinstance(device, CompilingDevice)
                into = {} if is_interrupting else replaced_gradients(part, leaves)
                found = self.executable.run(device, leaves, numbers, self.place, donated, kept, into)
            elif self.computed:
                assert isinstance(device, EvaluatingDevice)
                nodes = substitute(self.structure, leaves, numbers, device.name)
                device.evaluate(nodes)
                found = [node.result for node in nodes]
            else:
                found = []
            results = dict(zip(self.computed, found, strict=True))
            for number, (shape, dtype) in enumerate(self.shapes):
                if number not in results:
                    results[number] = device.empty(shape, dtype)  # type: ignore[attr-defined]
            in_place = self._bind(results, arguments, part)
        can_put_away = self.executable is not None and kept == self._all_replaced and len(found) == len(results)
        made = {number: results[number] for number in self._made.values()}
        return made, in_place if can_put_away and not is_interrupting else None

    def _submit_again(self, left: Left, arguments: Sequence[Tensor]) -> Mapping[int, Buffer] | None:
        """The results that nobody is bound to, where everything but what is loose is as the last replay left it.

        None, and nothing has happened: it is not so.
        """
        part = left.loose
        if part.replaced and self._replaceable(part)[1] != self._all_replaced:
            return None
        whole = dict(zip(part.positions, left.places.buffers(arguments), strict=True))
        moved = [leaf.of(whole[leaf.position]) for leaf in part.leaves]
        numbers = self._numbers()
        with undivided:
            if self._deposit.left is None:  # another thread has just asked for something
                return None
            repetition = left.repetition
            into = replaced_gradients(part, [*repetition.leaves, *moved]) if part.gradients else NOWHERE
            found = repetition.run(moved, into, numbers)
            if found is not None:
                results = dict(zip(left.asked, found, strict=True))
            else:
                results = dict(zip(self.computed, repetition.run_looking(moved, into, numbers), strict=True))
                if any(results[number] is not buffer for number, buffer in left.settled):
                    part = self._everything  # the program has other memory than before
            if part.targets or self.unset:
                self._bind(results, arguments, part)
        self._misses = 0
        return results

    def _numbers(self) -> list[Number]:
        return list(map(_VALUE, self._handles))

    def _leaves(self, part: Part, buffers: Sequence[Buffer]) -> list[Any]:
        """The leaves by slot: constants and those of a part, whose tensors lie in these buffers; None for others."""
        found = dict(zip(part.positions, buffers, strict=True))
        leaves: list[Any] = self._constants.copy()
        for leaf in part.leaves:
            leaves[leaf.slot] = leaf.of(found[leaf.position])
        return leaves

    def _replaceable(self, part: Part) -> tuple[frozenset[int], frozenset[int]]:
        """See ``replaceable``. Where nothing is compiled, nothing is overwritten."""
        return (NOTHING, NOTHING) if self.executable is None else replaceable(part, self._all_replaced)

    def _bind(self, results: Mapping[int, Buffer], arguments: Sequence[Tensor], part: Part) -> set[int]:
        """Binds tensors to what comes out, and returns the ids of the cells that were updated in place."""
        in_place: set[int] = set()
        for tensor in self.unset:
            tensor._grad = None
        for number, target in part.targets:
            buffer = results[number]
            if isinstance(target, Gradient):
                gradient = target.of._grad
                if gradient is not None and gradient._cell.node.result is buffer:
                    in_place.add(id(gradient._cell))
                else:
                    target.of._grad = tensor_of(Cell(ops.buffer(buffer)))
                continue
            cell = arguments[target]._cell if isinstance(target, int) else target
            if cell.node.result is buffer:
                in_place.add(id(cell))
                continue
            cell.thread = get_ident()
            cell.node, cell.history, cell.depth, cell.name = ops.buffer(buffer), False, 0, None
        return in_place

    # ---- between calls

    def _put_away(self, in_place: Set[int]) -> None:
        """Deposits what was updated in place or only read, unless deposits were touched before the next call lately."""
        if self._has_deposited:
            self._has_deposited = False
            self._misses += 1
            self._rest = min(FIRST_REST << self._misses, LONGEST_REST)
        if self._rest:
            self._rest -= 1
            return
        assert self.executable is not None
        assert isinstance(self.device, CompilingDevice)
        everything, outside = self._everything, self._outside
        own = own_references()
        counts = references([cell for _, cell in everything.replaced])
        slots = {
            slot
            for (slot, cell), count in zip(everything.replaced, counts, strict=True)
            if count == own and id(cell) in in_place
        }
        changing = {target for _, target in everything.targets if isinstance(target, Cell)}
        changing.difference_update([cell for slot, cell in everything.replaced if slot in slots])
        positions = [p for p, cell in enumerate(outside.cells) if cell is not None and cell not in changing]
        settled = Part(positions, [leaf for leaf in everything.leaves if leaf.position in set(positions)], [], [], [])
        leaves = self._leaves(settled, outside.places(positions).buffers(()))
        again = [made for made in everything.gradients if is_computed(made.of._grad)]
        again = [made for made in again if id(made.of._grad._cell) in in_place]
        into = replaced_gradients(everything._replace(gradients=again), leaves)
        cells = {cell for cell in map(outside.cells.__getitem__, positions) if cell is not None}
        # Where a leaf's memory is taken there is no use for the last gradient's.
        taking = self.executable.donated_slots(self.device, self._all_replaced)
        loose = everything.without(set(positions), slots, cells, into.keys())
        loose = loose._replace(gradients=[made for made in loose.gradients if made.slot not in taking])
        made_in = {id(made.of): into[made.slot] for made in again if made.slot in into}
        made_in.update((id(cell), leaves[slot]) for slot, cell in everything.replaced if slot in slots)
        bound = [(number, id(t.of if isinstance(t, Gradient) else t)) for number, t in everything.targets]
        results = [(number, made_in[key]) for number, key in bound if key in made_in]
        asked = list(dict.fromkeys((*[number for number, _ in loose.targets], *self._made.values())))
        roots = dict(zip(self.computed, self.executable.schedule.roots, strict=True))
        from lazygrad.runtime.repetition import Repetition  # imported by now: something has run

        repetition = Repetition(
            self.executable,
            self.device,
            self.place,
            self._all_replaced,
            leaves,
            into,
            [roots[number] for number in asked],
        )
        self._deposit = Deposit()
        for holder in (*cells, *[made.of for made in again if made.slot in into]):
            holder._put_away(self._deposit)
        self._deposit.left = Left(get_ident(), loose, outside.places(loose.positions), repetition, asked, results)
        self._has_deposited = True
