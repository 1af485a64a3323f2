"""Kernels as bytes: what comes out in any process is made of that process's own interned objects."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

from lazygrad.ir.dtype import float32
from lazygrad.ir.index import Bound, Index, Quotient, Variable, variable
from lazygrad.ir.value import LOAD, apply, constant, leaf
from lazygrad.kernel.identity import key
from lazygrad.kernel.kernel import Access
from lazygrad.kernel.verify import verify
from unit.kernel.kernels import load, matmul, pointwise, softmax

X = load(0, variable("i0", 24) // 4 + variable("i0", 24) % 4, mask=(Bound(variable("i0", 24), 3, 20),))
KERNELS = [
    pointwise(apply("exp", X) + X * float("nan"), 24),
    softmax(4, 8),
    matmul(4, 8, 12),
]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_a_copy_is_equal_and_of_the_same_parts(kernel):
    copied = pickle.loads(pickle.dumps(kernel))
    assert copied == kernel
    assert hash(copied) == hash(kernel)
    for one, other in zip(kernel.bodies, copied.bodies, strict=True):
        assert all(a is b for a, b in zip(one.axes, other.axes, strict=True))
        for stage, same in zip(one.stages, other.stages, strict=True):
            assert all(a is b for a, b in zip(stage.values, same.values, strict=True))
    verify(copied)


def test_leaves_are_interned():
    axis = Variable("i0", 24)
    quotient = Quotient(Index(0, ((axis, 1),)), 4, False)
    for each in (axis, quotient, X, constant(float("nan"), float32), constant(-0.0, float32)):
        assert pickle.loads(pickle.dumps(each)) is each
        assert copy.deepcopy(each) is each
    assert pickle.loads(pickle.dumps(constant(-0.0, float32))) is not constant(0.0, float32)


def test_an_expression_of_any_depth():
    deep = X
    for _ in range(20_000):
        deep = apply("neg", deep) + X
    assert pickle.loads(pickle.dumps(deep)) is deep


def test_loads_through_data():
    row = leaf(LOAD, float32, Access(0, variable("i0", 24)))
    gathered = leaf(LOAD, float32, Access(1, variable("d0", 7), (), (Variable("d0", 7),)), (row,))
    assert pickle.loads(pickle.dumps(gathered)) is gathered


def test_another_process_builds_the_same():
    """Hashes of interned objects are addresses: none may travel."""
    code = (
        "import pickle, sys\n"
        "from lazygrad.kernel.identity import canonical, key\n"
        "for kernel in pickle.load(sys.stdin.buffer):\n"
        "    again = pickle.loads(pickle.dumps(kernel))\n"
        "    assert again == kernel and hash(again) == hash(kernel) and canonical(kernel) == kernel\n"
        "    assert {kernel: 1}[again]\n"
        "    print(key(kernel))\n"
    )
    hash(KERNELS[1].bodies[0].stages[0])  # is remembered
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(KERNELS), capture_output=True)
    assert done.stdout.decode().split() == [key(kernel) for kernel in KERNELS], done.stderr.decode()
