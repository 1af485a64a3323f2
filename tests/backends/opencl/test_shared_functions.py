"""Functions that several kernels call: one for each text, once in a program."""

from dataclasses import replace

import numpy
import pytest

from backends.opencl.launching import OPTIONS, Launcher, capabilities
from lazygrad_opencl.prelude import prelude
from lazygrad_opencl.shared_functions import shared_function
from lazygrad_opencl.source import generate
from unit.kernel.kernels import convolution

pyopencl = pytest.importorskip("pyopencl")


def test_names_follow_texts():
    one = shared_function("f", ["const long n"], ["x[n] = 1;"])
    assert one == shared_function("f", ["const long n"], ["x[n] = 1;"])
    others = [
        shared_function("f", ["const long m"], ["x[n] = 1;"]),
        shared_function("f", ["const long n"], ["x[n] = 2;"]),
    ]
    assert len({one.name, *(other.name for other in others)}) == 3


def shared_names(text):
    return {line for line in text.split("\n") if line.startswith("#ifndef HAS_")}


def test_convolutions_of_different_sizes_in_one_program():
    """What differs between them, and so is no constant of the functions: sizes, steps, and which taps come first."""
    kernels = [
        convolution(2, (12, 8), 64, 64),
        replace(convolution(2, (12, 11), 40, 32, flipped=True), name="flipped"),
    ]
    common = prelude(capabilities("cpu"))
    texts = [generate(kernel, capabilities("cpu")).text for kernel in kernels]
    assert shared_names(texts[0]) == shared_names(texts[1])
    assert len(shared_names(texts[0])) == 4
    launcher, random = Launcher(), numpy.random.default_rng(0)
    both = pyopencl.Program(launcher.context, "".join([common, *texts])).build(OPTIONS)
    launcher.programs = {common + text: both for text in texts}
    for kernel in kernels:
        arrays = [random.standard_normal(buffer.size).astype(numpy.float32) / 4 for buffer in kernel.buffers]
        launcher.check(kernel, arrays, "cpu")
