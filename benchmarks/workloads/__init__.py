"""What is measured: a suite for processors, one for graphics processors, and families in which any size has a name."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.frameworks import Precision, Run
from benchmarks.workloads.families import family_member
from benchmarks.workloads.graphics import graphics_suite
from benchmarks.workloads.processor import TARGETS, processor_names
from benchmarks.workloads.workload import Workload

__all__ = ["Precision", "Run", "Workload", "graphics_suite", "named", "processor_names"]


def named(name: str, tiny: bool = False) -> Workload:
    """The workload of a name; KeyError when there is none. ``tiny`` sizes are for interpreters."""
    for workload in graphics_suite(tiny):
        if workload.name == name:
            return workload
    return replace(family_member(name), target=TARGETS.get(name))
