"""Composites: declared by what they are made of; evaluated, differentiated, verified and replaced accordingly."""

import textwrap
from typing import NamedTuple

import numpy
import pytest

from lazygrad import ops, runtime
from lazygrad.autodiff import jvp, vjp
from lazygrad.ir.composition import composition, meaning
from lazygrad.ir.dtype import float16, float32, float64
from lazygrad.ir.node import all_inputs, node, topological
from lazygrad.ir.op import REGISTRY, Family, Op
from lazygrad.ir.printer import print_graph
from lazygrad.ir.verify import GraphError, verify_graph
from lazygrad.kernel.machine import Machine
from lazygrad.passes import simplify
from lazygrad.passes.composites import replace_composites
from lazygrad.testing import gradcheck
from lazygrad.testing.gradcheck import evaluate
from unit.schedule.interpreted import check


class Power(NamedTuple):
    exponent: int


def declare(name, build, **fields):
    return Op(
        name=name, family=Family.COMPOSITE, shape=lambda inputs, a: inputs[0].shape,
        dtype=lambda inputs, a: inputs[0].dtype, numpy=lambda of, whole: whole,
        composition=build, vjp=fields.pop("vjp", ()), **fields,
    )  # fmt: skip


@pytest.fixture
def weighted_power():
    """``x ** exponent * sin(y)``, where the sine is a composite again; and an input that nothing is made of."""
    sine = declare("test_sine", lambda a, x: ops.sin(x))

    def build(a, x, y, unread):
        product = node(sine, (y,))
        for _ in range(a.exponent):
            product = ops.mul(product, x)
        return product

    op = declare("test_weighted_power", build)
    yield lambda x, y, exponent=2: node(op, (x, y, ops.sum_(ops.exp(ops.mul(x, y)), (0,))), Power(exponent))
    del REGISTRY["test_sine"], REGISTRY["test_weighted_power"]


def placeholder(*shape, dtype=float32):
    return ops.placeholder(shape, dtype, "numpy:0")


def data(values):
    array = numpy.asarray(values, numpy.float64)
    return ops.leaf(ops.buffer(runtime.from_host(array, float64, "numpy:0")))


X, Y = [0.3, -1.2, 2.0], [0.5, 0.7, -0.1]


def test_a_composite_must_be_declared_with_its_composition():
    fields = {"shape": lambda i, a: (), "dtype": lambda i, a: float32, "numpy": lambda of: 0, "vjp": ()}
    with pytest.raises(TypeError, match="composite op 'half' is declared without its composition"):
        Op(name="half", family=Family.COMPOSITE, **fields)
    with pytest.raises(TypeError, match="op 'half' has a composition, but its family is source"):
        Op(name="half", family=Family.SOURCE, composition=lambda a: None, **fields)
    assert "half" not in REGISTRY


def test_the_reference_evaluates_the_composition(weighted_power):
    (found,) = evaluate([weighted_power(data(X), data(Y))])
    numpy.testing.assert_allclose(found, numpy.square(X) * numpy.sin(Y))


def test_parts_that_composites_share_are_evaluated_once(weighted_power, monkeypatch):
    x, y = data(X), data(Y)
    calls = []
    sine = REGISTRY["sin"]
    rule = sine.numpy
    object.__setattr__(sine, "numpy", lambda of, value: calls.append(of) or rule(of, value))
    try:
        evaluate([weighted_power(x, y), weighted_power(x, y, 3), ops.sin(y)])
    finally:
        object.__setattr__(sine, "numpy", rule)
    assert len(calls) == 1


def test_derivatives_go_through_the_composition(weighted_power):
    assert gradcheck(weighted_power, [data(X), data(Y)], second_order=True)
    assert gradcheck(lambda x: weighted_power(x, x, 3), [data(X)], second_order=True)
    assert gradcheck(lambda x, y: weighted_power(ops.mul(x, y), ops.add(x, y)), [data(X), data(Y)], second_order=True)


def test_what_a_composite_does_not_read_passes_nothing(weighted_power):
    x, y = placeholder(3), placeholder(3)
    unread = weighted_power(x, y).inputs[2]
    made = node(REGISTRY["test_weighted_power"], (x, y, unread), Power(2))
    g = placeholder(3)
    assert vjp([made], [g], [unread]) == [None]
    assert {n.op.name for n in topological([vjp([made], [g], [y])[0]], all_inputs)}.isdisjoint({"exp"})
    (tangent,) = jvp([made], [unread], [placeholder()])
    assert tangent is ops.constant(0, (3,), float32, "numpy:0")


def test_a_rule_goes_before_the_composition():
    op = declare("test_ruled", lambda a, x: ops.mul(x, x), vjp=(lambda out, g: ops.neg(g),))
    try:
        x, g = placeholder(2), placeholder(2)
        assert vjp([node(op, (x,))], [g], [x]) == [ops.neg(g)]
    finally:
        del REGISTRY["test_ruled"]


def test_printed_before_and_after_it_is_replaced(weighted_power):
    x, y = placeholder(3), placeholder(3)
    root = ops.neg(weighted_power(x, y))
    assert print_graph([root], {x: "x", y: "y"}) == textwrap.dedent(
        """\
        %0 = x : float32[3]
        %1 = y : float32[3]
        %2 = mul %0 %1 : float32[3]
        %3 = exp %2 : float32[3]
        %4 = sum %3 [(0)] : float32[]
        %5 = test_weighted_power %0 %1 %4 [2] : float32[3]
        %6 = neg %5 : float32[3]
        return %6
        """
    )
    replaced = replace_composites([root])
    verify_graph(replaced)
    assert print_graph(replaced, {x: "x", y: "y"}) == textwrap.dedent(
        """\
        %0 = y : float32[3]
        %1 = sin %0 : float32[3]
        %2 = x : float32[3]
        %3 = mul %1 %2 : float32[3]
        %4 = mul %3 %2 : float32[3]
        %5 = neg %4 : float32[3]
        return %5
        """
    )


def test_a_device_keeps_the_composites_that_it_names(weighted_power):
    x, y = placeholder(3), placeholder(3)
    root = weighted_power(x, y)

    def named(name):
        return lambda composite: composite.op.name == name

    assert replace_composites([root], named("test_weighted_power")) == [root]
    (inner,) = replace_composites([root], named("test_sine"))
    assert "test_sine" in {n.op.name for n in topological([inner])}
    kept, replaced = simplify([root], named("test_weighted_power")), simplify([root])
    assert kept[0].op.name == "test_weighted_power"
    assert replaced[0].op.name == "mul"
    assert Machine("gpu", cores=1).composites == frozenset()


def test_a_graph_without_composites_is_not_touched():
    root = ops.sin(placeholder(3))
    assert replace_composites([root]) == [root]
    assert composition(root) is None
    assert meaning(root) == root.inputs


def test_a_schedule_holds_nothing_that_only_composites_read(weighted_power):
    made = check(weighted_power, [(3,), (3,)])
    (kernel,) = made.kernels
    assert kernel.kernel.name == "sin_mul"


def test_a_composition_must_have_the_shape_and_dtype_declared():
    op = declare("test_narrow", lambda a, x: ops.cast(x, float16))
    try:
        with pytest.raises(GraphError, match="its composition is <cast float16"):
            verify_graph([node(op, (placeholder(2),))])
    finally:
        del REGISTRY["test_narrow"]


def test_the_line_of_a_composite_is_that_of_its_parts(weighted_power):
    made = weighted_power(placeholder(2), placeholder(2), 5)
    assert composition(made).place is made.place
