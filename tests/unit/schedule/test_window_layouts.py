"""Where windows read a value, channels lie fastest in it, whatever else reads it."""

from lazygrad import ops
from lazygrad.autodiff import vjp
from lazygrad.kernel.kernel import Contraction
from unit.schedule.interpreted import check
from unit.schedule.test_fusion import convolution

CHANNELS = 24


def test_a_strided_gradients_windows_lie_along_the_sum():
    """Of the four taps' products by parity the first needs no window; it does not decide how the others read."""

    def build(x, w, g):
        return vjp([convolution(x, w, 2, 1)], [ops.tanh(g)], [x])[0]

    made = check(build, [(2, 16, 9, 9), (CHANNELS, 16, 3, 3), (2, CHANNELS, 5, 5)])
    along = [
        any(accumulator.a.payload.address.coefficient(axis) == 1 for axis in stage.axes if axis.extent == CHANNELS)
        for scheduled in made.kernels
        for body in scheduled.kernel.bodies
        for stage in body.stages
        for accumulator in stage.accumulators
        if isinstance(accumulator, Contraction) and len(stage.axes) > 1
    ]
    assert along == [True] * 3


def test_channels_of_single_pixels_lie_together_between_convolutions():
    """A reduction among the results reads one of them, which makes it no result itself."""

    def build(x, v, w):
        hidden = ops.tanh(convolution(ops.tanh(x), v, 1, 0))
        return [ops.tanh(convolution(hidden, w, 1, 1)), ops.sum_(hidden, (0, 2, 3))]

    made = check(build, [(2, 16, 6, 5), (CHANNELS, 16, 1, 1), (8, CHANNELS, 3, 3)])
    strides = {
        declared.layout.strides[1]
        for declared in made.slots
        if declared.shape == (2, CHANNELS, 6, 5) and declared.layout.strides is not None
    }
    assert strides == {1}


def test_a_result_of_single_pixels_is_not_copied():
    made = check(lambda x, v: [convolution(x, v, 1, 0)], [(2, 16, 12, 12), (CHANNELS, 16, 1, 1)])
    assert [scheduled.kernel.name for scheduled in made.kernels] == ["contract"]
