"""docs/architecture.md shows how one kernel becomes OpenCL and Triton: what it shows is what is generated."""

import re
from pathlib import Path

import pytest

from lazygrad.ir.dtype import float32
from lazygrad.ir.index import variable
from lazygrad.ir.value import LOAD, REDUCED, leaf
from lazygrad.kernel.identity import canonical
from lazygrad.kernel.kernel import Access, Body, BufferDeclaration, Kernel, Reduction, Stage, Store
from lazygrad.kernel.machine import Machine
from lazygrad.kernel.printer import print_kernel
from lazygrad.runtime import Capabilities

CHAPTER = "## One kernel, two targets"
PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


def row_sum_of_products() -> Kernel:
    """``(x * y).sum(1)`` of two [64, 96] matrices."""
    row, column = variable("i", 64), variable("j", 96)
    (i,), (j,) = ((atom for atom, _ in index.terms) for index in (row, column))
    x, y = (leaf(LOAD, float32, Access(buffer, row * 96 + column)) for buffer in (0, 1))
    summing = Stage((j,), (Reduction("sum", x * y, float32),))
    storing = Stage((), (), (Store(Access(2, row), leaf(REDUCED, float32, 0)),))
    buffers = (BufferDeclaration(float32, 6144), BufferDeclaration(float32, 6144), BufferDeclaration(float32, 64, True))
    return canonical(Kernel("mul_sum", (Body((i,), (summing, storing)),), buffers))


def shown() -> dict[str, str]:
    """The chapter's code blocks by language."""
    chapter = PAGE.read_text().split(CHAPTER)[1].split("\n## ")[0]
    return dict(re.findall(r"```(\w+)\n(.*?)```", chapter, re.DOTALL))


def test_the_kernel():
    assert shown()["text"] == print_kernel(row_sum_of_products())


def test_opencl():
    source = pytest.importorskip("lazygrad_opencl.source")
    machine = Machine("cpu", cores=2)
    assert shown()["c"] == source.generate(row_sum_of_products(), Capabilities(machine)).text


def test_triton():
    source = pytest.importorskip("lazygrad_triton.source")
    machine = Machine("block", cores=108)
    text = source.generate(row_sum_of_products(), Capabilities(machine)).text
    assert shown()["python"] == "".join(line for line in text.splitlines(True) if not line.startswith("#"))
