"""Nodes: the lazy graph. Immutable, interned, so that equal expressions are one object and equality is identity.

In: an operation record, input nodes, attributes. Out: the one node that stands for this expression, with shape
and dtype already checked. A node never changes, except that ``result`` is filled when it has been computed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FrameType
from typing import Any, Protocol

from lazygrad.ir.dtype import DType
from lazygrad.ir.interning import InternTable
from lazygrad.ir.op import Family, Op
from lazygrad.ir.shape import Shape


class Result(Protocol):
    """Where a computed node's elements are: a buffer of the runtime. The graph only carries it."""

    @property
    def device(self) -> str: ...


class Place:
    """The user's line that made a node, decoded only when a message needs it."""

    __slots__ = ("code", "instruction")

    def __init__(self, code: CodeType, instruction: int) -> None:
        self.code = code
        self.instruction = instruction

    @property
    def filename(self) -> str:
        return self.code.co_filename

    @property
    def line(self) -> int:
        line = self.code.co_firstlineno
        for start, end, number in self.code.co_lines():
            if start <= self.instruction < end and number is not None:
                line = number
        return line

    def __str__(self) -> str:
        import linecache

        source = linecache.getline(self.filename, self.line).strip()
        return f"{self.filename}:{self.line}" + (f" in {self.code.co_name}: {source}" if source else "")


# Frames of these packages are the library's own: the first frame outside is the user's line.
_OWN_PACKAGES = ("lazygrad",)


def is_own(module: str) -> bool:
    """Whether a module is the library's."""
    return module.startswith(_OWN_PACKAGES)


def user_place() -> Place | None:
    """The nearest caller outside the library."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module: str = frame.f_globals.get("__name__", "")
        if not module.startswith(_OWN_PACKAGES):
            return Place(frame.f_code, frame.f_lasti)
        frame = frame.f_back
    return None


class _Origin(threading.local):
    """Nodes that this thread makes take ``place``, unless it is None: derivatives point to the forward line.

    Whoever sets it puts the old value back in a ``finally``; the exit of a context manager is a call, at which Ctrl-C
    may strike before anything is put back.
    """

    place: Place | None = None


ORIGIN = _Origin()


class Node:
    """One value of the graph. Built by :func:`node` only.

    Attributes: ``op`` the record; ``inputs`` nodes; ``attributes`` a named tuple of the op's own kind or None;
    ``shape``; ``dtype``; ``device`` the device's name; ``place`` the user's line; ``result`` the computed buffer
    or None.
    """

    __slots__ = ("__weakref__", "attributes", "device", "dtype", "inputs", "op", "place", "result", "shape")

    op: Op
    inputs: tuple[Node, ...]
    attributes: Any
    shape: Shape
    dtype: DType
    device: str
    place: Place | None
    result: Any

    @property
    def rank(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<{self.op.name} {self.dtype.name}{list(self.shape)} on {self.device}>"


_TABLE: InternTable[Node] = InternTable()
_entry = _TABLE.entry


def node(
    op: Op, inputs: tuple[Node, ...] = (), attributes: Any = None, device: str | None = None, placed: bool = True
) -> Node:
    """The node for ``op(*inputs; attributes)``: the existing one when there is an equal one, else a new one.

    Shape and dtype rules run here, so that a mistake is reported at the user's line. ``device`` is given for
    sources only; every other node takes it from its inputs, which must agree. Without ``placed`` a new node has no
    line.
    """
    key = (op, inputs, attributes, device)
    entry = _entry(key)
    if entry is not None:
        found = entry()
        if found is not None:
            return found
    if device is None:
        device = inputs[0].device
        for other in inputs:
            if other.device != device:
                raise RuntimeError(
                    f"{op.name}: all tensors must be on one device, but these are on "
                    f"{' and '.join(sorted({i.device for i in inputs}))}; move them with .to(device)"
                )
    made = Node.__new__(Node)
    made.op = op
    made.inputs = inputs
    made.attributes = attributes
    made.device = device
    made.result = None
    made.shape = op.shape(inputs, attributes)
    made.dtype = op.dtype(inputs, attributes)
    made.place = (ORIGIN.place or user_place()) if placed else None
    return _TABLE.add(key, made)


def with_inputs(of: Node, inputs: tuple[Node, ...]) -> Node:
    """The same operation, made by the same line, on other inputs of the same shapes and dtypes, all on one device."""
    key = (of.op, inputs, of.attributes, None)
    found = _TABLE.get(key)
    if found is not None:
        return found
    made = Node.__new__(Node)
    made.op = of.op
    made.inputs = inputs
    made.attributes = of.attributes
    made.device = inputs[0].device
    made.result = None
    made.shape = of.shape
    made.dtype = of.dtype
    made.place = of.place
    return _TABLE.add(key, made)


def live_nodes() -> int:
    """How many distinct nodes exist, for leak tests and reports."""
    return len(_TABLE)


def topological(roots: Iterable[Node], inputs: Callable[[Node], tuple[Node, ...]] | None = None) -> list[Node]:
    """Every node reachable from ``roots``, inputs before users, in an order fixed by the roots alone.

    Iterative and linear: neither depth nor sharing costs anything. ``inputs`` may cut edges; by default a
    computed node has none.
    """
    edges = inputs or _uncomputed_inputs
    order: list[Node] = []
    seen: set[Node] = set()
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        stack: list[tuple[Node, Iterator[Node]]] = [(root, iter(edges(root)))]
        while stack:
            current, remaining = stack[-1]
            for candidate in remaining:
                if candidate not in seen:
                    seen.add(candidate)
                    below = edges(candidate)
                    if below:
                        stack.append((candidate, iter(below)))
                        break
                    order.append(candidate)
            else:
                order.append(current)
                stack.pop()
    return order


def _uncomputed_inputs(of: Node) -> tuple[Node, ...]:
    return () if of.result is not None else of.inputs


def read_inputs(of: Node) -> tuple[Node, ...]:
    """The edges to what a node's elements are computed from: of a movement the first input; it waits for any others."""
    if of.result is not None:
        return ()
    return of.inputs[:1] if of.op.family is Family.MOVEMENT else of.inputs


def all_inputs(of: Node) -> tuple[Node, ...]:
    """The edges for :func:`topological` that go on behind computed nodes (differentiation needs them)."""
    return of.inputs
