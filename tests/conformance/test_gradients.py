"""Derivatives: against finite differences, against torch, and of every device against the reference."""

import pytest

from lazygrad.ir.dtype import float32
from lazygrad.testing import conformance

ROWS = [row for row in conformance.rows() if row.gradients]
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@each_row
def test_derivatives_against_finite_differences(row):
    problems = conformance.derivative_problems_of(row)
    assert not problems, "\n".join(map(str, problems))


@each_row
def test_gradients_against_torch(row):
    pytest.importorskip("torch")
    from conformance.torch_comparison import gradient_problems

    if not (row.torch and row.torch_gradients):
        pytest.skip("torch has no such function")
    problems = gradient_problems(row)
    assert not problems, "\n".join(problems)


@each_row
def test_gradients_on_a_device(row, native_device):
    conformance.run_row_gradients(row, native_device, [float32])
