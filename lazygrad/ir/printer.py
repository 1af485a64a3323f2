"""Graphs as text: one line a node, in topological order, deterministic. Golden tests and LAZYGRAD_DEBUG=4 use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lazygrad.ir.map import IndexMap
from lazygrad.ir.node import Node, topological


def print_graph(roots: Sequence[Node], names: Mapping[Node, str] | None = None) -> str:
    """The graph behind ``roots``; ``names`` are shown for leaves.

    >>> from lazygrad import ops
    >>> from lazygrad.ir.dtype import float32
    >>> x = ops.placeholder((2,), float32, "numpy")
    >>> print(print_graph([ops.add(x, 1.0)], {x: "x"}), end="")
    %0 = x : float32[2]
    %1 = constant 1.0 : float32[2]
    %2 = add %0 %1 : float32[2]
    return %2
    """
    number: dict[Node, int] = {}
    lines: list[str] = []
    for current in topological(roots):
        number[current] = len(number)
        name = (names or {}).get(current)
        if name is not None:
            text = name
        elif current.result is not None:
            text = "computed"
        else:
            inputs = "".join(f" %{number[i]}" for i in current.inputs)
            text = f"{current.op.name}{inputs}{_attributes(current)}"
        extents = ",".join(map(str, current.shape))
        lines.append(f"%{number[current]} = {text} : {current.dtype.name}[{extents}]\n")
    lines.append(f"return {' '.join(f'%{number[root]}' for root in roots)}\n")
    return "".join(lines)


def _attributes(of: Node) -> str:
    """The attributes' values; objects that stand for identity and defaults are left out, what differs is named."""
    if of.attributes is None:
        return ""
    if of.op.name == "constant":
        return f" {of.attributes.value!r}"
    defaults = of.attributes._field_defaults
    shown = []
    for name, value in zip(of.attributes._fields, of.attributes, strict=True):
        if type(value) is object or (name in defaults and defaults[name] == value):
            continue
        shown.append(f"{name}={_text(value)}" if name in defaults else _text(value))
    return f" [{'; '.join(shown)}]" if shown else ""


def _text(value: Any) -> str:
    if isinstance(value, IndexMap) or not isinstance(value, tuple):
        return repr(value)
    return "(" + ", ".join(_text(item) for item in value) + ")"
