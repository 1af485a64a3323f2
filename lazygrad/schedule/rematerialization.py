"""A schedule within a budget of memory: kernels run again instead of keeping what they have made.

In: a schedule and a number of bytes. Out: a schedule of the same kernels with the same results, some of them launched
twice, whose program needs no more than that; or an error with the least that was reached. Of the values that lie
between two uses while most is in use, the one goes first that frees most bytes for each second of computing it again:
its kernel is put once more before the next use, with those before it whose inputs would be gone by then.

Every copy reads the same elements with the same program, so nothing changes to the last bit. The measure, bytes freed
for what it costs, is that of Kirisame et al., "Dynamic Tensor Rematerialization", ICLR 2021, for known schedules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from typing import NamedTuple

from lazygrad.kernel.axes import point_count
from lazygrad.kernel.traffic import operations
from lazygrad.schedule.budget import Budget, MemoryBudgetError
from lazygrad.schedule.cost import OPERATIONS_PER_BYTE
from lazygrad.schedule.memory import Block, lifetimes, plan_memory
from lazygrad.schedule.schedule import Schedule, ScheduledKernel, SlotDeclaration, last_uses

# More kernels than this before one use are not put again for one value: by then something else is cheaper.
LONGEST_CHAIN = 24
# So many of the best candidates are tried before one that does not lower the peak is given up.
TRIALS = 24


def within_budget(
    schedule: Schedule, budget: Budget, alignment: int, allocated: Callable[[int], int] = lambda size: size
) -> Schedule:
    """The schedule, or one that computes more often and needs less.

    Args:
        schedule: what to compute.
        budget: how much memory it may take.
        alignment: where in the arena a slot may begin, in bytes.
        allocated: how many bytes a buffer of a size really takes.

    Raises:
        MemoryBudgetError: there is no such schedule, as far as is known here.
    """
    current: Schedule | None = schedule
    minimum: tuple[int, int] | None = None
    while current is not None:
        plan = plan_memory(current, budget.donated, alignment)
        fixed = sum(map(allocated, current.leaf_sizes)) + sum(
            allocated(slot.size)
            for slot, offset, donor in zip(current.slots, plan.offsets, plan.donors, strict=True)
            if offset is None and donor is None
        )
        needed = fixed + (allocated(plan.arena) if plan.arena else 0)
        if needed <= budget.size:
            return current
        minimum = min(minimum or (needed, fixed), (needed, fixed))
        current = _with_lower_peak(current, budget.donated, alignment)
    assert minimum is not None
    raise MemoryBudgetError(budget.size, *minimum)


class _Peak(NamedTuple):
    """The most bytes at one kernel, and at how many kernels there are so many. Compared in this order."""

    size: int
    kernels: int


class _Candidate(NamedTuple):
    """A slot that may die after its last use before the peak: its kernels are put again before position ``before``."""

    worth: float  # bytes freed for each unit of cost
    slot: int
    before: int
    chain: tuple[int, ...]


def _with_lower_peak(schedule: Schedule, donated: Set[int], alignment: int) -> Schedule | None:
    """The schedule with the cheapest copies that make its peak smaller, None if there are none."""
    live = _live(schedule, lifetimes(schedule, donated, alignment)[0])
    peak = _peak(live)
    at = live.index(peak.size)
    uses = _uses(schedule)
    ranked = sorted(_candidates(schedule, uses, at), key=lambda found: (-found.worth, found.slot))
    for candidate in ranked[:TRIALS]:
        changed = _again(schedule, candidate, uses)
        if _peak(_live(changed, lifetimes(changed, donated, alignment)[0])) < peak:
            return changed
    return None


def _live(schedule: Schedule, blocks: list[Block]) -> list[int]:
    """How many bytes of the arena are in use while each kernel runs."""
    change = [0] * (len(schedule.kernels) + 2)
    for block in blocks:
        change[block.first] += block.size
        change[block.last + 1] -= block.size
    total, live = 0, []
    for step in change[: len(schedule.kernels)]:
        total += step
        live.append(total)
    return live


def _peak(live: list[int]) -> _Peak:
    size = max(live)
    return _Peak(size, live.count(size))


def _uses(schedule: Schedule) -> list[list[int]]:
    """The positions of the kernels that touch each declared slot; the first is the kernel that makes it."""
    found: list[list[int]] = [[] for _ in schedule.slots]
    for position, kernel in enumerate(schedule.kernels):
        for slot in dict.fromkeys(kernel.slots):
            if slot >= schedule.leaves:
                found[slot - schedule.leaves].append(position)
    return found


def _candidates(schedule: Schedule, uses: list[list[int]], at: int) -> Iterator[_Candidate]:
    """What lies in memory at the peak without being touched there, and can be computed again behind it."""
    roots = {root - schedule.leaves for root in schedule.roots}
    for slot, positions in enumerate(uses):
        if slot in roots or len(positions) < 2 or not positions[0] < at < positions[-1] or at in positions:
            continue
        before = next(position for position in positions if position > at)
        chain = _chain(schedule, uses, positions[0], at, before)
        if chain:
            cost = sum(_cost(schedule.kernels[position]) for position in chain)
            yield _Candidate(schedule.slots[slot].size / cost, slot, before, chain)


def _chain(schedule: Schedule, uses: list[list[int]], maker: int, at: int, before: int) -> tuple[int, ...]:
    """The kernels to put again so that ``maker`` finds its inputs: those whose results are gone by the peak.

    What is used behind the peak is kept a little longer instead. Empty where too many would be needed.
    """
    chain = {maker}
    pending = [maker]
    while pending:
        kernel = schedule.kernels[pending.pop()]
        for slot, declared in zip(kernel.slots, kernel.kernel.buffers, strict=True):
            number = slot - schedule.leaves
            if number < 0 or declared.written or uses[number][-1] > at or slot in schedule.roots:
                continue
            if uses[number][0] not in chain:
                chain.add(uses[number][0])
                pending.append(uses[number][0])
        if len(chain) > LONGEST_CHAIN:
            return ()
    return tuple(sorted(chain))


def _cost(scheduled: ScheduledKernel) -> float:
    """The time of a kernel in bytes that could be moved in it: the longer one of moving and computing."""
    kernel = scheduled.kernel
    moved = sum(buffer.size * buffer.dtype.itemsize for buffer in kernel.buffers)
    computed = sum(
        point_count((*body.axes, *stage.axes))
        * (operations(stage) + sum(point_count(product.axes) for product in stage.products))
        for body in kernel.bodies
        for stage in body.stages
    )
    return max(moved, computed / OPERATIONS_PER_BYTE)


def _again(schedule: Schedule, candidate: _Candidate, uses: list[list[int]]) -> Schedule:
    """The schedule with the candidate's kernels put again, and what follows reading what these make.

    Whatever else the copies make takes the place of the first results too, where that is used behind the peak.
    """
    leaves, slots = schedule.leaves, list(schedule.slots)
    renamed: dict[int, int] = {}
    copies: list[ScheduledKernel] = []
    for position in candidate.chain:
        kernel = schedule.kernels[position]
        for slot, declared in zip(kernel.slots, kernel.kernel.buffers, strict=True):
            if declared.written:
                made: SlotDeclaration = schedule.slots[slot - leaves]
                renamed[slot] = leaves + len(slots)
                slots.append(made)
        copies.append(kernel.on(renamed))
    later = {slot: new for slot, new in renamed.items() if slot not in schedule.roots}
    kernels = (
        *schedule.kernels[: candidate.before],
        *copies,
        *(kernel.on(later) for kernel in schedule.kernels[candidate.before :]),
    )
    return Schedule(
        kernels,
        leaves,
        tuple(slots),
        schedule.roots,
        last_uses(kernels, leaves, len(slots)),
        schedule.leaf_sizes,
    )
