"""Products, averages and accumulators with axes of their own: what they mean, how they print, which are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy
import pytest

from lazygrad.ir.dtype import bool_, float16, float32, float64
from lazygrad.ir.index import Bound, Index, Variable, variable
from lazygrad.ir.value import PRODUCT, VALID, Value, apply, constant, leaf, where
from lazygrad.kernel.axes import canonical_axes
from lazygrad.kernel.base_two import in_base_two
from lazygrad.kernel.expand import expand, map_values
from lazygrad.kernel.identity import canonical, key
from lazygrad.kernel.interpret import interpret
from lazygrad.kernel.kernel import (
    Access,
    Average,
    Body,
    BufferDeclaration,
    Contraction,
    Kernel,
    Product,
    Reduction,
    Stage,
    Store,
)
from lazygrad.kernel.mapping import map_stage
from lazygrad.kernel.printer import print_kernel
from lazygrad.kernel.substitution import substitute_stages
from lazygrad.kernel.verify import KernelError, verify
from lazygrad.kernel.visibility import assuming, visible
from unit.kernel.kernels import load, reduced

M, N, E, D = 6, 9, 4, 5
m, n, e, d = (variable(name, extent) for name, extent in zip(("i0", "j0", "k0", "j1"), (M, N, E, D), strict=True))
HIDDEN = float("-inf")
SEEN = Bound(m - n, 0, M)
CAUSAL = leaf(VALID, bool_, (SEEN,))
SCORE = where(CAUSAL, leaf(PRODUCT, float32, 0) * 0.5, HIDDEN)
PRODUCTS = (Product((Variable("k0", E),), load(0, m * E + e), load(1, n * E + e), float32),)
VALUES = load(2, n * D + d)
COLUMNS = (Variable("j1", D),)


def stream(*stages: Stage) -> Kernel:
    buffers = [BufferDeclaration(float32, size) for size in (M * E, N * E, N * D)]
    buffers += [BufferDeclaration(float32, size, written=True) for size in (M * D, M)]
    return Kernel("stream", (Body((Variable("i0", M),), stages),), tuple(buffers))


def attention(products: tuple[Product, ...] = PRODUCTS, weighted: Value = VALUES) -> Kernel:
    """Causal attention and the logarithms of its sums."""
    accumulators = (
        Average(SCORE, weighted, float32, axes=COLUMNS),
        Reduction("logsumexp", SCORE, float32),
    )
    return stream(
        Stage((Variable("j0", N),), accumulators, products=products),
        Stage(COLUMNS, (), (Store(Access(3, m * D + d), reduced(0)),)),
        Stage((), (), (Store(Access(4, m), reduced(1)),)),
    )


def arrays() -> list[numpy.ndarray]:
    generator = numpy.random.default_rng(0)
    given = [generator.standard_normal(size).astype(numpy.float32) for size in (M * E, N * E, N * D)]
    return [*given, numpy.full(M * D, numpy.nan, numpy.float32), numpy.full(M, numpy.nan, numpy.float32)]


def causal_scores(query: numpy.ndarray, key: numpy.ndarray) -> numpy.ndarray:
    scores = query.reshape(M, E) @ key.reshape(N, E).T * 0.5
    return numpy.where(numpy.arange(N) <= numpy.arange(M)[:, None], scores, -numpy.inf)


# ---- meaning


def test_attention_is_what_it_means():
    kernel = attention()
    verify(kernel)
    memory = arrays()
    interpret(kernel, memory)
    exponentials = numpy.exp(causal_scores(*memory[:2]))
    sums = exponentials.sum(1)
    numpy.testing.assert_allclose(memory[4], numpy.log(sums), rtol=1e-5)
    expected = exponentials / sums[:, None] @ memory[2].reshape(N, D)
    numpy.testing.assert_allclose(memory[3].reshape(M, D), expected, rtol=1e-5)


def test_scores_of_any_size():
    memory = arrays()
    memory[0] *= 1e4
    interpret(attention(), memory)
    assert numpy.isfinite(memory[3]).all()
    largest = causal_scores(*memory[:2]).max(1)
    numpy.testing.assert_allclose(memory[4], largest, rtol=1e-6)


def test_rows_without_a_score():
    hidden = where(leaf(VALID, bool_, (Bound(m, 2, M),)), SCORE, HIDDEN)
    kernel = attention()
    body = map_values(kernel.bodies[0], lambda value: hidden if value is SCORE else value)
    memory = arrays()
    interpret(replace(kernel, bodies=(body,)), memory)
    assert (memory[4][:2] == -numpy.inf).all()
    assert (memory[3].reshape(M, D)[:2] == 0).all()
    assert numpy.isfinite(memory[4][2:]).all()


def test_a_contraction_has_columns_of_its_own():
    kernel = stream(
        Stage((Variable("j0", N),), (Contraction(SCORE.inputs[1], VALUES, float32, axes=COLUMNS),), products=PRODUCTS),
        Stage(COLUMNS, (), (Store(Access(3, m * D + d), reduced(0)), )),
        Stage((), (), (Store(Access(4, m), constant(0.0, float32)),)),
    )  # fmt: skip
    verify(kernel)
    memory = arrays()
    interpret(kernel, memory)
    query, key, value = (x.reshape(shape) for x, shape in zip(memory, ((M, E), (N, E), (N, D)), strict=False))
    numpy.testing.assert_allclose(memory[3].reshape(M, D), 0.5 * query @ key.T @ value, rtol=1e-5, atol=1e-6)


def test_a_factor_without_the_products_axis_counts_as_often_as_there_are_points():
    product = replace(PRODUCTS[0], a=load(0, m), b=load(1, n))
    memory = arrays()
    interpret(attention((product,)), memory)
    scores = E * memory[0][:M, None] * memory[1][:N] * 0.5
    seen = numpy.arange(N) <= numpy.arange(M)[:, None]
    numpy.testing.assert_allclose(memory[4], numpy.log(numpy.where(seen, numpy.exp(scores), 0).sum(1)), rtol=1e-5)


# ---- text and names


def test_how_it_prints():
    precise = replace(PRODUCTS[0], precision="high")
    assert print_kernel(attention((precise,))) == (
        "kernel stream\n"
        "  b0: float32[24]\n"
        "  b1: float32[36]\n"
        "  b2: float32[45]\n"
        "  b3: float32[30] written\n"
        "  b4: float32[6] written\n"
        "body 0: i0 < 6\n"
        "  stage 0: j0 < 9\n"
        "    p0: float32 = contract(b0[4*i0 + k0], b1[4*j0 + k0]; high precision) over k0 < 4\n"
        "    v0 = where(valid(0 <= i0 - j0 < 6), p0 * 0.5, -inf)\n"
        "    r0: float32 for j1 < 5 = average(v0, b2[5*j0 + j1])\n"
        "    r1: float32 = logsumexp(v0)\n"
        "  stage 1: j1 < 5\n"
        "    b3[5*i0 + j1] = r0\n"
        "  stage 2:\n"
        "    b4[i0] = r1\n"
    )


def test_names_become_canonical():
    given = attention()
    renamed = {v: Variable(f"any {v.name}", v.extent) for v in (Variable("k0", E), Variable("j1", D))}
    body = given.bodies[0]

    def other(axes: tuple[Variable, ...]) -> tuple[Variable, ...]:
        return tuple(renamed.get(axis, axis) for axis in axes)

    stages = substitute_stages(body.stages, {old: Index(0, ((new, 1),)) for old, new in renamed.items()})
    strange = replace(given, bodies=(Body(body.axes, tuple(map_stage(stage, axes=other) for stage in stages)),))
    assert strange != given
    assert canonical(strange) == given
    assert key(canonical(strange)) == key(given)
    assert key(attention((replace(PRODUCTS[0], precision="high"),))) != key(given)


# ---- passes


def test_passes_keep_all_of_it():
    body = attention().bodies[0]
    assert map_values(body, lambda value: value) == body
    assert canonical_axes(body) is body
    assert expand(body, frozenset()) == body


def test_visible_steps_are_found():
    first = attention().bodies[0].stages[0]
    assert visible(first) == (SEEN,)
    weight = apply("exp", SCORE - load(0, m))
    seen = replace(first, accumulators=(Contraction(weight * load(1, n) * 2.0, VALUES, float32, axes=COLUMNS),))
    assert visible(seen) == (SEEN,)
    # One that takes in everything makes all steps visible; so do sums, which hidden scores would not leave out.
    assert visible(replace(first, accumulators=(*first.accumulators, Contraction(load(0, m), VALUES, float32)))) == ()
    assert visible(replace(first, accumulators=(Contraction(SCORE, VALUES, float32, axes=COLUMNS),))) == ()


def test_where_all_is_visible_nothing_is_chosen():
    found = assuming(attention().bodies[0].stages[0], (SEEN,))
    assert found.accumulators[0].score is SCORE.inputs[1]
    assert found.products == PRODUCTS


def test_exponentials_in_base_two():
    x = load(0, m)
    plain = x * 0.5 - load(1, n)
    two = in_base_two(apply("exp", plain) + 1.0)
    assert {value.op for value in (two, *two.inputs)} == {"add", "exp2", "constant"}
    (scaled,) = two.inputs[0].inputs
    assert scaled.inputs[0].inputs[0] is x  # one multiplication, by a constant that has the factor in it
    assert scaled.inputs[0].inputs[1].payload.number == pytest.approx(0.5 * numpy.log2(numpy.e))
    assert in_base_two(plain) is plain


# ---- what is refused


def refuses(kernel: Kernel, message: str) -> None:
    with pytest.raises(KernelError, match=message):
        verify(kernel)


def test_products_are_verified():
    (product,) = PRODUCTS
    refuses(attention((replace(product, a=load(0, n * E + e)),)), "uses j0; known here are i0, k0")
    refuses(attention((replace(product, axes=()),)), "uses k0; known here are i0")
    refuses(attention((replace(product, b=product.b.cast(float64)),)), "a product of float32 and float64 cannot be")
    narrow = tuple(factor.cast(float16) for factor in product.operands)
    refuses(
        attention((replace(product, a=narrow[0], b=narrow[1], precision="high"),)), "float16 has a precision that only"
    )
    refuses(attention(()), "product 0 is read, but it is not one of this stage's")
    refuses(attention((replace(product, a=SCORE.inputs[1]),)), "product 0 is read, but it is not one of this stage's")
    refuses(attention((replace(product, axes=(Variable("k0", E), Variable("i0", 2))),)), "two axes have one name")


def test_results_with_axes_are_read_inside_them():
    kernel = attention()
    body = kernel.bodies[0]
    outside = Stage((), (), (Store(Access(4, m), reduced(0)),))
    refuses(replace(kernel, bodies=(Body(body.axes, (*body.stages[:2], outside)),)), "read outside its axes j1")
    refuses(attention(weighted=leaf(PRODUCT, float32, 0)), "product 0 is read, but it is not one of this stage's")
    refuses(attention(weighted=VALUES.cast(float64)), "an average of float32 and float64 cannot be added up")
