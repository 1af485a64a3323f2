"""The compiled way: structure, schedule, programs, launches; and the memory of schedules by structure."""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence, Set
from functools import partial

import numpy

from lazygrad import environment
from lazygrad.ir.node import Node, topological
from lazygrad.ir.printer import print_graph
from lazygrad.ir.shape import size_of
from lazygrad.ir.value import Number
from lazygrad.ops.identity import DETACH, LEAF
from lazygrad.ops.source import constant_value
from lazygrad.runtime import schedule_store
from lazygrad.runtime.buffer import Buffer
from lazygrad.runtime.collecting import held_back
from lazygrad.runtime.device import CompilingDevice
from lazygrad.runtime.executable import NOTHING, Executable
from lazygrad.runtime.interrupts import undivided
from lazygrad.runtime.pool import size_class
from lazygrad.runtime.preparing import PreparingExecutable
from lazygrad.runtime.recognition import recognise
from lazygrad.runtime.statistics import total
from lazygrad.runtime.structure import Structure, abstract
from lazygrad.schedule.budget import Budget

# How many structures each device remembers; the least recently used go first.
REMEMBERED_SCHEDULES = 256
# From this LAZYGRAD_DEBUG on, graphs are printed before they are scheduled.
GRAPH_LEVEL = 4


_EXECUTABLES: dict[str, OrderedDict[object, Executable]] = {}


def realize_compiled(device: CompilingDevice, roots: Sequence[Node], expendable: Set[Buffer]) -> None:
    """Fills ``result`` of every root. The elements of ``expendable`` buffers are needed for nothing else."""
    computed = []
    for root in roots:
        if size_of(root.shape):
            computed.append(root)
        else:
            root.result = device.empty(root.shape, root.dtype)
    if not computed:
        return
    if environment.level("LAZYGRAD_DEBUG") >= GRAPH_LEVEL:
        print(print_graph(computed), file=sys.stderr)
    numbers = [number for root in computed if (number := _number(root)) is not None]
    if len(numbers) == len(computed) and not device.is_recording:
        _fill(device, computed, numbers)
        return
    call = recognise(device.name, computed, partial(find, device))
    donated = _donated(call.leaves, expendable)
    with undivided:
        results = call.executable.run(device, call.leaves, call.numbers, computed[0].place, donated)
        for root, buffer in zip(computed, results, strict=True):
            root.result = buffer


def _number(root: Node) -> Number | None:
    """The number that all elements of a constant are, under another name perhaps; None where a root is no constant."""
    while root.op is LEAF or root.op is DETACH:
        root = root.inputs[0]
    return constant_value(root)


def _fill(device: CompilingDevice, roots: Sequence[Node], numbers: Iterable[Number]) -> None:
    """Computes constants. Nothing is compiled for that: an optimizer's first state is there at once."""
    _check_dtypes(device, roots)
    with undivided:
        results = [
            device.from_host(numpy.broadcast_to(numpy.array(number, root.dtype.numpy), root.shape), root.dtype)
            for root, number in zip(roots, numbers, strict=True)
        ]
        for root, buffer in zip(roots, results, strict=True):
            root.result = buffer


def _donated(leaves: Sequence[Buffer], expendable: Set[Buffer]) -> Set[int]:
    """The leaves that may be overwritten: expendable, and alone in their memory."""
    if not expendable:
        return NOTHING
    uses = Counter(id(leaf.allocation) for leaf in leaves)
    return frozenset(
        slot
        for slot, leaf in enumerate(leaves)
        if leaf in expendable and not leaf.is_window and not leaf.offset and uses[id(leaf.allocation)] == 1
    )


def find(device: CompilingDevice, structure: Structure, budget: Budget | None = None) -> Executable:
    """The schedule and programs of a structure: those in memory, on disk, or new ones.

    MemoryBudgetError where there is a ``budget`` of memory, and no schedule that keeps to it.
    """
    known = _EXECUTABLES.setdefault(device.name, OrderedDict())
    key = structure.steps if budget is None else (structure.steps, budget)
    found = known.get(key)
    if found is not None:
        known.move_to_end(key)
        return found
    slot = schedule_store.Slot(device, structure, budget)
    with held_back:
        made = slot.load()
        if made is None and budget is None:
            made = _make(device, structure, slot)
        elif made is None and budget is not None:
            made = _within(device, find(device, structure), budget, slot)
    assert made is not None
    known[key] = made
    if len(known) > REMEMBERED_SCHEDULES:
        known.popitem(last=False)
    return made


def _make(device: CompilingDevice, structure: Structure, slot: schedule_store.Slot) -> Executable:
    # A process that finds its schedules on disk does not wait for these imports.
    from lazygrad.runtime.tuning import chosen
    from lazygrad.schedule.plan import plan

    total.schedules_made += 1
    device.expect(len(structure.steps))
    graph = abstract(structure, device.name)
    _check_dtypes(device, graph.roots)
    capabilities = device.capabilities
    schedule = plan(graph.roots, graph.leaves, graph.arguments, capabilities.machine, capabilities.argument_limit)
    kernels = [scheduled.kernel for scheduled in schedule.kernels]
    programs = device.compile_alternatives(kernels, chosen(device, kernels))
    slot.save(schedule, programs)
    return PreparingExecutable(schedule, programs)


def _within(device: CompilingDevice, whole: Executable, budget: Budget, slot: schedule_store.Slot) -> Executable:
    """The same programs, some of them launched again instead of keeping their results: nothing is prepared either."""
    from lazygrad.schedule.rematerialization import within_budget

    schedule = within_budget(whole.schedule, budget, device.region_alignment, size_class)
    programs = {id(s.kernel): program for s, program in zip(whole.schedule.kernels, whole.programs, strict=True)}
    chosen = [programs[id(scheduled.kernel)] for scheduled in schedule.kernels]
    slot.save(schedule, chosen)
    return Executable(schedule, chosen)


def _check_dtypes(device: CompilingDevice, roots: Sequence[Node]) -> None:
    """TypeError where an operation needs a type that the device does not have; nothing falls back silently."""
    for current in topological(roots):
        if current.dtype not in device.dtypes:
            raise TypeError(
                f"{current.op.name}: {device.name} ({device.information.description}) has no {current.dtype.name}; it "
                f"supports {', '.join(sorted(d.name for d in device.dtypes))}. Convert with .to(dtype) before. "
                f"Needed at {current.place}"
            )
