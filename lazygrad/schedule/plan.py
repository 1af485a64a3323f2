"""The plan: from an abstract graph to kernels over slots, in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lazygrad import ops
from lazygrad.ir.dtype import DType
from lazygrad.ir.layout import Layout
from lazygrad.ir.node import Node
from lazygrad.ir.op import Family
from lazygrad.kernel.identity import canonical
from lazygrad.kernel.kernel import Access, Body, BufferDeclaration, Kernel, Stage, Store
from lazygrad.kernel.machine import Machine
from lazygrad.ops.contract import CONTRACT
from lazygrad.ops.movement import VIEW
from lazygrad.passes import simplify
from lazygrad.schedule.bodies import build_body, loop_point
from lazygrad.schedule.bundles import bundle
from lazygrad.schedule.components import Component, Grouping, Kind, Point, atoms, source_of
from lazygrad.schedule.contracting import Halo, Wishes, collect_wishes, is_natural
from lazygrad.schedule.cost import BODY_LIMIT
from lazygrad.schedule.expressions import Expressions, Home
from lazygrad.schedule.halos import halo_bodies
from lazygrad.schedule.layouts import home_of, no_halo
from lazygrad.schedule.ordering import in_memory_order
from lazygrad.schedule.schedule import LeafSlot, Schedule, ScheduledKernel, SlotDeclaration, last_uses
from lazygrad.schedule.splitting import split_long_reductions
from lazygrad.schedule.staging import stage_operands
from lazygrad.schedule.storing import choose_stored
from lazygrad.schedule.streaming import is_streamed
from lazygrad.schedule.sum_splitting import split_long_contractions
from lazygrad.schedule.waiting import waiting_kernels


def plan(
    roots: Sequence[Node],
    leaves: Mapping[Node, LeafSlot],
    arguments: Sequence[Node],
    machine: Machine,
    argument_limit: int,
) -> Schedule:
    """Schedules the computation of ``roots``.

    ``leaves`` are the nodes given as buffers, in slot order; ``arguments`` the scalar argument nodes in order.
    """
    limit = BODY_LIMIT
    while True:
        made = _Planner(leaves, arguments, machine, argument_limit, limit).run(roots)
        most = max((len(k.slots) + len(k.scalars) for k in made.kernels), default=0)
        if most <= argument_limit or limit <= 2:
            return made
        limit //= 2  # smaller kernels read fewer buffers


class _Planner:
    def __init__(
        self,
        leaves: Mapping[Node, LeafSlot],
        arguments: Sequence[Node],
        machine: Machine,
        argument_limit: int,
        body_limit: int,
    ) -> None:
        self.machine = machine
        self.body_limit = body_limit
        self.argument_limit = argument_limit
        self.arguments = {argument: number for number, argument in enumerate(arguments)}
        self.homes: dict[Node, Home] = {
            leaf: Home(slot, info.layout, no_halo(leaf.shape), info.movable)
            for slot, (leaf, info) in enumerate(leaves.items())
        }
        self.movable = {slot for slot, info in enumerate(leaves.values()) if info.movable}
        self.leaf_count = len(leaves)
        self.declared: list[SlotDeclaration] = []
        self.sizes: list[tuple[DType, int]] = [(leaf.dtype, i.layout.size) for leaf, i in leaves.items()]
        self.kernels: list[ScheduledKernel] = []
        self.made_for: list[Component] = []  # the component of each kernel
        self.copies: dict[tuple[Node, Layout], Home] = {}

    def run(self, given: Sequence[Node]) -> Schedule:
        roots = simplify(given, lambda composite: is_streamed(composite, self.machine))
        if self.machine.flavour != "gpu":
            roots = split_long_contractions(roots, self.machine)
        roots = split_long_reductions(roots, self.machine)
        wishes = collect_wishes(roots, self.machine)
        roots = self._visible(roots, wishes)
        stored_views = [root for root in roots if root.op.family is Family.MOVEMENT]
        required = {n for n in wishes.in_memory if n not in self.homes and n.op.family is not Family.SOURCE}
        grouping = Grouping(roots, stored_views, frozenset(wishes.unfused), self.body_limit)
        stored = choose_stored(roots, required, wishes.prologues.computed, grouping, self.body_limit)
        order = _in_order(grouping)
        root_set = set(roots)
        for component in order:
            members = [member for member in component.points if member in stored]
            if members:
                self._component(component, members, root_set, stored, wishes)
        results = [self.homes[root].slot for root in roots]
        declared = enumerate(self.declared, start=self.leaf_count)
        sizes = {slot: made.size for slot, made in declared if slot not in results}
        waiting = waiting_kernels(self.made_for, order)
        ordered = in_memory_order(self.kernels, self.leaf_count, sizes, waiting)
        return self._finish(bundle(ordered, self.argument_limit, sizes), results)

    def _visible(self, roots: Sequence[Node], wishes: Wishes) -> list[Node]:
        """Each root as a value of its own that some kernel writes, row-major.

        A given leaf, a constant, or a root that is asked for twice is copied: results never share memory. So is a
        contraction that does not come out row-major.
        """
        seen: set[Node] = set()
        visible: list[Node] = []
        for root in roots:
            unnatural = root.op is CONTRACT and not is_natural(root, wishes)
            if root in seen or root.op.family is Family.SOURCE or unnatural:
                root = ops.leaf(root)
                wishes.unfused.add(root)
            seen.add(root)
            visible.append(root)
        return visible

    # ---- kernels

    def _component(
        self, component: Component, members: list[Node], roots: set[Node], stored: Mapping[Node, None], wishes: Wishes
    ) -> None:
        operands = None
        if component.kind is Kind.CONTRACT:
            (product,) = (member for member in component.points if member.op is CONTRACT)
            operands, copies = stage_operands(product, wishes.sides[product], wishes, self.homes, self.machine)
            for copy in copies:
                self._copy(copy.node, copy.layout, copy.halo)
        for member in members:
            home = home_of(member, self._next_slot(), member in roots, component, stored, wishes, self.homes)
            self._declare(member, home)
        expressions = Expressions(self.homes, self.arguments)
        bodies = [build_body(component, members, expressions, self.homes, wishes.sides, operands)]
        for member in members:
            bodies += halo_bodies(member, self.homes[member], expressions)
        self._emit(_name(component, members), bodies, expressions, members[0])
        self.made_for += [component] * (len(self.kernels) - len(self.made_for))

    def _copy(self, node: Node, layout: Layout, halo: Halo) -> None:
        """A kernel that writes a view of something stored in the layout asked for."""
        known = self.copies.get((node, layout))
        if known is not None:
            self.homes[node] = known
            return
        expressions = Expressions(self.homes, self.arguments)
        self.homes.pop(node, None)
        home = Home(self._next_slot(), layout, halo)
        bodies: list[Body] = []
        for loops, point in _walks(layout):
            expressions.new_body()
            value = expressions.element(node, point).cast(node.dtype)
            store = Store(Access(expressions.buffer(home.slot), layout.address(point)), value)
            bodies.append(Body(atoms(loops), (Stage((), (), (store,)),)))
        self.copies[node, layout] = home
        self._declare(node, home)
        self._emit("pack", [*bodies, *halo_bodies(node, home, expressions)], expressions, node)

    def _declare(self, member: Node, home: Home) -> None:
        self.homes[member] = home
        self.declared.append(SlotDeclaration(member.shape, member.dtype, home.layout))
        self.sizes.append((member.dtype, home.layout.size))

    def _emit(self, name: str, bodies: Sequence[Body], expressions: Expressions, of: Node) -> None:
        slots = tuple(expressions.slots)
        written = {store.access.buffer for body in bodies for stage in body.stages for store in stage.stores}
        buffers = tuple(
            BufferDeclaration(*self.sizes[slot], position in written, slot in self.movable)
            for position, slot in enumerate(slots)
        )
        by_number = {number: argument.dtype for argument, number in self.arguments.items()}
        scalars = tuple(by_number[number] for number in expressions.scalars)
        kernel = canonical(Kernel(name, tuple(bodies), buffers, scalars))
        self.kernels.append(ScheduledKernel(kernel, slots, tuple(expressions.scalars), of.place))

    def _next_slot(self) -> int:
        return self.leaf_count + len(self.declared)

    def _finish(self, kernels: Sequence[ScheduledKernel], roots: Sequence[int]) -> Schedule:
        last = last_uses(kernels, self.leaf_count, len(self.declared))
        sizes = tuple(dtype.itemsize * elements for dtype, elements in self.sizes[: self.leaf_count])
        return Schedule(tuple(kernels), self.leaf_count, tuple(self.declared), tuple(roots), last, sizes)


def _walks(layout: Layout) -> list[tuple[Point, Point]]:
    """Loops over all elements of a layout, and the point of each.

    Where an axis lies in panels that do not divide it, whole panels are walked first and then what is left: in each of
    the two an address moves evenly.
    """
    shape = layout.shape
    cut = next((p for p in layout.parts if p.divisor > 1 and shape[p.axis] % p.divisor), None)
    if cut is None or shape[cut.axis] < cut.divisor:
        loops = loop_point(shape)
        return [(loops, loops)]
    axis, panel = cut.axis, cut.divisor
    panels, left = divmod(shape[axis], panel)
    before, behind = shape[:axis], shape[axis + 1 :]
    loops = loop_point((*before, panels, panel, *behind))
    whole = (*loops[:axis], loops[axis] * panel + loops[axis + 1], *loops[axis + 2 :])
    rest = loop_point((*before, left, *behind))
    return [(loops, whole), (rest, (*rest[:axis], rest[axis] + panels * panel, *rest[axis + 1 :]))]


def _in_order(grouping: Grouping) -> list[Component]:
    """Components so that each comes after those it depends on."""
    pending = grouping.live()
    waiting = 0  # bits of the components that are not in the result yet
    for component in pending:
        waiting |= component.bits
    result: list[Component] = []
    while pending:
        rest = []
        for component in pending:
            if component.depends & waiting & ~component.bits:
                rest.append(component)
            else:
                result.append(component)
                waiting &= ~component.bits
        assert len(rest) < len(pending), "components depend on each other in a circle"
        pending = rest
    return result


def _name(component: Component, members: Sequence[Node]) -> str:
    """A readable kernel name: what the component computes for the members that it stores."""
    needed = set(members)
    pending = list(members)
    while pending:
        sources = {source_of(operand)[0] for operand in pending.pop().inputs} - needed
        found = [source for source in sources if source in component.points]
        needed.update(found)
        pending += found
    names: list[str] = []
    for member in component.points:
        name = "copy" if member.op is VIEW else member.op.name
        if member in needed and (not names or names[-1] != name):
            names.append(name)
    short = names if len(names) <= 4 else [*names[:2], *names[-2:]]
    return "_".join(short)
