from __future__ import annotations

import pytest

from lazygrad.ir.dtype import float32
from lazygrad.ir.index import Variable
from lazygrad.kernel.levels import Levels, Operand


class Plain(Levels):
    def declaration(self, operand, name):
        return f"{name} = {operand.text}"


def test_statements_stand_at_the_level_where_they_are_known():
    levels = Plain(lanes=1)
    levels.open("outer {")
    levels.open("inner {")
    named = levels.declare(Operand("a + b", float32, depth=1))
    levels.line(f"use {named.text}")
    levels.line("first", depth=0)
    levels.close()
    levels.line("after")
    levels.close()
    assert levels.finish() == (
        "first",
        "outer {",
        "    t1 = a + b",
        "    inner {",
        "        use t1",
        "    }",
        "    after",
        "}",
    )


def test_a_level_without_a_header_adds_no_text():
    levels = Plain(lanes=1)
    levels.open("loop {")
    levels.open(None)
    levels.line("x")
    levels.close()
    levels.close()
    assert levels.finish() == ("loop {", "    x", "}")


def test_memory_ends_with_its_level():
    levels = Plain(lanes=1)
    levels.remember("known", "outside", 0)
    levels.open()
    levels.remember("known", "inside", 1)
    levels.remember("new", "inside", 1)
    levels.open()
    assert (levels.recall("known"), levels.recall("new")) == ("inside", "inside")
    levels.remember("for longer", "outside", 0)
    levels.close()
    levels.close()
    assert (levels.recall("known"), levels.recall("new")) == ("outside", None)
    assert levels.recall("for longer") == "outside"


def test_bindings_end_with_their_level():
    levels = Plain(lanes=4)
    axis = Variable("i0", 8)
    levels.open()
    levels.bind(axis, "i", wide=True)
    with pytest.raises(RuntimeError, match="bound already"):
        levels.bind(axis, "j")
    levels.close()
    assert axis not in levels.bindings


def test_open_levels_are_a_mistake():
    levels = Plain(lanes=1)
    levels.open()
    with pytest.raises(RuntimeError, match="1 levels of generated code were left open"):
        levels.finish()
