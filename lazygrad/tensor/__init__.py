"""Tensor and the functions on tensors: what stands between the user's code and the graph of nodes."""

from lazygrad.tensor.tensor import Tensor

__all__ = ["Tensor"]
