"""Runs schedules without a device: every kernel through the interpreter, on NumPy memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

from lazygrad import ops
from lazygrad.ir.composition import meaning
from lazygrad.ir.dtype import DType, accumulator, float32
from lazygrad.ir.index import evaluate, variable
from lazygrad.ir.layout import Layout, row_major
from lazygrad.ir.node import Node, topological
from lazygrad.kernel.interpret import interpret
from lazygrad.kernel.machine import Machine
from lazygrad.kernel.verify import verify
from lazygrad.schedule import LeafSlot, Schedule
from lazygrad.schedule.memory import plan_memory
from lazygrad.schedule.plan import plan

CPU = Machine("cpu", cores=2)
GPU = Machine("gpu", cores=16)
ALIGNMENT = 64


def schedule_of(roots: Sequence[Node], leaves: Sequence[Node], machine: Machine = CPU) -> Schedule:
    """The schedule over row-major leaves; every kernel of it is verified."""
    made = plan(roots, {leaf: LeafSlot(row_major(leaf.shape)) for leaf in leaves}, [], machine, 64)
    for scheduled in made.kernels:
        verify(scheduled.kernel)
    return made


def run(made: Schedule, arrays: Sequence[numpy.ndarray]) -> list[numpy.ndarray]:
    """The roots' elements.

    Memory lies as it is planned when every leaf may be overwritten. It is filled with what is NaN in every float first,
    so that nothing unwritten goes unnoticed.
    """
    memory = [numpy.array(array).reshape(-1) for array in arrays]
    plan = plan_memory(made, frozenset(range(made.leaves)), ALIGNMENT)
    arena = numpy.full(plan.arena, 0xFF, numpy.uint8)
    for slot, offset, donor in zip(made.slots, plan.offsets, plan.donors, strict=True):
        if donor is not None:
            memory.append(memory[donor].view(slot.dtype.numpy))
        else:
            start = offset or 0
            place = numpy.full(slot.size, 0xFF, numpy.uint8) if offset is None else arena[start : start + slot.size]
            memory.append(place.view(slot.dtype.numpy))
    for scheduled in made.kernels:
        interpret(scheduled.kernel, [memory[slot] for slot in scheduled.slots])
    return [_elements(memory[slot], made.slots[slot - made.leaves].layout) for slot in made.roots]


def _elements(flat: numpy.ndarray, layout: Layout) -> numpy.ndarray:
    point = [variable(f"i{axis}", extent) for axis, extent in enumerate(layout.shape)]
    grid = numpy.indices(layout.shape)
    addresses = evaluate(layout.address(point), lambda v: grid[int(v.name[1:])])
    return flat[numpy.broadcast_to(addresses, layout.shape)]


def reference(roots: Sequence[Node], leaves: Sequence[Node], arrays: Sequence[numpy.ndarray]) -> list[numpy.ndarray]:
    """Node by node by the operations' own meaning."""
    known = dict(zip(leaves, arrays, strict=True))
    with numpy.errstate(all="ignore"):
        for current in topological(roots, meaning):
            if current not in known:
                known[current] = current.op.numpy(current, *(known[i] for i in meaning(current)))
    return [known[root] for root in roots]


def check(
    build, shapes, machine: Machine = CPU, tolerance: float = 1e-4, seed: int = 0, dtype: DType = float32
) -> Schedule:
    """Schedules ``build(*leaves)``, runs it in the interpreter, and compares with the reference."""
    generator = numpy.random.default_rng(seed)
    leaves = [ops.placeholder(shape, dtype, "numpy") for shape in shapes]
    arrays = [generator.standard_normal(shape).astype(dtype.numpy) for shape in shapes]
    built = build(*leaves)
    roots = list(built) if isinstance(built, (list, tuple)) else [built]
    made = schedule_of(roots, leaves, machine)
    for got, want in zip(run(made, arrays), reference(roots, leaves, arrays), strict=True):
        assert got.shape == want.shape
        wide = accumulator(dtype).numpy  # NumPy compares no bfloat16
        numpy.testing.assert_allclose(got.astype(wide), want.astype(wide), rtol=tolerance, atol=tolerance)
    return made
