"""Chains of launches, each of which reads what the one before it has written: in a wrong order, or too soon, it would
read something else. Tests that import this are skipped where there is no team that would run them.
"""

from __future__ import annotations

from itertools import count, pairwise

import numpy
import pytest

from lazygrad_opencl import backend, driver_cache, task_list

if not backend.devices():
    pytest.skip("there is no OpenCL device", allow_module_level=True)

from backends.opencl.handwritten import SIZE, found_devices, kernel, source
from lazygrad.ir.dtype import float32
from lazygrad_opencl.device import OpenCLDevice

if found_devices()[0].handle.platform.name != driver_cache.PLATFORM_NAME or not task_list.is_possible():
    pytest.skip("only PoCL's machine code is called by address", allow_module_level=True)

GROUPS = 8
DEVICES = count()
X = numpy.arange(SIZE, dtype=numpy.float32)
PART = SIZE // GROUPS
# Each work-group reads what all have written before.
MIXED = f"""
if (!b0) return;
const int g = get_group_id(0);
for (int i = g * {PART}; i < (g + 1) * {PART}; i++) {{ b1[i] = b0[o0 + {SIZE} - 1 - i] * s0 + 1; SCRATCH }}
"""


def scaling_device(monkeypatch):
    """Its kernels turn a tensor around, multiply it and add 1; half of them want scratch memory."""
    opened = OpenCLDevice(found_devices()[0])
    text = f"// {next(DEVICES)}: PoCL compiles no text twice in a process\n{MIXED}\n"

    def generated(wanted, capabilities):
        body = text.replace("SCRATCH", "scratch[g] = 1;" if wanted.name == "scratch" else "")
        return source(wanted, body, scratch_bytes=128 if wanted.name == "scratch" else 0, groups=GROUPS)

    monkeypatch.setattr(opened, "_generate", generated)
    return opened


KERNELS = [kernel(name, (float32,), movable=True) for name in ("plain", "scratch")]


class Chain:
    """Kernels, each of which reads what the one before it has written."""

    def __init__(self, device, length=10):
        self.device = device
        programs = device.compile([KERNELS[number % 2] for number in range(length)])
        self.batch = device.batch(programs, lambda: range(length))
        self.buffers = [device.from_host(numpy.zeros(SIZE, numpy.float32), float32) for _ in range(length)]
        for launch, (read, written) in enumerate(pairwise([None, *self.buffers])):
            if read is not None:
                self.batch.put(launch, 0, read.allocation.memory)
            self.batch.put(launch, 1, written.allocation.memory)
            self.batch.set(launch, 1, 1.0)

    def result(self, x):
        with self.device.lock:  # as the runtime does
            self.batch.put(0, 0, self.device.from_host(x, float32).allocation.memory)
            self.batch.submit()
        return self.device.to_host(self.buffers[-1])
