"""Batch normalisation: standardise each channel by the batch (training) or by running statistics.

In: (N, C), (N, C, L) or (N, C, H, W). Out: the same shape. Holds afterwards, in training: the running
statistics have moved towards the batch's, as part of the same graph.
"""

from __future__ import annotations

from typing import Any, ClassVar

import lazygrad
from lazygrad.nn import functional as F
from lazygrad.nn.affine import Affine
from lazygrad.nn.common_types import DeviceLike, DTypeLike
from lazygrad.tensor import Tensor

# From this version on state dicts hold num_batches_tracked; checkpoints of older versions lack it.
_VERSION_WITH_BATCH_COUNT = 2


class _BatchNorm(Affine):
    """What BatchNorm1d and BatchNorm2d share; they differ in the shapes they take."""

    _version: ClassVar[int] = _VERSION_WITH_BATCH_COUNT
    _input_dimensions: ClassVar[tuple[int, ...]]

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: DeviceLike = None,
        dtype: DTypeLike = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        shape = (num_features,)
        self._make_affine(shape, affine, bias, device, dtype)
        if track_running_stats:
            self.register_buffer("running_mean", lazygrad.zeros(shape, device=device, dtype=dtype))
            self.register_buffer("running_var", lazygrad.ones(shape, device=device, dtype=dtype))
            self.register_buffer("num_batches_tracked", lazygrad.zeros((), device=device, dtype=lazygrad.int64))
        else:
            self.register_buffer("running_mean", None)
            self.register_buffer("running_var", None)
            self.register_buffer("num_batches_tracked", None)

    def reset_running_stats(self) -> None:
        """Forget all batches: mean 0, variance 1, count 0."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.running_mean.zero_()
        self.running_var.fill_(1)
        self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Forget all batches, and make the affine map the identity."""
        self.reset_running_stats()
        super().reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each channel (dimension 1) of `input`."""
        if input.dim() not in self._input_dimensions:
            expected = " or ".join(f"{dimension}D" for dimension in self._input_dimensions)
            raise ValueError(f"expected {expected} input (got {input.dim()}D input)")
        uses_running = self.running_mean is not None and (not self.training or self.track_running_stats)
        return F.batch_norm(
            input,
            self.running_mean if uses_running else None,
            self.running_var if uses_running else None,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            self._average_factor(),
            self.eps,
        )

    def _average_factor(self) -> float | Tensor:
        """Count the batch, and return the weight it gets in the running statistics.

        Without a momentum all batches weigh the same. The count is on the device, so the weight is a
        tensor of shape ().
        """
        count = self.num_batches_tracked
        if self.training and self.track_running_stats and count is not None:
            count.add_(1)
            if self.momentum is None:
                return 1.0 / count.to(lazygrad.float32)
        return 0.0 if self.momentum is None else self.momentum

    def _upgrade_state_dict(self, entries: dict[str, Any], prefix: str, version: int | None) -> None:
        is_old = version is None or version < _VERSION_WITH_BATCH_COUNT
        if is_old and self.num_batches_tracked is not None:
            entries.setdefault(prefix + "num_batches_tracked", self.num_batches_tracked)

    def extra_repr(self) -> str:
        """Show the constructor's arguments."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L), over all but C.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: the weight of a new batch in the running statistics; None weighs all batches alike.
        affine: whether to multiply and shift by a learned weight and bias of shape (C,).
        track_running_stats: whether to keep running statistics for evaluation.
        bias: False leaves out the shift.

    Example:
        >>> import lazygrad as lg
        >>> tuple(lg.nn.BatchNorm1d(4)(lg.ones(8, 4)).shape)
        (8, 4)
    """

    _input_dimensions = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images (N, C, H, W), over all but C; arguments as for `BatchNorm1d`.

    Example:
        >>> import lazygrad as lg
        >>> tuple(lg.nn.BatchNorm2d(4)(lg.ones(8, 4, 5, 5)).shape)
        (8, 4, 5, 5)
    """

    _input_dimensions = (4,)
