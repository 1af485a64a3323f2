"""Automatic mixed precision, with torch.amp's names: where to compute in short floats, and how to train with them."""

from lazygrad.amp.grad_scaler import GradScaler
from lazygrad.tensor.autocast import autocast, is_autocast_available

__all__ = ["GradScaler", "autocast", "is_autocast_available"]
