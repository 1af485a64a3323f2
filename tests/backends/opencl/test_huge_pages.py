"""Large memory of processors lies in huge pages of the host, and is there as long as submitted work needs it."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy
import pytest

import lazygrad as lg
from lazygrad.runtime import device
from lazygrad_opencl import backend, huge_pages
from lazygrad_opencl.huge_pages import HUGE_PAGE, huge_paged

if not backend.devices():
    pytest.skip("there is no OpenCL device", allow_module_level=True)
if not hasattr(mmap, "MADV_HUGEPAGE"):
    pytest.skip("this system has no advice about pages", allow_module_level=True)

DEVICE = "opencl:0"


def advised(array):
    """Whether the system was told of huge pages where the array lies (the flag hg)."""
    address, inside = array.ctypes.data, False
    with Path("/proc/self/smaps").open() as maps:
        for line in maps:
            first = line.split()[0]
            if "-" in first and not first.endswith(":"):
                begin, end = (int(text, 16) for text in first.split("-"))
                inside = begin <= address < end
            elif inside and first == "VmFlags:":
                return "hg" in line.split()
    return False


def test_memory_is_aligned_and_advised():
    array = huge_paged(3 * HUGE_PAGE + 100)
    assert array is not None
    assert array.nbytes == 3 * HUGE_PAGE + 100
    assert array.ctypes.data % HUGE_PAGE == 0
    assert advised(array)
    assert not array.any()


def test_little_memory_and_systems_without_advice_are_left_to_the_driver(monkeypatch):
    assert huge_paged(HUGE_PAGE - 1) is None
    monkeypatch.delattr(huge_pages.mmap, "MADV_HUGEPAGE")
    assert huge_paged(HUGE_PAGE) is None


def test_large_tensors_live_there_and_survive_being_given_back():
    opened = device(DEVICE)
    if opened.capabilities.machine.flavour != "cpu":
        pytest.skip("this device has memory of its own")
    memory = opened.allocate(2 * HUGE_PAGE)
    assert memory.mapped
    assert not memory.region(0, HUGE_PAGE).mapped
    opened.free(memory)
    for _ in range(3):
        x = lg.ones(1 << 20, device=DEVICE) * 2
        y = (x + 1).realize()
        del x
        opened.pool.empty_cache()
        assert numpy.array_equal(y.numpy(), numpy.full(1 << 20, 3, numpy.float32))
