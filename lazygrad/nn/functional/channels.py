"""Channels: dimension 1 of activations (N, C, *)."""

from __future__ import annotations

from lazygrad import ops
from lazygrad.ir.node import Node
from lazygrad.ir.shape import Shape


def per_channel(value: Node, shape: Shape) -> Node:
    """A value for each channel (C,), spread over ``shape`` (N, C, *)."""
    return ops.expand(ops.reshape(value, (1, shape[1], *(1 for _ in shape[2:]))), shape)
