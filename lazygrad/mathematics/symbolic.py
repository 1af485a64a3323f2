"""The way from a tensor to its mathematics: leaves are named, the graph is read, the term is written."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from lazygrad.ir.node import Node
from lazygrad.mathematics.leaves import Leaves, node_of, tensors_in
from lazygrad.mathematics.lines import write
from lazygrad.mathematics.reading import digits_of, read
from lazygrad.mathematics.term import Book
from lazygrad.ops.identity import LEAF


def symbolic(tensor: Any, names: Mapping[Any, str] | None = None) -> str:
    """The expression of a lazy tensor as readable mathematics, after simplification.

    Like terms are collected, numbers folded and common factors taken out where that makes the text shorter.
    Known shapes are written by their names: softmax, logsumexp, mean, ``a @ b``, conv2d. Broadcasting is not
    written. When the text does not fit into about 100 characters, parts of it come first, as numbered lines
    ``t1 = ...``; the last line is the expression.

    The text has the meaning of the expression over the real numbers: it does not show dtypes, and it may be
    defined where the original is not (``x/x`` is 1).

    Args:
        tensor: a tensor or a node. It must not have been computed yet: a computed tensor without autograd
        history
            knows only its value, and is a leaf.
        names: what tensors or nodes are called. Named ones are not looked into, so a name also abbreviates.
            A leaf that is not named is called as the variable of the caller that holds it (or
            ``module.parameter``), else a, b, c, ... in order of first appearance.

    Small tensors of data (up to 64 elements, not requiring grad, not named) whose elements are all equal are
    written as that number: such is the gradient that a backward pass starts from.

    >>> import lazygrad as lg
    >>> a = lg.tensor([2., 3.], requires_grad=True)
    >>> b = lg.tensor([6., 4.], requires_grad=True)
    >>> Q = 3*a**3 - b**2
    >>> symbolic(Q)
    '3*a**3 - b**2'
    >>> Q.backward(gradient=lg.tensor([1., 1.]))
    >>> symbolic(a.grad), symbolic(b.grad)
    ('9*a**2', '-2*b')
    """
    root = node_of(tensor)
    given = _given_names(names or {})
    frame = sys._getframe(1)
    # Locals come first: an inner variable hides a global one.
    variables = [*tensors_in(frame.f_locals), *tensors_in(frame.f_globals)]
    leaves = Leaves(root, given, variables)
    book = Book(digits_of(root.dtype))
    return write(read(root, leaves, book), frozenset(leaves.names.values()))


def _given_names(names: Mapping[Any, str]) -> dict[Node, str]:
    """The names by nodes: those of the keys, and of a leaf tensor also the data behind it."""
    given: dict[Node, str] = {}
    called: dict[str, Node] = {}
    for key, name in names.items():
        node = node_of(key)
        if called.setdefault(name, node) is not node:
            raise ValueError(f"symbolic: two different tensors are given the name {name!r}")
        given[node] = name
        if node.op is LEAF:
            given.setdefault(node.inputs[0], name)
    return given
