"""Loss layers: each calls the function of `nn.functional` with its own settings.

`reduction` is "mean" (over all elements, or as the loss says), "sum" or "none".
"""

from __future__ import annotations

from lazygrad.nn import functional as F
from lazygrad.nn.module import Module
from lazygrad.tensor import Tensor


class _Loss(Module):
    """What all losses share."""

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"{reduction} is not a valid value for reduction: use mean, sum or none")
        self.reduction = reduction


class _WeightedLoss(_Loss):
    """A loss with a weight a class or element; the weight is a buffer and moves with the module."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.register_buffer("weight", weight)


class CrossEntropyLoss(_WeightedLoss):
    """Cross entropy of logits (N, C, *) and class indices (N, *) or class probabilities (N, C, *).

    Args:
        weight: a weight a class, shape (C,).
        ignore_index: a target index that contributes nothing.
        reduction: see above; "mean" divides by the sum of the weights.
        label_smoothing: mix the target with the uniform distribution by this part, in [0, 1].

    Example:
        >>> import lazygrad as lg
        >>> print(lg.nn.CrossEntropyLoss()(lg.zeros(3, 2), lg.tensor([0, 1, 0])))
        tensor(0.6931)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare logits with targets."""
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_WeightedLoss):
    """Negative log likelihood of log probabilities (N, C, *) and class indices (N, *).

    Args:
        weight: a weight a class, shape (C,).
        ignore_index: a target index that contributes nothing.
        reduction: see above; "mean" divides by the sum of the weights.

    Example:
        >>> import lazygrad as lg
        >>> lg.nn.NLLLoss()(lg.tensor([[-0.5, -1.0]]), lg.tensor([1]))
        tensor(1.)
    """

    def __init__(self, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(weight, reduction=reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare log probabilities with targets."""
        return F.nll_loss(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
        )


class MSELoss(_Loss):
    """The squared difference of two tensors of one shape.

    Example:
        >>> import lazygrad as lg
        >>> print(lg.nn.MSELoss()(lg.zeros(3), lg.full((3,), 2.0)))
        tensor(4.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare input and target elementwise."""
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """The absolute difference of two tensors of one shape.

    Example:
        >>> import lazygrad as lg
        >>> lg.nn.L1Loss()(lg.zeros(2), lg.tensor([1.0, 3.0]))
        tensor(2.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare input and target elementwise."""
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """Squared below a difference of `beta` (and divided by 2 beta), absolute minus beta / 2 above.

    Example:
        >>> import lazygrad as lg
        >>> lg.nn.SmoothL1Loss(reduction="none")(lg.zeros(2), lg.tensor([0.5, 3.0]))
        tensor([0.1250, 2.5000])
    """

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare input and target elementwise."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """Half the square below a difference of `delta`, delta * (absolute - delta / 2) above.

    Example:
        >>> import lazygrad as lg
        >>> lg.nn.HuberLoss(reduction="none", delta=2.0)(lg.zeros(2), lg.tensor([0.5, 3.0]))
        tensor([0.1250, 4.0000])
    """

    def __init__(self, *, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare input and target elementwise."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class BCELoss(_WeightedLoss):
    """Binary cross entropy of probabilities and targets in [0, 1], of one shape.

    Example:
        >>> import lazygrad as lg
        >>> lg.nn.BCELoss()(lg.tensor([0.5]), lg.tensor([1.0]))
        tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare probabilities with targets."""
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """Binary cross entropy of logits and targets in [0, 1], of one shape.

    Args:
        weight: a weight an element, broadcast to the input.
        reduction: see above.
        pos_weight: a weight of the positive part, broadcast to the input.

    Example:
        >>> import lazygrad as lg
        >>> lg.nn.BCEWithLogitsLoss()(lg.tensor([0.0]), lg.tensor([1.0]))
        tensor(0.6931)
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare logits with targets."""
        return F.binary_cross_entropy_with_logits(
            input,
            target,
            weight=self.weight,
            reduction=self.reduction,
            pos_weight=self.pos_weight,
        )
