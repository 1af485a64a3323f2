from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lazygrad.ir.dtype import float16, float32, int32, int64
from lazygrad.ir.index import Bound, variable
from lazygrad.ir.value import INDEX, VALID, apply, constant, leaf, where
from lazygrad.kernel.printer import LONGEST_EXPRESSION, print_kernel
from unit.kernel.kernels import argument, load, padded_convolution, pointwise, scatter_add, softmax

I = variable("i0", 8)  # noqa: E741
X = load(0, I)


def expression(value) -> str:
    """The right side of the last line."""
    return print_kernel(pointwise(value, 8, value.dtype)).rstrip().rpartition("b1[i0] = ")[2]


def test_softmax():
    assert print_kernel(softmax(4, 8)) == (
        "kernel softmax\n"
        "  b0: float32[32]\n"
        "  b1: float32[32] written\n"
        "body 0: i0 < 4\n"
        "  stage 0: j0 < 8\n"
        "    r0: float32 = max(b0[8*i0 + j0])\n"
        "  stage 1: j1 < 8\n"
        "    r1: float32 = sum(exp(b0[8*i0 + j1] - r0))\n"
        "  stage 2: j2 < 8\n"
        "    b1[8*i0 + j2] = exp(b0[8*i0 + j2] - r0) / r1\n"
    )


def test_masks_and_contractions():
    assert "r0: float32 = contract(b0[i0 + j0 - 1; where 1 <= i0 + j0 < 9], b1[j0])" in print_kernel(
        padded_convolution()
    )


def test_dynamic_addresses_and_order():
    text = print_kernel(scatter_add())
    assert "  stage 1: j1 < 6 in order\n" in text
    assert "b2[2*d0 + i0; d0 < 4 = b1[j1]] += b0[i0 + 2*j1]\n" in text


def test_parentheses_stand_where_they_are_needed_only():
    assert expression(X + X * 2.0 - 1.0) == "v0 + v0 * 2.0 - 1.0"
    assert expression((X - 1.0) * 2.0) == "(b0[i0] - 1.0) * 2.0"
    assert expression(1.0 - (X - 2.0)) == "1.0 - (b0[i0] - 2.0)"
    assert expression(-apply("neg", X)) == "-(-b0[i0])"
    assert expression(X * -2.0) == "b0[i0] * -2.0"
    assert expression(-constant(-2.0, float32)) == "-(-2.0)"
    assert expression((X < 1.0).equals(X < 2.0)) == "(v0 < 1.0) == (v0 < 2.0)"


def test_constants_show_their_dtype_where_it_is_not_the_usual_one():
    assert expression(constant(1.0, float16)) == "1.0:float16"
    assert expression(constant(1, int32)) == "1:int32"
    assert expression(constant(1, int64)) == "1"
    assert expression(constant(-0.0, float32)) == "-0.0"
    assert expression(constant(float("nan"), float32)) == "nan"


def test_leaves_and_functions():
    assert expression(leaf(INDEX, int64, I * 2)) == "index(2*i0)"
    assert expression(leaf(INDEX, int32, I * 2)) == "index(2*i0):int32"
    inside = leaf(VALID, (X < 1.0).dtype, (Bound(I, 2, 5),))
    assert expression(where(inside, X, 0.0)) == "where(valid(2 <= i0 < 5), b0[i0], 0.0)"
    assert expression(X.cast(int32)) == "int32(b0[i0])"
    assert expression(X.bitcast(int32)) == "bitcast_int32(b0[i0])"
    assert expression(apply("atan2", X, argument(0))) == "atan2(b0[i0], s0)"


def test_shared_values_get_a_line_once():
    shared = apply("exp", X)
    text = print_kernel(pointwise(shared * (shared + 1.0), 8))
    assert text.endswith("    v0 = exp(b0[i0])\n    b1[i0] = v0 * (v0 + 1.0)\n")


def test_deep_expressions_become_short_lines():
    value = X
    for _ in range(20_000):
        value = apply("sin", value) + 1.0
    text = print_kernel(pointwise(value, 8))
    assert max(map(len, text.splitlines())) < LONGEST_EXPRESSION + 40
    assert text.count("sin") == 20_000


def test_the_text_does_not_depend_on_the_hash_seed():
    program = (
        "from unit.kernel.kernels import softmax, scatter_add\n"
        "from lazygrad.kernel.identity import canonical\n"
        "print(canonical(softmax(4, 8)), canonical(scatter_add()))\n"
        "from lazygrad.kernel.printer import print_kernel\n"
        "print(print_kernel(softmax(4, 8)), print_kernel(scatter_add()))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
