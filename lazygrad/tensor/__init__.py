"""Tensor and the functions on tensors: what stands between the user's code and the graph of nodes.

``handle`` says how a tensor holds a node, ``operands`` how tensors and numbers meet, ``realization`` when things run,
``history`` and ``gradient`` how they are differentiated, ``inplace`` what changing a tensor means. The other modules
hold the functions of one subject each; ``methods`` makes them methods, and ``lazygrad`` the public names.
"""

from lazygrad.tensor.tensor import Tensor

__all__ = ["Tensor"]
