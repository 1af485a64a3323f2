"""Attention and its gradients as kernel bodies that stream: a score exists at one point of the loops only.

By query m, through the keys n:

    score = scale * sum(query[m, e] * key[n, e] over e) + bias[m, n], or -inf where n is hidden from m
    attention[m, d] = the average of value[n, d] by score
    attention_logsumexp[m] = logsumexp(score)
    query_gradient[m, e] = scale * sum(score_gradient * key[n, e])

By key n, through the queries m:

    key_gradient[n, e] = scale * sum(score_gradient * query[m, e])
    value_gradient[n, d] = sum(weight * cotangent[m, d])

with the weights computed again:

    weight = exp(score - logsumexp[m])
    score_gradient = weight * (sum(cotangent[m, d] * value[n, d] over d) - delta[m])

This is FlashAttention-2 (Dao 2023, https://arxiv.org/abs/2307.08691, section 3.1) without its tiles: they are the
business of code generators.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from lazygrad.ir import value as scalar
from lazygrad.ir.dtype import bool_
from lazygrad.ir.index import Bound, Index, variable
from lazygrad.ir.map import axis_variables
from lazygrad.ir.node import Node
from lazygrad.ir.value import Value
from lazygrad.kernel.kernel import Accumulator, Average, Body, Contraction, Product, Reduction, Stage
from lazygrad.ops.attention import ATTENTION, KEY_GRADIENT, LOGSUMEXP, QUERY_GRADIENT, VALUE_GRADIENT
from lazygrad.ops.attention_composition import HIDDEN, AttentionAttributes
from lazygrad.schedule.components import Component, atoms
from lazygrad.schedule.expressions import Expressions, compute_dtype
from lazygrad.schedule.streaming import BY_KEY, operands

# Whether a matrix is given by query or by key, and the name of its last axis.
_SIDES = {"query": (True, "e"), "key": (False, "e"), "value": (False, "d"), "cotangent": (True, "d")}
# Gradients through the score's scale. It multiplies their sums, not what is summed.
_SCALED = (QUERY_GRADIENT, KEY_GRADIENT)
# The matrix whose rows a gradient adds up.
_SUMMED = {QUERY_GRADIENT: "key", KEY_GRADIENT: "query", VALUE_GRADIENT: "cotangent"}


def attention_body(component: Component, stored: Sequence[Node], expressions: Expressions) -> Body:
    """The body that computes the component's stored members in one stream."""
    stream = _Stream(component, stored, expressions)
    taken = [stream.accumulator(member) for member in stored]
    streaming = Stage(atoms([stream.through]), tuple(taken), products=tuple(stream.products))
    storing = []
    for number, (member, accumulator) in enumerate(zip(stored, taken, strict=True)):
        result = scalar.leaf(scalar.REDUCED, accumulator.dtype, number)
        expressions.results[member] = result * stream.attributes.scale if member.op in _SCALED else result
        storing.append(Stage(accumulator.axes, (), (expressions.store(member, component.points[member]),)))
    return Body(atoms(axis_variables(component.space)), (streaming, *storing))


class _Stream:
    """What is computed at one point of the loops, for all results of a stream."""

    def __init__(self, component: Component, results: Sequence[Node], expressions: Expressions) -> None:
        of = results[0]  # attributes, and inputs of one name, are the same for all
        self.expressions = expressions
        self.given = {name: operand for result in results for name, operand in operands(result).items()}
        self.attributes: AttentionAttributes = of.attributes
        self.dtype = compute_dtype(of.inputs[0].dtype)
        self.by_key = of.op in BY_KEY
        *batch, row = axis_variables(component.space)
        self.batch = tuple(batch)
        self.through = variable("j0", self.given["query" if self.by_key else "key"].shape[-2])
        self.m, self.n = (self.through, row) if self.by_key else (row, self.through)
        self.products: list[Product] = []

    def accumulator(self, of: Node) -> Accumulator:
        """What becomes one of the results."""
        if of.op is LOGSUMEXP:
            return Reduction("logsumexp", self.score, self.dtype)
        if of.op is ATTENTION:
            weighted, last = self._matrix("value")
            return Average(self.score, weighted, self.dtype, self.attributes.precision, atoms([last]))
        factor = self.weight if of.op is VALUE_GRADIENT else self.score_gradient
        weighted, last = self._matrix(_SUMMED[of.op])
        return Contraction(factor, weighted, self.dtype, self.attributes.precision, atoms([last]))

    @cached_property
    def score(self) -> Value:
        """Of query m and key n."""
        result = self._product("query", "key") * self.attributes.scale
        if "bias" in self.given:
            bias = self.given["bias"]
            point = (*self.batch, self.m, self.n)
            spread = tuple(Index(0) if extent == 1 else c for c, extent in zip(point, bias.shape, strict=True))
            result = result + self.expressions.element(bias, spread).cast(self.dtype)
        visible = Bound(self.m - self.n, 0, self.given["query"].shape[-2])
        if self.attributes.causal and not visible.always:
            result = scalar.where(scalar.leaf(scalar.VALID, bool_, (visible,)), result, HIDDEN)
        return result

    @cached_property
    def weight(self) -> Value:
        """The score's share of its query's sum; 0 where a bias hides every key from the query, and the sum is -inf."""
        total = self._of_query("logsumexp")
        if "bias" in self.given:
            total = scalar.where(total.equals(HIDDEN), 0.0, total)
        return scalar.apply("exp", self.score - total)

    @cached_property
    def score_gradient(self) -> Value:
        """The cotangent of the score."""
        weight, of_weight = self.weight, self._product("cotangent", "value")
        return weight * (of_weight - self._of_query("delta"))

    def _product(self, by_query: str, by_key: str) -> Value:
        """The product of two matrices, one of which is given by query, the other by key."""
        (a, last), (b, _) = self._matrix(by_query), self._matrix(by_key)
        if self.by_key:
            a, b = b, a
        self.products.append(Product(atoms([last]), a, b, self.dtype, self.attributes.precision))
        return scalar.leaf(scalar.PRODUCT, self.dtype, len(self.products) - 1)

    def _matrix(self, name: str) -> tuple[Value, Index]:
        """An element of a matrix at the query or key of this point, and the matrix's last axis."""
        matrix = self.given[name]
        of_query, letter = _SIDES[name]
        last = variable(letter, matrix.shape[-1])
        element = self.expressions.element(matrix, (*self.batch, self.m if of_query else self.n, last))
        if element.op != "cast":  # no load, a constant say: it is as narrow as the matrix
            element = element.cast(matrix.dtype).cast(self.dtype)
        return element, last

    def _of_query(self, name: str) -> Value:
        """One of the numbers that there are for each query."""
        return self.expressions.element(self.given[name], (*self.batch, self.m))
