"""The table of operations on every device, and the reference against torch."""

import pytest

from forced_gpu import NAME as FORCED_GPU
from lazygrad.ir.dtype import bfloat16, bool_, float32, int64
from lazygrad.ir.node import all_inputs, topological
from lazygrad.ir.op import REGISTRY
from lazygrad.testing import conformance
from lazygrad.testing.row import generator_for

# What backward passes and optimizers put off, what is made by simplification only, and a stand-in never computed.
NOT_IN_THE_TABLE = {"gradient", "update", "view", "placeholder"}

each_row = pytest.mark.parametrize("row", conformance.rows(), ids=lambda row: row.name)


# The code for graphics processors, forced onto a processor, is slow to compile there, and Triton's interpreter is slow
# by itself: one dtype of each kind must do.
FEW_DTYPES = {FORCED_GPU: [float32, int64, bool_], "triton": [float32, bfloat16, int64, bool_]}


@each_row
def test_values(row, compiled_device):
    conformance.run_row(row, compiled_device, FEW_DTYPES.get(compiled_device.partition(":")[0]))


@pytest.mark.exhaustive
@each_row
def test_all_values_and_gradients_in_the_interpreter(row):
    pytest.importorskip("triton")
    conformance.run_row(row, "triton:interpret")
    conformance.run_row_gradients(row, "triton:interpret")


@each_row
def test_the_reference_against_torch(row):
    pytest.importorskip("torch")
    from conformance.torch_comparison import value_problems

    if not row.torch:
        pytest.skip("torch has no such function")
    problems = value_problems(row)
    assert not problems, "\n".join(problems)


def test_names_are_unique():
    names = [row.name for row in conformance.rows()]
    assert len(set(names)) == len(names)


def test_every_primitive_is_in_the_table():
    """Also in its gradients, and in each dtype that a row names; nothing is computed for it."""
    met = set()
    for row in conformance.rows():
        dtype = row.dtypes[-1]
        for number, case in enumerate(row.cases):
            arrays = conformance.inputs_of(row, dtype, number)
            _, results = conformance.call(row, case, arrays, conformance.REFERENCE)
            made = list(results)
            if row.gradients and dtype.is_float:
                made += conformance.gradients(row, case, arrays, conformance.REFERENCE, number)
            met |= {node.op.name for node in topological([t._node for t in made], all_inputs)}
    assert set(REGISTRY) - met == NOT_IN_THE_TABLE


def test_inputs_are_the_same_in_every_run():
    row = conformance.row_named("add")
    first = [generator_for(row, 3).random() for _ in range(2)]
    assert first[0] == first[1] != generator_for(row, 4).random()


def test_a_wrong_result_is_reported_with_its_case():
    row = conformance.row_named("neg")
    assert conformance.problems_of(row, conformance.REFERENCE) == []
    calls = iter(range(10**6))
    different_each_time = row.with_(function=lambda m, x: -x + next(calls) % 2)
    with pytest.raises(conformance.ConformanceError, match=r"neg in float32, case 0 .* elements differ, the worst at"):
        conformance.run_row(different_each_time, conformance.REFERENCE)


def test_an_operation_that_raises_is_a_problem_and_not_the_end():
    def function(m, x):
        raise NotImplementedError("on this device")

    problems = conformance.problems_of(conformance.row_named("neg").with_(function=function), conformance.REFERENCE)
    assert problems
    assert "raised NotImplementedError: on this device" in str(problems[0])
