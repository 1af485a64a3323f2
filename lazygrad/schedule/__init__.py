"""Scheduling: what is fused into one kernel, what is stored, in which layout, and in what order it runs.

    roots -> simplify -> stage operands -> split long reductions -> components -> what to store -> layouts -> kernels

Comes in: an abstract graph whose leaves are numbered. Goes out: a ``Schedule`` of kernels over numbered slots,
which holds no node and no buffer, so that it serves every later graph of the same structure.
"""

from lazygrad.schedule.plan import LeafSlot, Schedule, ScheduledKernel, plan

__all__ = ["LeafSlot", "Schedule", "ScheduledKernel", "plan"]
