from __future__ import annotations

from dataclasses import replace

from lazygrad.ir.dtype import float32, float64
from lazygrad.ir.index import variable
from lazygrad.ir.value import constant
from lazygrad.kernel.identity import canonical, key
from unit.kernel.kernels import load, padded_convolution, pointwise, scatter_add, softmax

X = load(0, variable("i0", 8))


def test_kernels_that_differ_in_names_only_are_one():
    renamed = canonical(softmax(4, 8, ("z", "y", "x", "w")))
    assert renamed == softmax(4, 8)
    assert key(renamed) == key(softmax(4, 8))


def test_canonical_kernels_stay_as_they_are():
    for kernel in (softmax(4, 8), padded_convolution(), scatter_add()):
        assert canonical(kernel) == kernel


def test_names_may_be_exchanged():
    assert canonical(softmax(4, 8, ("j0", "i0", "j2", "j1"))) == softmax(4, 8)


def test_the_name_of_a_kernel_is_not_in_its_key():
    kernel = softmax(4, 8)
    assert key(kernel) == key(replace(kernel, name="other"))


def test_what_differs_has_another_key():
    kernels = [
        pointwise(X + 1.0, 8),
        pointwise(X + 2.0, 8),
        pointwise(X + -0.0, 8),
        pointwise(X + 0.0, 8),
        pointwise(X - 1.0, 8),
        pointwise(X + 1.0, 8, inputs=2),
        pointwise(X.cast(float64), 8, float64),
        pointwise(constant(1.0, float64), 8, float64),
        pointwise(constant(1.0, float32), 8, float32),
    ]
    movable = replace(kernels[0], buffers=(kernels[0].buffers[0]._replace(movable=True), kernels[0].buffers[1]))
    larger = replace(kernels[0], buffers=(kernels[0].buffers[0]._replace(size=9), kernels[0].buffers[1]))
    scalars = replace(kernels[0], scalars=(float32,))
    assert len({key(kernel) for kernel in (*kernels, movable, larger, scalars)}) == len(kernels) + 3


def test_a_key_is_stable():
    # Changing this value throws everybody's compiled kernels away: raise identity.FORMAT when it is meant.
    assert key(softmax(4, 8)) == "c81951fce8bccc310849f80bc48d8753bfca84be0745e1e7b2d431350ccc5879"
