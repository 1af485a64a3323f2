"""Small kernels that several tests look at."""

from __future__ import annotations

from math import prod

from lazygrad.ir.dtype import DType, float32, int64
from lazygrad.ir.index import Bound, Index, Variable, variable
from lazygrad.ir.value import ARGUMENT, LOAD, REDUCED, Value, apply, leaf, where
from lazygrad.kernel.kernel import (
    Access,
    Body,
    BufferDeclaration,
    Contraction,
    Kernel,
    Reduction,
    Stage,
    Store,
)


def load(buffer: int, address: Index, dtype: DType = float32, mask: tuple[Bound, ...] = ()) -> Value:
    return leaf(LOAD, dtype, Access(buffer, address, mask))


def reduced(number: int, dtype: DType = float32) -> Value:
    return leaf(REDUCED, dtype, number)


def argument(number: int, dtype: DType = float32) -> Value:
    return leaf(ARGUMENT, dtype, number)


def pointwise(value: Value, size: int, dtype: DType = float32, inputs: int = 1, name: str = "pointwise") -> Kernel:
    """b<inputs>[i] = value, over i < size."""
    store = Store(Access(inputs, variable("i0", size)), value)
    buffers = (*(BufferDeclaration(float32, size),) * inputs, BufferDeclaration(dtype, size, written=True))
    return Kernel(name, (Body((Variable("i0", size),), (Stage((), (), (store,)),)),), buffers)


def softmax(rows: int, columns: int, names: tuple[str, str, str, str] = ("i0", "j0", "j1", "j2")) -> Kernel:
    axes = [Variable(name, extent) for name, extent in zip(names, (rows, columns, columns, columns), strict=True)]
    row, *inner = (variable(axis.name, axis.extent) for axis in axes)
    elements = [load(0, row * columns + column) for column in inner]
    powers = [apply("exp", element - reduced(0)) for element in elements]
    return Kernel(
        "softmax",
        (
            Body(
                (axes[0],),
                (
                    Stage((axes[1],), (Reduction("max", elements[0], float32),)),
                    Stage((axes[2],), (Reduction("sum", powers[1], float32),)),
                    Stage((axes[3],), (), (Store(Access(1, row * columns + inner[2]), powers[2] / reduced(1)),)),
                ),
            ),
        ),
        (BufferDeclaration(float32, rows * columns), BufferDeclaration(float32, rows * columns, written=True)),
    )


def matmul(rows: int, columns: int, depth: int) -> Kernel:
    """b2[i, k] = sum over j of b0[i, j] * b1[j, k]: a contraction and its epilogue."""
    i, k, j = Variable("i0", rows), Variable("i1", columns), Variable("j0", depth)
    at_i, at_k, at_j = (Index(0, ((axis, 1),)) for axis in (i, k, j))
    summed = Contraction(load(0, at_i * depth + at_j), load(1, at_j * columns + at_k), float32)
    store = Store(Access(2, at_i * columns + at_k), reduced(0))
    buffers = (
        BufferDeclaration(float32, rows * depth), BufferDeclaration(float32, depth * columns),
        BufferDeclaration(float32, rows * columns, written=True),
    )  # fmt: skip
    return Kernel("matmul", (Body((i, k), (Stage((j,), (summed,)), Stage((), (), (store,)))),), buffers)


def convolution(
    images: int,
    places: tuple[int, int],
    channels: int,
    columns: int,
    taps: int = 3,
    step: int = 1,
    flipped: bool = False,
    dtype: DType = float32,
) -> Kernel:
    """b3[n, y, x, o] = max(b2[n, y, x, o] + sum over i, j, c of b0[n, y + i, x + j, c] * b1[i, j, c, o], 0).

    Places are ``step`` apart in b0; ``flipped`` counts taps backwards, as the gradient of a convolution by its input.
    """
    down, across = ((place - 1) * step + taps for place in places)
    n, y, x, o = (variable(f"i{k}", extent) for k, extent in enumerate((images, *places, columns)))
    i, j, c = (variable(f"j{k}", extent) for k, extent in enumerate((taps, taps, channels)))
    at_i, at_j = (i * -1 + (taps - 1), j * -1 + (taps - 1)) if flipped else (i, j)
    source = ((n * down + y * step + at_i) * across + x * step + at_j) * channels + c
    summed = Contraction(load(0, source, dtype), load(1, ((i * taps + j) * channels + c) * columns + o, dtype), dtype)
    target = ((n * places[0] + y) * places[1] + x) * columns + o
    added = reduced(0, dtype) + load(2, target, dtype)
    sizes = (images * down * across * channels, taps * taps * channels * columns, images * prod(places) * columns)
    return Kernel(
        "convolution",
        (
            Body(
                _axes("i", images, *places, columns),
                (
                    Stage(_axes("j", taps, taps, channels), (summed,)),
                    Stage((), (), (Store(Access(3, target), where(added < 0.0, 0.0, added)),)),
                ),
            ),
        ),
        (*(BufferDeclaration(dtype, size) for size in sizes), BufferDeclaration(dtype, sizes[2], written=True)),
    )


def convolution_by_weight(images: int, places: tuple[int, int], channels: int, columns: int) -> Kernel:
    """b2[i, j, c, o] = sum over n, y, x of b0[n, y + i, x + j, c] * b1[n, y, x, o], for nine taps i, j."""
    down, across = places[0] + 2, places[1] + 2
    i, j, c, o = (variable(f"i{k}", extent) for k, extent in enumerate((3, 3, channels, columns)))
    n, y, x = (variable(f"j{k}", extent) for k, extent in enumerate((images, *places)))
    source = ((n * down + y + i) * across + x + j) * channels + c
    cotangent = ((n * places[0] + y) * places[1] + x) * columns + o
    summed = Contraction(load(0, source), load(1, cotangent), float32)
    target = ((i * 3 + j) * channels + c) * columns + o
    sizes = (images * down * across * channels, images * prod(places) * columns, 9 * channels * columns)
    return Kernel(
        "by_weight",
        (
            Body(
                _axes("i", 3, 3, channels, columns),
                (
                    Stage(_axes("j", images, *places), (summed,)),
                    Stage((), (), (Store(Access(2, target), reduced(0)),)),
                ),
            ),
        ),
        (*(BufferDeclaration(float32, size) for size in sizes[:2]), BufferDeclaration(float32, sizes[2], written=True)),
    )


def _axes(letter: str, *extents: int) -> tuple[Variable, ...]:
    return tuple(Variable(f"{letter}{number}", extent) for number, extent in enumerate(extents))


def padded_convolution(size: int = 8, taps: int = 3) -> Kernel:
    """b2[i] = sum over j of b0[i + j - 1] * b1[j], zero outside."""
    i, j = variable("i0", size), variable("j0", taps)
    inside = (Bound(i + j, 1, size + 1),)
    contraction = Contraction(load(0, i + j - 1, mask=inside), load(1, j), float32)
    return Kernel(
        "convolution",
        (
            Body(
                (Variable("i0", size),),
                (
                    Stage((Variable("j0", taps),), (contraction,)),
                    Stage((), (), (Store(Access(2, i), reduced(0)),)),
                ),
            ),
        ),
        (
            BufferDeclaration(float32, size),
            BufferDeclaration(float32, taps),
            BufferDeclaration(float32, size, written=True),
        ),
    )


def scatter_add(updates: int = 6, columns: int = 2, rows: int = 4) -> Kernel:
    """b2 = 0; for each update u in order: b2[b1[u], c] += b0[u, c]; positions outside are left out."""
    c, k, u = variable("i0", columns), variable("j0", rows), variable("j1", updates)
    row = Variable("d0", rows)
    target = Access(2, Index(0, ((row, columns),)) + c, (), (row,))
    position = load(1, u, int64)
    zero = load(0, c) * 0.0
    return Kernel(
        "scatter",
        (
            Body(
                (Variable("i0", columns),),
                (
                    Stage((Variable("j0", rows),), (), (Store(Access(2, k * columns + c), zero),)),
                    Stage(
                        (Variable("j1", updates),),
                        (),
                        (Store(target, load(0, u * columns + c), "add", (position,)),),
                        sequential=True,
                    ),
                ),
            ),
        ),
        (
            BufferDeclaration(float32, updates * columns),
            BufferDeclaration(int64, updates),
            BufferDeclaration(float32, rows * columns, written=True),
        ),
    )
