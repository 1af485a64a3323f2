"""What waits for the next submission: in order, each once, and nothing that has died."""

import lazygrad as lg
from lazygrad.tensor import handle
from lazygrad.tensor.handle import forget_pending, pending_cells, submit_later


def updated():
    tensor = lg.ones(3)
    tensor.add_(1)
    return tensor


def test_each_waits_once_where_it_came_first():
    lg.realize(lg.ones(1) + 1)  # with whatever waits
    first, second = updated(), updated()
    first.mul_(2)
    assert pending_cells() == [first._cell, second._cell]
    forget_pending(first._cell)
    assert pending_cells() == [second._cell]
    lg.realize(second)
    assert pending_cells() == []
    assert first.tolist() == [4, 4, 4]


def test_what_dies_is_forgotten():
    lg.realize(lg.ones(1) + 1)
    held, dying = updated(), updated()
    number = id(dying._cell)
    del dying
    assert pending_cells() == [held._cell]
    assert number not in handle._PENDING.own


def test_a_number_that_a_dead_cell_had():
    lg.realize(lg.ones(1) + 1)
    dying, held = updated(), updated()
    entry = handle._PENDING.own.pop(id(dying._cell))
    del dying
    handle._PENDING.own.clear()
    handle._PENDING.own[id(held._cell)] = entry  # as if it had been there
    submit_later(held._cell)
    assert pending_cells() == [held._cell]
