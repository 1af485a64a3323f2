from __future__ import annotations

from dataclasses import replace

import pytest

from lazygrad.ir.dtype import bool_, float16, float32, int32, int64
from lazygrad.ir.index import Bound, Index, Variable, variable
from lazygrad.ir.value import INDEX, LOAD, apply, constant, leaf
from lazygrad.kernel.bounds import bounds_under, escape
from lazygrad.kernel.kernel import Access, Body, BufferDeclaration, Contraction, Kernel, Reduction, Stage, Store
from lazygrad.kernel.verify import KernelError, verify
from unit.kernel.kernels import argument, load, padded_convolution, pointwise, reduced, scatter_add, softmax

I = variable("i0", 8)  # noqa: E741
X = load(0, I)


@pytest.mark.parametrize("kernel", [softmax(4, 8), padded_convolution(), scatter_add(), pointwise(X + 1.0, 8)])
def test_good_kernels_pass(kernel):
    verify(kernel)


def refuses(kernel: Kernel, message: str) -> None:
    with pytest.raises(KernelError, match=message):
        verify(kernel)


def storing(store: Store, *earlier: Stage, axes: tuple[Variable, ...] = (Variable("i0", 8),)) -> Kernel:
    return Kernel(
        "test",
        (Body(axes, (*earlier, Stage((), (), (store,)))),),
        (BufferDeclaration(float32, 8), BufferDeclaration(float32, 8, written=True)),
    )


def test_the_place_is_named():
    kernel = softmax(4, 8)
    with pytest.raises(KernelError, match=r"^kernel softmax, body 0, stage 2, store 0: .* reaches element 31 of 31"):
        verify(replace(kernel, buffers=(kernel.buffers[0], BufferDeclaration(float32, 31, written=True))))


def test_buffers_and_addresses():
    refuses(pointwise(load(5, I), 8), "buffer 5 does not exist; there are 2")
    refuses(pointwise(load(0, I + 1), 8), "the address i0 \\+ 1 in buffer 0 reaches element 8 of 8 at i0 = 7")
    refuses(pointwise(load(0, I - 1), 8), "reaches element -1 of 8 at i0 = 0")
    verify(pointwise(load(0, I - 1, mask=(Bound(I, 1, 8),)), 8))
    refuses(pointwise(load(0, I * 2, mask=(Bound(I, 0, 5),)), 8), "reaches element 8 of 8 at i0 = 4")
    refuses(pointwise(load(1, I), 8), "buffer 1 is loaded from, but this kernel writes it")
    refuses(
        replace(pointwise(X, 8), buffers=(BufferDeclaration(float32, 8), BufferDeclaration(float32, 8))),
        "buffer 1 is stored to but not declared as written",
    )
    refuses(
        replace(pointwise(X, 8), buffers=(BufferDeclaration(float32, 8, True), BufferDeclaration(float32, 8, True))),
        "buffer 0 is loaded from",
    )


def test_dynamic_variables_are_bounded_by_their_extent_or_the_mask():
    row = Variable("d0", 9)
    address = Index(0, ((row, 1),))
    position = constant(3, int64)

    def gather(mask=()):
        return pointwise(leaf(LOAD, float32, Access(0, address, mask, (row,)), (position,)), 8)

    refuses(gather(), "reaches element 8 of 8 at d0 = 8")
    verify(gather((Bound(address, 0, 8),)))
    refuses(pointwise(leaf(LOAD, float32, Access(0, address, (), (row,))), 8), "1 dynamic variables have 0 values")
    refuses(pointwise(leaf(LOAD, float32, Access(0, address, (), (row,)), (X,)), 8), "has a value of float32")
    refuses(pointwise(load(0, address), 8), "uses d0; known here are i0")


def test_variables_must_be_known():
    refuses(pointwise(load(0, variable("i7", 8)), 8), "the address in buffer 0 uses i7; known here are i0")
    refuses(pointwise(leaf(INDEX, float32, I), 8), "an index has the dtype float32")
    outer = storing(
        Store(Access(1, I), reduced(0)),
        Stage((Variable("i0", 8),), (Reduction("sum", X, float32),)),
    )
    refuses(outer, "two axes have one name among i0, i0")


def test_dtypes():
    refuses(pointwise(X.cast(int32), 8), "int32 is stored to buffer 1 of float32")
    refuses(pointwise(load(0, I, float16), 8, float16), "buffer 0 is float32, but the value that reads it is float16")
    refuses(pointwise(apply("add", X, constant(1, int32)), 8), "add has operands of float32 and int32")
    refuses(pointwise(apply("where", X, X, X), 8), "where chooses by float32, not by bool")
    refuses(pointwise(X.bitcast(int64), 8, int64), "bitcast from float32 to int64")
    refuses(pointwise(apply("frobnicate", X), 8), "there is no elementwise operation 'frobnicate'")
    refuses(pointwise(apply("exp", X, X), 8), "exp has 1 inputs, not 2")
    refuses(pointwise(leaf("add", bool_, None, (X, X)), 8, bool_), "add of float32 is float32, not bool")
    refuses(pointwise(argument(0), 8), "scalar 0 does not exist; there are 0")
    refuses(replace(pointwise(argument(0), 8), scalars=(int32,)), "scalar 0 is int32, but the value that reads it")


def test_accumulators():
    store = Store(Access(1, I), reduced(0))
    axis = (Variable("j0", 4),)
    refuses(storing(store), "accumulator 0 is read, but no earlier stage of this body has it")
    refuses(
        storing(store, Stage(axis, (Reduction("sum", X, int32),))), "sum takes in float32, but its accumulator is int32"
    )
    refuses(storing(store, Stage(axis, (Reduction("argmax", X, float32),))), "argmax needs a position")
    refuses(storing(store, Stage(axis, (Reduction("max", X, float32, I),))), "max has no position")
    refuses(storing(store, Stage(axis, (Reduction("argmax", X, float32, I),))), "accumulator 0 is int64")
    refuses(
        storing(store, Stage(axis, (Contraction(X, X.cast(int32), float32),))),
        "a contraction of float32 and int32 cannot be added up in float32",
    )
    verify(storing(store, Stage(axis, (Contraction(X.cast(float16), X.cast(float16), float32),))))
    verify(storing(store, Stage(axis, (Contraction(X, X, float32, "high"),))))
    refuses(
        storing(store, Stage(axis, (Contraction(X.cast(float16), X.cast(float16), float32, "high"),))),
        "a contraction of float16 has a precision that only float32 has",
    )
    same_stage = Kernel(
        "test",
        (Body((Variable("i0", 8),), (Stage((), (Reduction("sum", X, float32),), (store,)),)),),
        storing(store).buffers,
    )
    refuses(same_stage, "accumulator 0 is read, but no earlier stage")


def test_stores():
    refuses(storing(Store(Access(1, I), X, "add")), "no earlier stage of this body stores to it")
    refuses(storing(Store(Access(1, Index(0)), X)), "all points of axis i0 store to the same elements of buffer 1")
    kernel = storing(Store(Access(1, I), X))
    verify(replace(kernel, bodies=kernel.bodies * 2))  # bodies may share a buffer: each writes elements of its own
    refuses(
        replace(kernel, buffers=(*kernel.buffers, BufferDeclaration(float32, 8, written=True))),
        "buffer 2 is declared as written, but nothing stores to it",
    )


def test_names_must_be_canonical():
    refuses(softmax(4, 8, ("a", "b", "c", "d")), "its names are not canonical")


def test_a_mask_bounds_a_sum_as_a_whole():
    i, j = variable("i0", 8), variable("j0", 3)
    assert bounds_under((i + j - 1) * 16 + 5, (Bound(i + j, 1, 9),)) == (5, 117)
    assert bounds_under((i + j - 1) * -16, (Bound(i + j, 1, 9),)) == (-112, 0)
    row, column = variable("i1", 6), variable("j1", 3)
    masks = (Bound(i + j, 1, 9), Bound(row + column, 1, 7))
    assert bounds_under((i + j - 1) * 6 + row + column - 1, masks) == (0, 47)


def test_what_bounds_cannot_prove_is_tried():
    i, j = variable("i0", 8), variable("j0", 8)
    odd = Bound((i + j) % 2, 0, 1)
    assert escape((i + j) // 2, (odd,), 8) is None
    assert escape((i + j) // 2, (odd,), 7) == "element 7 of 7 at i0 = 7, j0 = 7"
    large = variable("i1", 1 << 40)
    assert escape(large * 2 - large // 3, (), 1 << 42) is None
    assert "of 1000 at i1 = " in str(escape(large * 2 - large // 3, (), 1000))
