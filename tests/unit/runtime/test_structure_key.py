from __future__ import annotations

import os
import subprocess
import sys

import pytest

import lazygrad as lg
from lazygrad import ops
from lazygrad.ir.dtype import float32, int64
from lazygrad.ir.index import Bound, Variable, variable
from lazygrad.ir.map import IndexMap
from lazygrad.ir.value import Exact
from lazygrad.kernel.machine import Machine
from lazygrad.ops.contract import CONTRACT
from lazygrad.runtime.device import Capabilities
from lazygrad.runtime.structure import linearize
from lazygrad.runtime.structure_key import NoKeyError, stable_text, steps_text

SCRIPT = """
import lazygrad as lg
from lazygrad.kernel.machine import Machine
from lazygrad.runtime.device import Capabilities
from lazygrad.runtime.structure import linearize
from lazygrad.runtime.structure_key import stable_text, steps_text
print(stable_text(Capabilities(Machine("cpu", 2, composites=frozenset({"c", "b", "a"})))))
x = lg.rand(4, 3, 8, 8)
w = lg.rand(5, 3, 3, 3, requires_grad=True)
loss = (lg.nn.functional.conv2d(x, w, padding=1).relu() * lg.argument(0.5)).sum()
loss.backward()
print(steps_text(linearize([loss._node, w.grad._node]).steps))
"""


def test_every_process_writes_the_same():
    texts = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONHASHSEED": seed}, text=True, capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }  # fmt: skip
    (text,) = texts
    assert "0x" not in text
    assert "contract" in text


def text_of(*nodes):
    return steps_text(linearize(nodes).steps)


def leaf(*shape, dtype=lg.float32):
    return lg.from_numpy(lg.zeros(*shape, dtype=dtype).numpy())._node


def test_different_structures_have_different_texts():
    a, b, small = leaf(4, 6), leaf(4, 6), leaf(4, 3)
    texts = [
        text_of(ops.add(a, b)),
        text_of(ops.add(a, a)),
        text_of(ops.mul(a, b)),
        text_of(ops.add(a, b), ops.mul(a, b)),
        text_of(ops.mul(a, b), ops.add(a, b)),
        text_of(ops.permute(a, (1, 0))),
        text_of(ops.reshape(a, (6, 4))),
        text_of(ops.reshape(a, (2, 12))),
        text_of(ops.add(a, ops.constant(1, (4, 6), float32, a.device))),
        text_of(ops.add(a, ops.constant(-0.0, (4, 6), float32, a.device))),
        text_of(ops.add(a, ops.constant(0.0, (4, 6), float32, a.device))),
        text_of(ops.add(small, small)),
    ]
    assert len(set(texts)) == len(texts)
    assert text_of(ops.add(a, b)) == text_of(ops.add(b, a)) == text_of(ops.add(leaf(4, 6), leaf(4, 6)))


def test_index_expressions_with_equal_printed_forms():
    small, large = variable("i0", 4), variable("i0", 8)
    assert repr(small) == repr(large)
    maps = [IndexMap((8,), (index // 3,), (Bound(index, 1, 3),)) for index in (small, large)]
    assert len({stable_text(each) for each in maps}) == 2
    assert stable_text(small % 3) != stable_text(small // 3)
    assert stable_text(Variable("d0", 7)) == "d0<7"


def test_numbers_of_different_types_differ():
    values = (1, 1.0, True, "1", Exact(0.0), Exact(-0.0), Exact(0), None, (), float("nan"), float32, int64, CONTRACT)
    assert len({stable_text(value) for value in values}) == len(values)


def test_machines_that_differ_in_anything_differ():
    base = Capabilities(Machine("cpu", 2))
    others = [
        Capabilities(Machine("cpu", 4)),
        Capabilities(Machine("gpu", 2)),
        Capabilities(Machine("cpu", 2, composites=frozenset({"attention"}))),
        Capabilities(Machine("cpu", 2), dtypes=frozenset({float32})),
        Capabilities(Machine("cpu", 2), argument_limit=8),
    ]
    assert len({stable_text(each) for each in (base, *others)}) == 6


def test_what_no_other_process_knows_is_refused():
    with pytest.raises(NoKeyError, match="of type object has no text that other processes would know"):
        stable_text((1, object()))
