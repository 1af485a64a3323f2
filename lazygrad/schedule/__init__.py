"""Scheduling: what is fused into one kernel, what is stored, in which layout, and in what order it runs.

    roots -> simplify -> stage operands -> split long reductions -> components -> what to store -> layouts -> kernels

Comes in: an abstract graph whose leaves are numbered. Goes out: a ``Schedule`` of kernels over numbered slots,
which holds no node and no buffer, so that it serves every later graph of the same structure.

The scheduler itself is ``lazygrad.schedule.plan``; it is imported when a graph is met that has no schedule yet.
"""

from lazygrad.schedule.schedule import LeafSlot, Schedule, ScheduledKernel, SlotDeclaration

__all__ = ["LeafSlot", "Schedule", "ScheduledKernel", "SlotDeclaration"]
