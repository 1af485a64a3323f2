"""Derivatives against finite differences, in float64.

For random cotangents u and tangents t, with f's Jacobian J at the inputs, one number is computed three ways:

    <u, J t>  by central differences     <vjp(u), t>  by the reverse walk     <u, jvp(t)>  by the forward one

Random u and t leave no error in J unseen; cotangents of ones would, for softmax and all else that sums to a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy

from lazygrad import ops, runtime
from lazygrad.autodiff import jvp, vjp
from lazygrad.ir.dtype import float64, from_numpy
from lazygrad.ir.node import Node

Array = numpy.ndarray[Any, Any]
# From input nodes to output nodes.
NodeFunction = Callable[[Sequence[Node]], Sequence[Node]]

# Central differences err by step**2 (truncation) and by 1e-16/step (rounding): both small here.
STEP = 1e-5
RELATIVE = 1e-6
ABSOLUTE = 1e-8


class GradientError(AssertionError):
    """A derivative disagrees with finite differences; the message says which, by how much and where."""


def gradcheck(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    directions: int = 2,
    forward: bool = True,
    second_order: bool = False,
    step: float = STEP,
    rtol: float = RELATIVE,
    atol: float = ABSOLUTE,
    seed: int = 0,
    device: str | None = None,
    differentiable: Sequence[bool] | None = None,
) -> bool:
    """Checks the derivatives of ``function`` at ``inputs``; True, or a :class:`GradientError`.

    Args:
        function: of tensors or of nodes, as the inputs are; returns one or several of the kind.
        inputs: tensors, nodes or NumPy arrays (which are passed as tensors). Floats are converted to float64 and
            differentiated by; all others are passed as they are.
        directions: how many pairs of cotangents and tangents.
        forward: also check forward mode.
        second_order: also check the derivative of the derivative.
        step: the step of the differences.
        rtol: the relative difference that is allowed.
        atol: the absolute difference that is allowed, times the largest number met.
        seed: of the random directions.
        device: where it runs; by default where the inputs are.
        differentiable: for each input whether it is differentiated by; by default every float is.

    >>> import lazygrad as lg
    >>> gradcheck(lambda x: lg.sin(x) * x, [lg.tensor([0.3, 1.2])], second_order=True)
    True
    """
    as_nodes = any(isinstance(given, Node) for given in inputs)
    arrays = [_array(given) for given in inputs]
    place = device or _device_of(inputs)
    moving = [a.dtype.kind == "f" and (differentiable is None or differentiable[i]) for i, a in enumerate(arrays)]
    call = (_on_nodes if as_nodes else _on_tensors)(function, arrays, moving, place)
    points = [array for array, moves in zip(arrays, moving, strict=True) if moves]
    generator = numpy.random.default_rng(seed)
    for _ in range(directions):
        _check(call, points, generator, place, step, rtol, atol, forward, "the first derivative")
    if second_order:
        _check(_derivative(call, generator), points, generator, place, step, rtol, atol, forward,
               "the second derivative")  # fmt: skip
    return True


def _array(given: Any) -> Array:
    if isinstance(given, Node):
        if given.result is None:
            runtime.realize([given])
        array = runtime.to_host(given.result)
    else:
        array = given if isinstance(given, numpy.ndarray) else given.detach().numpy()
    is_float = from_numpy(array.dtype).is_float
    return numpy.asarray(array, numpy.float64) if is_float else numpy.asarray(array)


def _device_of(inputs: Sequence[Any]) -> str:
    for given in inputs:
        if isinstance(given, Node):
            return given.device
        if not isinstance(given, numpy.ndarray):
            return str(given._node.device)
    return runtime.default_device()


def _several(outputs: Any) -> Sequence[Any]:
    return outputs if isinstance(outputs, (tuple, list)) else (outputs,)


def _leaf(array: Array, device: str) -> Node:
    return ops.leaf(ops.buffer(runtime.from_host(array, from_numpy(array.dtype), device)))


class _Call:
    """A function of float64 arrays: ``nodes(points)`` gives its input and output nodes, ``values`` the outputs."""

    def __init__(self, build: Callable[[Sequence[Array]], tuple[list[Node], list[Node]]]) -> None:
        self.nodes = build

    def values(self, points: Sequence[Array]) -> list[Array]:
        _, outputs = self.nodes(points)
        return evaluate(outputs)


def evaluate(nodes: Sequence[Node]) -> list[Array]:
    """The elements of nodes, computed in one submission."""
    waiting = [n for n in nodes if n.result is None]
    if waiting:
        runtime.realize(waiting)
    return [runtime.to_host(n.result) for n in nodes]


def _on_nodes(function: Callable[..., Any], arrays: Sequence[Array], moving: Sequence[bool], device: str) -> _Call:
    def build(points: Sequence[Array]) -> tuple[list[Node], list[Node]]:
        remaining = iter(points)
        given = [_leaf(next(remaining) if moves else a, device) for a, moves in zip(arrays, moving, strict=True)]
        outputs = [n for n in _several(function(*given)) if n.dtype is float64]
        return [n for n, moves in zip(given, moving, strict=True) if moves], outputs

    return _Call(build)


def _on_tensors(function: Callable[..., Any], arrays: Sequence[Array], moving: Sequence[bool], device: str) -> _Call:
    import lazygrad

    def build(points: Sequence[Array]) -> tuple[list[Node], list[Node]]:
        remaining = iter(points)
        given = [
            lazygrad.tensor(next(remaining) if moves else array, device=device, requires_grad=moves)
            for array, moves in zip(arrays, moving, strict=True)
        ]
        outputs = [t._node for t in _several(function(*given)) if t.dtype is float64]
        return [t._node for t in given if t.requires_grad], outputs

    return _Call(build)


def _derivative(call: _Call, generator: numpy.random.Generator) -> _Call:
    """The gradient along fixed random cotangents, as a function of the inputs."""
    cotangents: list[Array] = []

    def build(points: Sequence[Array]) -> tuple[list[Node], list[Node]]:
        inputs, outputs = call.nodes(points)
        if not cotangents:
            cotangents.extend(generator.standard_normal(o.shape) for o in outputs)
        given = [_leaf(c, o.device) for c, o in zip(cotangents, outputs, strict=True)]
        found = vjp(outputs, given, inputs)
        return inputs, [g for g in found if g is not None]

    return _Call(build)


def _check(
    call: _Call,
    points: Sequence[Array],
    generator: numpy.random.Generator,
    device: str,
    step: float,
    rtol: float,
    atol: float,
    forward: bool,
    what: str,
) -> None:
    inputs, outputs = call.nodes(points)
    if not outputs or not inputs:
        return
    cotangents = [generator.standard_normal(o.shape) for o in outputs]
    tangents = [generator.standard_normal(i.shape) for i in inputs]
    expected = _difference(call, points, tangents, cotangents, step)
    found = vjp(outputs, [_leaf(c, device) for c in cotangents], inputs)
    present = [(i, g) for i, g in enumerate(found) if g is not None]
    for i, g in present:
        if g.shape != inputs[i].shape or g.dtype is not inputs[i].dtype:
            raise GradientError(f"{what} by input {i} is {g!r}, but the input is {inputs[i]!r}")
    gradients = dict(zip((i for i, _ in present), evaluate([g for _, g in present]), strict=True))
    scale = 1 + abs(expected) + sum(float(numpy.abs(g * tangents[i]).sum()) for i, g in gradients.items())
    reverse = sum(float((g * tangents[i]).sum()) for i, g in gradients.items())
    if not abs(reverse - expected) <= rtol * abs(expected) + atol * scale:
        worst = _worst(call, points, cotangents, gradients, step)
        raise GradientError(
            f"{what} in reverse mode is {reverse!r} along a random direction, finite differences give {expected!r}; "
            f"worst element: {worst}"
        )
    if forward:
        pushed = evaluate(jvp(outputs, inputs, [_leaf(t, device) for t in tangents]))
        along = sum(float((p * c).sum()) for p, c in zip(pushed, cotangents, strict=True))
        if not abs(along - expected) <= rtol * abs(expected) + atol * scale:
            raise GradientError(
                f"{what} in forward mode is {along!r} along a random direction, finite differences give "
                f"{expected!r} (reverse mode agrees with them)"
            )


def _difference(
    call: _Call, points: Sequence[Array], tangents: Sequence[Array], cotangents: Sequence[Array], step: float
) -> float:
    ahead = call.values([p + step * t for p, t in zip(points, tangents, strict=True)])
    behind = call.values([p - step * t for p, t in zip(points, tangents, strict=True)])
    return sum(float(((a - b) / (2 * step) * c).sum()) for a, b, c in zip(ahead, behind, cotangents, strict=True))


def _worst(
    call: _Call, points: Sequence[Array], cotangents: Sequence[Array], gradients: dict[int, Array], step: float
) -> str:
    """The element of the gradient that is farthest off, looked for only once something is known to be wrong."""
    found = (0.0, "none found")
    for i, gradient in gradients.items():
        for position in numpy.ndindex(*gradient.shape[:]):
            tangents = [numpy.zeros(p.shape) for p in points]
            tangents[i][position] = 1.0
            expected = _difference(call, points, tangents, cotangents, step)
            off = abs(float(gradient[position]) - expected)
            if not off <= found[0]:
                found = (
                    off,
                    f"input {i} at {list(position)}: {float(gradient[position])!r} instead of {expected!r}",
                )
    return found[1]
