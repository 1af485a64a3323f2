"""Gradient scaling: keeps the gradients of a float16 network in float16's range.

In: a loss, and optimizers whose gradients are those of the scaled loss. Out: steps with gradients in their true size,
skipped where the scaled ones overflowed, and a scale that follows what the gradients admit. Scale, overflow and
skipping are values on the device: no call waits for it, except those that return numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import lazygrad
from lazygrad.optim import Optimizer
from lazygrad.tensor import Tensor
from lazygrad.tensor.autocast import is_autocast_available


class _Stage(Enum):
    UNSCALED = "unscaled"
    STEPPED = "stepped"


@dataclass
class _Progress:
    """How far an optimizer is since the last update, and whether its gradients overflowed: a bool of shape ()."""

    stage: _Stage
    found_inf: Tensor


class GradScaler:
    """Scales a loss so that its gradients neither vanish nor overflow in float16, and finds out by how much.

    A step whose gradients are not all finite changes nothing, and the scale shrinks; after ``growth_interval``
    steps without one it grows. Parameters, optimizer state and the number of steps that Adam corrects its bias by
    are selected on the device, so that a loop runs ahead of it. Only optimizers with a ``step`` of their own, and
    SGD with dampening, wait for the result.

    Args:
        device: the type of device: nothing is scaled where there is none such; any unless given.
        init_scale: the first scale.
        growth_factor: what the scale is multiplied with when it grows; more than 1.
        backoff_factor: what it is multiplied with after an overflow; less than 1.
        growth_interval: after how many steps without overflow it grows.
        enabled: if not, ``scale`` returns what it is given, and ``step`` steps.

    >>> import lazygrad as lg
    >>> x = lg.ones(2, requires_grad=True)
    >>> optimizer = lg.optim.SGD([x], lr=0.5)
    >>> scaler = lg.amp.GradScaler(init_scale=1024.0)
    >>> scaler.scale(x.sum()).backward()
    >>> x.grad
    tensor([1024., 1024.])
    >>> scaler.step(optimizer)
    >>> scaler.update()
    >>> x.detach(), scaler.get_scale()
    (tensor([0.5000, 0.5000]), 1024.0)
    """

    def __init__(
        self,
        device: str | None = None,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if enabled and device is not None and not is_autocast_available(device):
            warnings.warn(f"GradScaler for {device!r}, but no such device can be used. Disabling.", stacklevel=2)
            enabled = False
        self._enabled = enabled
        if enabled and growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if enabled and backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        # What the two tensors start with; they are made where the first loss is.
        self._init_scale = init_scale
        self._init_growth_tracker = 0
        self._scale: Tensor | None = None
        self._growth_tracker: Tensor | None = None
        self._progress: dict[int, _Progress] = {}

    def scale(self, outputs: Any) -> Any:
        """A tensor, or tensors in any nesting of iterables, multiplied with the scale.

        Raises:
            ValueError: there is something else among them.
        """
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            if self._scale is None:
                # Buffers, so that the first step has the graph of all others.
                self._scale = lazygrad.tensor(self._init_scale, device=outputs.device)
                self._growth_tracker = lazygrad.tensor(
                    self._init_growth_tracker, dtype=lazygrad.int32, device=outputs.device
                )
            return outputs * self._scale.to(outputs.device)
        if isinstance(outputs, Iterable):
            scaled = map(self.scale, outputs)
            return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else scaled
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Optimizer) -> None:
        """Divides the gradients of the optimizer's parameters by the scale; to clip them before ``step``, say.

        Raises:
            RuntimeError: it was done already since the last ``update``.
            ValueError: a gradient is float16, in which the true gradients may vanish.
        """
        if not self._enabled:
            return
        scale, _ = self._begun("unscale_")
        known = self._progress.get(id(optimizer))
        if known is not None:
            if known.stage is _Stage.STEPPED:
                raise RuntimeError("unscale_() is being called after step().")
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        gradients = _gradients(optimizer)
        if any(gradient.dtype is lazygrad.float16 for gradient in gradients):
            raise ValueError("Attempting to unscale FP16 gradients.")
        if not gradients:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        with lazygrad.no_grad():
            found_inf = _any_infinite(gradients, scale)
            inverse = scale.reciprocal()
            for gradient in gradients:
                wide = gradient.float() if gradient.dtype is lazygrad.bfloat16 else gradient
                gradient.copy_(wide * inverse.to(gradient.device))
        self._progress[id(optimizer)] = _Progress(_Stage.UNSCALED, found_inf)

    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """Unscales the gradients unless ``unscale_`` did, and steps, to no effect where they are not all finite.

        Args:
            optimizer: whose gradients are those of the scaled loss.
            args: for ``optimizer.step``; no closure.
            kwargs: the same.

        Returns:
            What ``optimizer.step`` returned, None where it was not called.

        Raises:
            RuntimeError: there was a step already since the last ``update``, or a closure is given.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if args or "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._begun("step")
        if id(optimizer) not in self._progress:
            self.unscale_(optimizer)
        progress = self._progress[id(optimizer)]
        if progress.stage is _Stage.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        progress.stage = _Stage.STEPPED
        if not optimizer.can_skip():
            lazygrad.realize(progress.found_inf, _gradients(optimizer))
            return None if progress.found_inf.item() else optimizer.step(**kwargs)
        optimizer.found_inf = progress.found_inf
        try:
            return optimizer.step(**kwargs)
        finally:
            optimizer.found_inf = None

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Ends an iteration: the scale shrinks if gradients overflowed, and grows if none did for long enough.

        Args:
            new_scale: what the scale is to be instead: a number, or a tensor with one element.

        Raises:
            AssertionError: nothing was scaled, or no gradients were unscaled.
        """
        if not self._enabled:
            return
        scale, tracker = self._begun("update")
        with lazygrad.no_grad():
            if new_scale is not None:
                scale.copy_(new_scale.reshape(())) if isinstance(new_scale, Tensor) else scale.fill_(new_scale)
            else:
                if not self._progress:
                    raise AssertionError("No inf checks were recorded prior to update.")
                found_inf = lazygrad.stack([p.found_inf.to(scale.device) for p in self._progress.values()]).any()
                self._adapt(scale, tracker, found_inf)
            lazygrad.realize(scale, tracker)
        self._progress.clear()

    def _adapt(self, scale: Tensor, tracker: Tensor, found_inf: Tensor) -> None:
        """Rebinds the scale, and the number of steps without overflow since it grew."""
        count = tracker + 1
        is_due = count == self._growth_interval
        larger = scale * self._growth_factor
        grown = larger.where(is_due & larger.isfinite(), scale)
        scale.copy_((scale * self._backoff_factor).where(found_inf, grown))
        tracker.copy_(count.masked_fill(found_inf | is_due, 0))

    def _begun(self, name: str) -> tuple[Tensor, Tensor]:
        if self._scale is None or self._growth_tracker is None:
            raise AssertionError(
                f"Attempted {name} but _scale is None.  This may indicate your script did not use "
                "scaler.scale(loss or outputs) earlier in the iteration."
            )
        return self._scale, self._growth_tracker

    # ---- numbers

    def get_scale(self) -> float:
        """The scale as a number, 1 if disabled. Waits for the device."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else float(self._scale)

    def get_growth_factor(self) -> float:
        """What the scale is multiplied with when it grows."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Sets what the scale is multiplied with when it grows."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied with after an overflow."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Sets what the scale is multiplied with after an overflow."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """After how many steps without overflow the scale grows."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Sets after how many steps without overflow the scale grows."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        return self._init_growth_tracker if self._growth_tracker is None else int(self._growth_tracker)

    def is_enabled(self) -> bool:
        """Whether anything is scaled."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """The state as numbers, in torch's format; empty if disabled. Waits for the device."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what ``state_dict`` gave, here or in torch.

        Raises:
            RuntimeError: it is that of a disabled scaler.
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._init_growth_tracker = state_dict["_growth_tracker"]
        self._scale = self._growth_tracker = None  # made again where the next loss is

    def __getstate__(self) -> dict[str, Any]:
        if self._progress:
            raise AssertionError("A GradScaler can be pickled between update() and the next step() only.")
        numbers = {"_init_scale": self.get_scale(), "_init_growth_tracker": self._get_growth_tracker()}
        return {**self.__dict__, **numbers, "_scale": None, "_growth_tracker": None}


def _gradients(optimizer: Optimizer) -> list[Tensor]:
    return [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]


def _any_infinite(gradients: list[Tensor], scale: Tensor) -> Tensor:
    """Whether an element of the gradients is infinite or NaN: a bool of shape () where the scale is."""
    # The largest size tells for all elements: NaN wins over every number.
    largest = [gradient.abs().amax().to(scale.device) for gradient in gradients if gradient.numel()]
    if not largest:
        return lazygrad.zeros((), dtype=lazygrad.bool, device=scale.device)
    return lazygrad.stack(largest).amax().isfinite().logical_not()
