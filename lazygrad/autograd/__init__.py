"""Gradients as functions: torch.autograd's names."""

from lazygrad.autograd import functional
from lazygrad.tensor.anomaly import detect_anomaly, set_detect_anomaly
from lazygrad.tensor.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from lazygrad.tensor.gradient import backward, grad

__all__ = [
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "inference_mode",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]
