"""Runs kernels on the first OpenCL processor, in either flavour, and compares with the interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy
import pytest

from lazygrad.ir.dtype import DTYPES, bfloat16, bool_, float16
from lazygrad.kernel.interpret import interpret
from lazygrad.kernel.kernel import Kernel
from lazygrad.kernel.machine import Flavour, Machine
from lazygrad.runtime import Capabilities
from lazygrad_opencl.instruction_set import Vectors, read_vectors
from lazygrad_opencl.source import generate, prelude

pyopencl = pytest.importorskip("pyopencl")

OPTIONS = "-cl-mad-enable -cl-std=CL1.2 -Werror"
# What results may differ by where sums are added in another order and functions are approximations, by bits
# of a float.
TOLERANCE = {64: 1e-12, 32: 2e-6, 16: 1e-3}
AVX2 = Vectors(32, 16)
# Kinds of vectors that code can be made for, and run here; the second is nobody's.
VECTORS = list(dict.fromkeys((AVX2, Vectors(32, 32), read_vectors(32))))
Arrays = Sequence[numpy.ndarray[Any, Any]]


def capabilities(flavour: Flavour, vectors: Vectors = AVX2) -> Capabilities:
    """A small machine, so that small kernels are shared among tasks; work-groups of 32."""
    machine = Machine(
        flavour, cores=2, vector_bytes=vectors.bytes, vector_registers=vectors.registers, work_group_limit=32
    )
    return Capabilities(machine, frozenset(DTYPES))


class Launcher:
    """A context and a queue."""

    def __init__(self) -> None:
        try:
            devices = [d for p in pyopencl.get_platforms() for d in p.get_devices()]
        except pyopencl.Error:
            devices = []
        processors = [d for d in devices if d.type & pyopencl.device_type.CPU]
        if not processors:
            pytest.skip("no OpenCL processor")
        self.context = pyopencl.Context(processors[:1])
        self.queue = pyopencl.CommandQueue(self.context)
        self.programs: dict[str, Any] = {}

    def run(
        self,
        kernel: Kernel,
        arrays: Arrays,
        flavour: Flavour,
        offsets: Sequence[int] = (),
        scalars: Sequence[Any] = (),
        vectors: Vectors = AVX2,
    ) -> list[numpy.ndarray[Any, Any]]:
        """The buffers' contents after one launch."""
        device = capabilities(flavour, vectors)
        source = generate(kernel, device)
        text = prelude(device) + source.text
        program = self.programs.get(text)
        if program is None:
            program = self.programs[text] = pyopencl.Program(self.context, text).build(OPTIONS)
        function = pyopencl.Kernel(program, source.function)
        flags = pyopencl.mem_flags.READ_WRITE | pyopencl.mem_flags.COPY_HOST_PTR
        buffers = [pyopencl.Buffer(self.context, flags, hostbuf=array.view(numpy.uint8)) for array in arrays]
        arguments = [*buffers, *(numpy.int64(offset) for offset in offsets)]
        for scalar, dtype in zip(scalars, kernel.scalars, strict=True):
            rounded = numpy.asarray(scalar, dtype.numpy)
            if dtype in (float16, bfloat16):
                arguments.append(rounded.astype(numpy.float32)[()])
            else:
                arguments.append(rounded.view(numpy.uint8)[()] if dtype is bool_ else rounded[()])
        if source.scratch_bytes:
            arguments.append(pyopencl.Buffer(self.context, pyopencl.mem_flags.READ_WRITE, source.scratch_bytes))
        size = source.work_group_size
        function(self.queue, (source.work_groups * size,), (size,), *arguments)
        results = [numpy.empty_like(array) for array in arrays]
        for result, buffer in zip(results, buffers, strict=True):
            pyopencl.enqueue_copy(self.queue, result.view(numpy.uint8), buffer)
        self.queue.finish()
        return results

    def check(
        self,
        kernel: Kernel,
        arrays: Arrays,
        flavour: Flavour,
        offsets: Sequence[int] = (),
        scalars: Sequence[Any] = (),
        vectors: Vectors = AVX2,
    ) -> list[numpy.ndarray[Any, Any]]:
        """Runs and compares every written buffer with what the interpreter gives."""
        expected = [array.copy() for array in arrays]
        interpret(kernel, expected, offsets, scalars)
        results = self.run(kernel, arrays, flavour, offsets, scalars, vectors)
        for number, (result, wanted) in enumerate(zip(results, expected, strict=True)):
            text = generate(kernel, capabilities(flavour, vectors)).text
            assert_close(result, wanted, f"buffer {number} of\n{text}")
        return results


def assert_close(result: numpy.ndarray[Any, Any], wanted: numpy.ndarray[Any, Any], place: str) -> None:
    """Integers exactly, floats within the tolerance of their width, NaN and infinities in the same places."""
    if result.dtype.kind in "iub":
        numpy.testing.assert_array_equal(result, wanted, err_msg=place)
        return
    tolerance = TOLERANCE[result.dtype.itemsize * 8]
    left, right = (array.astype(numpy.float64) for array in (result, wanted))
    numpy.testing.assert_allclose(left, right, rtol=10 * tolerance, atol=10 * tolerance, err_msg=place)
