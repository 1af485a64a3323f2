"""Losses that compare scores of classes with classes or probabilities.

A class is found by comparing its number with the positions along the class dimension, and the result summed:
that fuses with what is around it, and its gradient is a mask again, with no scatter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazygrad import ops
from lazygrad.ir.dtype import bool_, int64
from lazygrad.ir.node import Node
from lazygrad.nn.functional.activation import softplus_parts
from lazygrad.nn.functional.linear import hits
from lazygrad.nn.functional.regression import reduced, resolved_reduction
from lazygrad.tensor.handle import wrap
from lazygrad.tensor.operands import cast
from lazygrad.tensor.softmax import log_softmax

if TYPE_CHECKING:
    from lazygrad.tensor import Tensor


def _class_axis(scores: Node) -> int:
    return 0 if scores.rank == 1 else 1


def _along_classes(values: Node, scores: Node) -> Node:
    """A value for each class (C,) spread over the scores (N, C, *)."""
    axis = _class_axis(scores)
    line = tuple(scores.shape[axis] if a == axis else 1 for a in range(scores.rank))
    return ops.expand(ops.reshape(values, line), scores.shape)


def _checked_targets(name: str, scores: Node, target: Node, weight: Tensor | None) -> Node:
    axis = _class_axis(scores)
    expected = (*scores.shape[:axis], *scores.shape[axis + 1 :])
    if target.dtype.is_float or target.dtype is bool_:
        raise RuntimeError(
            f"{name}: expected class indices of dtype int64, got {target.dtype.name}; convert with .long()"
        )
    if target.shape != expected:
        raise ValueError(
            f"{name}: expected target of shape {list(expected)} for input of shape {list(scores.shape)}, got "
            f"{list(target.shape)}"
        )
    if weight is not None and tuple(weight.shape) != (scores.shape[axis],):
        raise RuntimeError(
            f"{name}: weight tensor should be defined either for all {scores.shape[axis]} classes or no "
            f"classes but got weight tensor of shape: {list(weight.shape)}"
        )
    return cast(target, int64)


def _picked(log_probabilities: Node, target: Node, weight: Node | None, ignore_index: int) -> tuple[Node, Node]:
    """For each example minus the log probability of its class, and the weight it has in a mean."""
    axis = _class_axis(log_probabilities)
    hit = hits(target, axis, log_probabilities.shape[axis])
    valid = ops.ne(target, ignore_index)
    if 0 <= ignore_index < log_probabilities.shape[axis]:
        hit = ops.bitwise_and(hit, ops.ne(spread_back(target, axis, log_probabilities), ignore_index))
    if weight is None:
        loss = ops.neg(ops.sum_(ops.where(hit, log_probabilities, 0.0), (axis,)))
        return loss, ops.cast(valid, log_probabilities.dtype)
    spread_weight = _along_classes(weight, log_probabilities)
    loss = ops.neg(ops.sum_(ops.where(hit, ops.mul(log_probabilities, spread_weight), 0.0), (axis,)))
    return loss, ops.sum_(ops.where(hit, spread_weight, 0.0), (axis,))


def spread_back(target: Node, axis: int, scores: Node) -> Node:
    """A value for each example spread over the classes."""
    return ops.expand(ops.reshape(target, (*target.shape[:axis], 1, *target.shape[axis:])), scores.shape)


def _mean(loss: Node, share: Node, reduction: str) -> Node:
    everything = tuple(range(loss.rank))
    match reduction:
        case "none":
            return loss
        case "sum":
            return ops.sum_(loss, everything)
        case _:
            return ops.div(ops.sum_(loss, everything), ops.sum_(share, everything))


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The negative log likelihood of log probabilities (N, C, *) or (C,) at class indices (N, *) or ().

    Args:
        input: log probabilities.
        target: class indices.
        weight: a weight for each class, (C,).
        size_average: torch's older name for parts of ``reduction``.
        ignore_index: a target that contributes nothing.
        reduce: torch's older name for parts of ``reduction``.
        reduction: "mean" (divided by the sum of the weights), "sum" or "none".
    """
    reduction = resolved_reduction("nll_loss", reduction, size_average, reduce)
    scores = input._enter()
    positions = _checked_targets("nll_loss", scores, target._enter(), weight)
    loss, share = _picked(scores, positions, None if weight is None else weight._enter(), ignore_index)
    return wrap(_mean(loss, share, reduction), input, weight, name="NllLoss")


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross entropy of scores (N, C, *) or (C,) and class indices (N, *) or (), or probabilities.

    Args:
        input: unnormalised scores (logits).
        target: class indices, or probabilities in the dtype of the scores. Whether an index names a class is not
            checked, that would wait for the device; one that names none has the loss 0.
        weight: a weight for each class, (C,).
        size_average: torch's older name for parts of ``reduction``.
        ignore_index: a target index that contributes nothing.
        reduce: torch's older name for parts of ``reduction``.
        reduction: "mean" (for indices divided by the sum of their weights), "sum" or "none".
        label_smoothing: the part by which targets are mixed with the uniform distribution, in [0, 1].

    >>> import lazygrad as lg
    >>> cross_entropy(lg.zeros(3, 2), lg.tensor([0, 1, 0]))
    tensor(0.6931)
    """
    reduction = resolved_reduction("cross_entropy", reduction, size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    shape = input._cell.node.shape
    if not shape:
        raise RuntimeError("cross_entropy: expected scores (C,), (N, C) or (N, C, *), got a scalar")
    axis = _class_axis(input._cell.node)
    log_probabilities = log_softmax(input, axis)._cell.node
    weights = None if weight is None else weight._enter()
    if target._cell.node.dtype.is_float and target._cell.node.shape == shape:
        node = _of_probabilities(log_probabilities, target._enter(), weights, reduction, label_smoothing)
        return wrap(node, input, target, weight, name="Div")
    positions = _checked_targets("cross_entropy", log_probabilities, target._enter(), weight)
    loss, share = _picked(log_probabilities, positions, weights, ignore_index)
    if label_smoothing:
        classes = shape[axis]
        weighted = log_probabilities
        if weights is not None:
            weighted = ops.mul(log_probabilities, _along_classes(weights, log_probabilities))
        smooth = ops.neg(ops.sum_(weighted, (axis,)))
        smooth = ops.where(ops.ne(positions, ignore_index), smooth, 0.0)
        loss = ops.add(ops.mul(loss, 1 - label_smoothing), ops.mul(smooth, label_smoothing / classes))
    return wrap(_mean(loss, share, reduction), input, weight, name="NllLoss")


def _of_probabilities(
    log_probabilities: Node, target: Node, weight: Node | None, reduction: str, label_smoothing: float
) -> Node:
    axis = _class_axis(log_probabilities)
    classes = log_probabilities.shape[axis]
    target = cast(target, log_probabilities.dtype)
    if label_smoothing:
        target = ops.add(ops.mul(target, 1 - label_smoothing), label_smoothing / classes)
    product = ops.mul(log_probabilities, target)
    if weight is not None:
        product = ops.mul(product, _along_classes(weight, log_probabilities))
    loss = ops.neg(ops.sum_(product, (axis,)))
    share = ops.constant(1, loss.shape, loss.dtype, loss.device)
    if reduction == "mean":
        everything = tuple(range(loss.rank))
        count = 1
        for extent in loss.shape:
            count *= extent
        return ops.div(ops.sum_(loss, everything), count)
    return _mean(loss, share, reduction)


# torch bounds the logarithms of binary_cross_entropy from below by this.
_LOWEST_LOG = -100.0


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The cross entropy of probabilities and targets, of one shape; logarithms are at least -100."""
    reduction = resolved_reduction("binary_cross_entropy", reduction, size_average, reduce)
    if input.shape != target.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is "
            "deprecated. Please ensure they have the same size."
        )
    loss = (target - 1) * (1 - input).log().clamp_min(_LOWEST_LOG) - target * input.log().clamp_min(_LOWEST_LOG)
    return reduced(loss if weight is None else loss * weight, reduction, "BinaryCrossEntropy")


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """``binary_cross_entropy`` of ``sigmoid(input)``, computed without leaving the dtype's range.

    Args:
        input: logits, any shape.
        target: numbers in [0, 1], of the same shape.
        weight: a weight for each element, which broadcasts.
        size_average: torch's older name for parts of ``reduction``.
        reduce: torch's older name for parts of ``reduction``.
        reduction: "mean", "sum" or "none".
        pos_weight: a weight of the positive part, which broadcasts.
    """
    reduction = resolved_reduction("binary_cross_entropy_with_logits", reduction, size_average, reduce)
    if input.shape != target.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    # -log(1 - sigmoid(x)) = softplus(x) = ramp + correction, and -log(sigmoid(x)) = softplus(x) - x. Nothing is
    # subtracted from the correction, so that the smallest losses and gradients keep their digits.
    logits = input._enter()
    ramp, correction = (wrap(part, input) for part in softplus_parts(logits))
    ramp_down = wrap(ops.where(ops.lt(logits, 0.0), ops.neg(logits), 0.0), input)
    if pos_weight is None:
        loss = (1 - target) * ramp + target * ramp_down + correction
    else:
        positive = target * pos_weight
        loss = (1 - target) * ramp + positive * ramp_down + (1 - target + positive) * correction
    return reduced(loss if weight is None else loss * weight, reduction, "BinaryCrossEntropyWithLogits")


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """The Kullback-Leibler divergence ``target * (log(target) - input)``; ``input`` holds log probabilities.

    Args:
        input: log probabilities.
        target: probabilities, or with ``log_target`` their logarithms.
        size_average: torch's older name for parts of ``reduction``.
        reduce: torch's older name for parts of ``reduction``.
        reduction: "batchmean" (divided by the number of examples), "mean", "sum" or "none".
        log_target: what ``target`` holds.
    """
    batchmean = reduction == "batchmean"
    reduction = "sum" if batchmean else resolved_reduction("kl_div", reduction, size_average, reduce)
    if log_target:
        loss = target.exp() * (target - input)
    else:
        positive = target > 0
        # 0 * log(0) counts as 0, in the derivative too.
        safe = target.masked_fill(positive.logical_not(), 1.0)
        loss = (target * safe.log()).masked_fill(positive.logical_not(), 0.0) - target * input
    total = reduced(loss, reduction, "KlDiv")
    return total / input.shape[0] if batchmean and input.dim() else total
