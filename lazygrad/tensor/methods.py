"""The methods of Tensor: each is the function of the same name from the module about its subject.

A class of its own, so that the names of builtins among them (``float``, ``sum``, ``type``) mean the builtins
where Tensor itself is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lazygrad.ir import dtype as dtypes
from lazygrad.tensor import (
    arithmetic,
    assignment,
    comparison,
    conversion,
    creation_like,
    einsum,
    extrema,
    gathering,
    history,
    indexing,
    inplace,
    joining,
    linalg,
    mathematics,
    movement,
    reduction,
    sampling,
    selection,
    statistics,
)
from lazygrad.tensor import (
    softmax as softmaxes,
)
from lazygrad.tensor.autocast import cover
from lazygrad.tensor.handle import Handle
from lazygrad.tensor.operands import OPERAND_TYPES

if TYPE_CHECKING:
    from lazygrad.tensor.tensor import Tensor


# Before anybody takes functions from there: here, in the package's __init__, in lazygrad.nn.
for _subject in (
    arithmetic,
    assignment,
    einsum,
    gathering,
    joining,
    linalg,
    mathematics,
    reduction,
    softmaxes,
    statistics,
):
    cover(_subject)


def _operator(function: Callable[..., Tensor], swapped: bool = False) -> Callable[[Tensor, Any], Tensor]:
    """The operator method of a function; NotImplemented for what is neither tensor nor number."""

    def method(self: Tensor, other: Any) -> Tensor:
        if not isinstance(other, OPERAND_TYPES):
            return NotImplemented  # type: ignore[no-any-return]
        return function(other, self) if swapped else function(self, other)

    return method


class Methods(Handle):
    """What Tensor inherits."""

    # ---- operators

    __add__ = __radd__ = _operator(arithmetic.add)
    __sub__ = _operator(arithmetic.sub)
    __rsub__ = _operator(arithmetic.sub, swapped=True)
    __mul__ = __rmul__ = _operator(arithmetic.mul)
    __truediv__ = _operator(arithmetic.div)
    __rtruediv__ = _operator(arithmetic.div, swapped=True)
    __floordiv__ = _operator(arithmetic.floor_divide)
    __rfloordiv__ = _operator(arithmetic.floor_divide, swapped=True)
    __mod__ = _operator(arithmetic.remainder)
    __rmod__ = _operator(arithmetic.remainder, swapped=True)
    __pow__ = _operator(arithmetic.pow)
    __rpow__ = _operator(arithmetic.pow, swapped=True)
    __matmul__ = _operator(linalg.matmul)
    __rmatmul__ = _operator(linalg.matmul, swapped=True)
    __eq__ = _operator(comparison.eq)  # type: ignore[assignment]
    __ne__ = _operator(comparison.ne)  # type: ignore[assignment]
    __lt__ = _operator(comparison.lt)
    __le__ = _operator(comparison.le)
    __gt__ = _operator(comparison.gt)
    __ge__ = _operator(comparison.ge)
    __and__ = __rand__ = _operator(comparison.bitwise_and)
    __or__ = __ror__ = _operator(comparison.bitwise_or)
    __xor__ = __rxor__ = _operator(comparison.bitwise_xor)
    __lshift__ = _operator(comparison.bitwise_left_shift)
    __rlshift__ = _operator(comparison.bitwise_left_shift, swapped=True)
    __rshift__ = _operator(comparison.bitwise_right_shift)
    __rrshift__ = _operator(comparison.bitwise_right_shift, swapped=True)
    __neg__ = mathematics.neg
    __pos__ = mathematics.positive
    __abs__ = mathematics.abs
    __invert__ = comparison.bitwise_not
    __iadd__ = _operator(arithmetic.add_)
    __isub__ = _operator(arithmetic.sub_)
    __imul__ = _operator(arithmetic.mul_)
    __itruediv__ = _operator(arithmetic.div_)
    __ifloordiv__ = _operator(arithmetic.floor_divide_)
    __imod__ = _operator(arithmetic.remainder_)
    __ipow__ = _operator(arithmetic.pow_)
    __iand__ = _operator(comparison.bitwise_and_)
    __ior__ = _operator(comparison.bitwise_or_)
    __ixor__ = _operator(comparison.bitwise_xor_)
    __getitem__ = indexing.getitem
    __setitem__ = assignment.setitem

    # ---- arithmetic

    add = arithmetic.add
    add_ = arithmetic.add_
    sub = arithmetic.sub
    sub_ = arithmetic.sub_
    subtract = arithmetic.subtract
    mul = arithmetic.mul
    mul_ = arithmetic.mul_
    multiply = arithmetic.multiply
    div = arithmetic.div
    div_ = arithmetic.div_
    divide = arithmetic.divide
    true_divide = arithmetic.true_divide
    floor_divide = arithmetic.floor_divide
    floor_divide_ = arithmetic.floor_divide_
    remainder = arithmetic.remainder
    remainder_ = arithmetic.remainder_
    fmod = arithmetic.fmod
    fmod_ = arithmetic.fmod_
    pow = arithmetic.pow
    pow_ = arithmetic.pow_
    maximum = arithmetic.maximum
    minimum = arithmetic.minimum
    clamp = arithmetic.clamp
    clamp_ = arithmetic.clamp_
    clamp_min = arithmetic.clamp_min
    clamp_min_ = arithmetic.clamp_min_
    clamp_max = arithmetic.clamp_max
    clamp_max_ = arithmetic.clamp_max_
    clip = arithmetic.clip
    lerp = arithmetic.lerp
    lerp_ = arithmetic.lerp_
    addcmul = arithmetic.addcmul
    addcmul_ = arithmetic.addcmul_
    addcdiv = arithmetic.addcdiv
    addcdiv_ = arithmetic.addcdiv_
    atan2 = arithmetic.atan2
    atan2_ = arithmetic.atan2_
    arctan2 = arithmetic.arctan2
    hypot = arithmetic.hypot
    logaddexp = arithmetic.logaddexp

    # ---- functions of one operand

    abs = mathematics.abs
    abs_ = mathematics.abs_
    absolute = mathematics.absolute
    neg = mathematics.neg
    neg_ = mathematics.neg_
    negative = mathematics.negative
    positive = mathematics.positive
    sign = mathematics.sign
    sign_ = mathematics.sign_
    square = mathematics.square
    square_ = mathematics.square_
    sqrt = mathematics.sqrt
    sqrt_ = mathematics.sqrt_
    rsqrt = mathematics.rsqrt
    rsqrt_ = mathematics.rsqrt_
    reciprocal = mathematics.reciprocal
    reciprocal_ = mathematics.reciprocal_
    exp = mathematics.exp
    exp_ = mathematics.exp_
    exp2 = mathematics.exp2
    exp2_ = mathematics.exp2_
    expm1 = mathematics.expm1
    expm1_ = mathematics.expm1_
    log = mathematics.log
    log_ = mathematics.log_
    log2 = mathematics.log2
    log2_ = mathematics.log2_
    log10 = mathematics.log10
    log10_ = mathematics.log10_
    log1p = mathematics.log1p
    log1p_ = mathematics.log1p_
    sin = mathematics.sin
    sin_ = mathematics.sin_
    cos = mathematics.cos
    cos_ = mathematics.cos_
    tan = mathematics.tan
    tan_ = mathematics.tan_
    asin = mathematics.asin
    asin_ = mathematics.asin_
    acos = mathematics.acos
    acos_ = mathematics.acos_
    atan = mathematics.atan
    atan_ = mathematics.atan_
    arcsin = mathematics.arcsin
    arccos = mathematics.arccos
    arctan = mathematics.arctan
    sinh = mathematics.sinh
    sinh_ = mathematics.sinh_
    cosh = mathematics.cosh
    cosh_ = mathematics.cosh_
    tanh = mathematics.tanh
    tanh_ = mathematics.tanh_
    asinh = mathematics.asinh
    acosh = mathematics.acosh
    atanh = mathematics.atanh
    erf = mathematics.erf
    erf_ = mathematics.erf_
    erfc = mathematics.erfc
    erfc_ = mathematics.erfc_
    sigmoid = mathematics.sigmoid
    sigmoid_ = mathematics.sigmoid_
    relu = mathematics.relu
    relu_ = mathematics.relu_
    floor = mathematics.floor
    floor_ = mathematics.floor_
    ceil = mathematics.ceil
    ceil_ = mathematics.ceil_
    trunc = mathematics.trunc
    trunc_ = mathematics.trunc_
    fix = mathematics.fix
    frac = mathematics.frac
    frac_ = mathematics.frac_
    round = mathematics.round
    round_ = mathematics.round_

    # ---- comparison, logic, bits

    eq = comparison.eq
    eq_ = comparison.eq_
    ne = comparison.ne
    ne_ = comparison.ne_
    lt = comparison.lt
    lt_ = comparison.lt_
    le = comparison.le
    le_ = comparison.le_
    gt = comparison.gt
    gt_ = comparison.gt_
    ge = comparison.ge
    ge_ = comparison.ge_
    not_equal = comparison.not_equal
    less = comparison.less
    less_equal = comparison.less_equal
    greater = comparison.greater
    greater_equal = comparison.greater_equal
    isnan = comparison.isnan
    isinf = comparison.isinf
    isfinite = comparison.isfinite
    isclose = comparison.isclose
    allclose = comparison.allclose
    equal = comparison.equal
    logical_and = comparison.logical_and
    logical_and_ = comparison.logical_and_
    logical_or = comparison.logical_or
    logical_or_ = comparison.logical_or_
    logical_xor = comparison.logical_xor
    logical_xor_ = comparison.logical_xor_
    logical_not = comparison.logical_not
    logical_not_ = comparison.logical_not_
    bitwise_and = comparison.bitwise_and
    bitwise_and_ = comparison.bitwise_and_
    bitwise_or = comparison.bitwise_or
    bitwise_or_ = comparison.bitwise_or_
    bitwise_xor = comparison.bitwise_xor
    bitwise_xor_ = comparison.bitwise_xor_
    bitwise_not = comparison.bitwise_not
    bitwise_not_ = comparison.bitwise_not_
    bitwise_left_shift = comparison.bitwise_left_shift
    bitwise_right_shift = comparison.bitwise_right_shift

    # ---- reductions

    sum = reduction.sum
    nansum = reduction.nansum
    prod = reduction.prod
    mean = reduction.mean
    any = reduction.any
    all = reduction.all
    count_nonzero = reduction.count_nonzero
    cumsum = reduction.cumsum
    var = statistics.var
    std = statistics.std
    norm = statistics.norm
    logsumexp = statistics.logsumexp
    max = extrema.max
    min = extrema.min
    amax = extrema.amax
    amin = extrema.amin
    argmax = extrema.argmax
    argmin = extrema.argmin

    # ---- views

    reshape = movement.reshape
    view_as = movement.view_as
    flatten = movement.flatten
    unflatten = movement.unflatten
    squeeze = movement.squeeze
    unsqueeze = movement.unsqueeze
    permute = movement.permute
    transpose = movement.transpose
    t = movement.t
    movedim = movement.movedim
    expand = movement.expand
    expand_as = movement.expand_as
    broadcast_to = movement.broadcast_to
    repeat = movement.repeat
    tile = movement.tile
    repeat_interleave = movement.repeat_interleave
    flip = movement.flip
    split = joining.split
    chunk = joining.chunk
    unbind = joining.unbind
    roll = joining.roll

    # ---- selection

    where = selection.where_method
    masked_fill = selection.masked_fill
    masked_fill_ = selection.masked_fill_
    gather = gathering.gather
    scatter = gathering.scatter
    scatter_ = gathering.scatter_
    scatter_add = gathering.scatter_add
    scatter_add_ = gathering.scatter_add_
    index_select = gathering.index_select
    index_add = gathering.index_add
    index_add_ = gathering.index_add_
    index_copy = gathering.index_copy
    index_copy_ = gathering.index_copy_
    index_put = assignment.index_put
    index_put_ = assignment.index_put_
    take_along_dim = gathering.take_along_dim
    narrow = selection.narrow
    select = selection.select
    unfold = selection.unfold
    tril = selection.tril
    tril_ = selection.tril_
    triu = selection.triu
    triu_ = selection.triu_
    diagonal = selection.diagonal
    diag = selection.diag
    nonzero = indexing.nonzero
    masked_select = indexing.masked_select

    # ---- softmax

    softmax = softmaxes.softmax
    log_softmax = softmaxes.log_softmax

    # ---- products

    matmul = linalg.matmul
    mm = linalg.mm
    bmm = linalg.bmm
    mv = linalg.mv
    dot = linalg.dot
    outer = linalg.outer
    inner = linalg.inner
    addmm = linalg.addmm
    baddbmm = linalg.baddbmm
    addmv = linalg.addmv

    # ---- random and constant values

    uniform_ = sampling.uniform_
    normal_ = sampling.normal_
    bernoulli = sampling.bernoulli
    bernoulli_ = sampling.bernoulli_
    random_ = sampling.random_
    multinomial = sampling.multinomial
    copy_ = inplace.copy_
    fill_ = inplace.fill_
    zero_ = inplace.zero_

    # ---- new tensors like this one

    new_full = creation_like.new_full
    new_zeros = creation_like.new_zeros
    new_ones = creation_like.new_ones
    new_empty = creation_like.new_empty
    new_tensor = creation_like.new_tensor

    # ---- dtypes and devices

    to = conversion.to
    numpy = conversion.to_numpy
    item = conversion.item
    tolist = conversion.tolist
    cpu = conversion.cpu
    cuda = conversion.cuda
    type_as = conversion.type_as
    view = movement.reshape
    swapaxes = movement.transpose
    type = conversion.type_name
    float = conversion.converter(dtypes.float32, "float")
    double = conversion.converter(dtypes.float64, "double")
    half = conversion.converter(dtypes.float16, "half")
    bfloat16 = conversion.converter(dtypes.bfloat16, "bfloat16")
    long = conversion.converter(dtypes.int64, "long")
    int = conversion.converter(dtypes.int32, "int")
    short = conversion.converter(dtypes.int16, "short")
    char = conversion.converter(dtypes.int8, "char")
    byte = conversion.converter(dtypes.uint8, "byte")
    bool = conversion.converter(dtypes.bool_, "bool")

    # ---- history

    requires_grad_ = history.requires_grad_
    detach = history.detach
    detach_ = history.detach_
    clone = history.clone
    retain_grad = history.retain_grad
    register_hook = history.register_hook
