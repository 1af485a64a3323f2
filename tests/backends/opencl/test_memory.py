"""Behind each buffer of a processor lies memory that kernels may read, whatever is in it."""

from __future__ import annotations

import ctypes

import numpy
import pytest

import lazygrad as lg
from lazygrad.kernel.machine import MOST_PANEL_BYTES
from lazygrad.runtime import device
from lazygrad_opencl import backend
from lazygrad_opencl.huge_pages import HUGE_PAGE

if not backend.devices():
    pytest.skip("there is no OpenCL device", allow_module_level=True)

DEVICE = "opencl:0"


@pytest.mark.parametrize("size", [256, 4096, HUGE_PAGE, 3 * HUGE_PAGE])
def test_as_much_as_a_panel_can_be_read_behind_a_buffer(size):
    opened = device(DEVICE)
    memory = opened.allocate(size)
    if not memory.address:
        pytest.skip("this device has memory of its own")
    try:
        assert len(ctypes.string_at(memory.address + size, MOST_PANEL_BYTES)) == MOST_PANEL_BYTES
    finally:
        opened.free(memory)


@pytest.mark.parametrize("columns", [3, 17, 40, 70])
def test_what_lies_behind_an_operand_reaches_no_result(columns):
    rng = numpy.random.default_rng(0)
    a = rng.standard_normal((7, 30)).astype(numpy.float32)
    whole = numpy.full(30 * columns + MOST_PANEL_BYTES // 4, numpy.nan, numpy.float32)
    b = whole[: 30 * columns].reshape(30, columns)
    b[:] = rng.standard_normal(b.shape)
    memory = lg.tensor(whole, device=DEVICE)
    x = lg.tensor(a, device=DEVICE)
    product = lg.compile(lambda x, memory: x @ memory[: 30 * columns].reshape(30, columns))
    for _ in range(3):  # as single launches, and from a list
        numpy.testing.assert_allclose(product(x, memory).numpy(), a @ b, rtol=1e-4, atol=1e-5)
