from __future__ import annotations

import gc
from threading import Barrier, Thread
from weakref import ref

import pytest

from lazygrad.ir.index import Index, Quotient, Variable
from lazygrad.ir.interning import InternTable, sweep


class Thing:
    pass


def test_the_table_keeps_nothing_alive():
    table = InternTable()
    things = [table.add(number, Thing()) for number in range(100)]
    assert len(table) == 100
    assert all(table.get(number) is thing for number, thing in enumerate(things))
    del things[50:]
    gc.collect()
    assert len(table) == 50
    assert table.get(50) is None


def test_a_key_may_be_used_again_after_its_object_died():
    table = InternTable()
    first = table.add("key", Thing())
    del first
    again = table.add("key", Thing())
    assert table.get("key") is again


def test_what_came_first_wins():
    table = InternTable()
    first, second = Thing(), Thing()
    assert table.add("key", first) is first
    assert table.add("key", second) is first
    assert table.get("key") is first


class Key:
    """A key that another thread gets in front of, each time that it is hashed."""

    def __init__(self, name, meanwhile=lambda: None):
        self.name = name
        self.meanwhile = meanwhile

    def __eq__(self, other):
        return self.name == other.name

    def __hash__(self):
        self.meanwhile()
        return hash(self.name)


@pytest.mark.parametrize("look", range(4))
def test_a_dead_entry_never_takes_a_living_one_with_it(look):
    """Another thread may make an equal object at any moment while an entry is being forgotten."""
    table = InternTable()
    looks, made = [], []

    def meanwhile():
        looks.append(None)
        if len(looks) == look + 1:
            made.append(table.add(Key("key"), Thing()))

    key = Key("key")
    first = table.add(key, Thing())
    key.meanwhile = meanwhile
    del first
    if not made:
        made.append(table.add(Key("key"), Thing()))
    assert table.get(Key("key")) is made[0]


def test_an_entry_that_is_dead_but_not_forgotten_is_replaced_once():
    """Two threads find it: the second gets what the first has made."""
    table = InternTable()
    made = []

    def before_it_is_forgotten(_):
        made.append(table.add("key", Thing()))
        made.append(table.add("key", Thing()))

    first = table.add("key", Thing())
    witness = ref(first, before_it_is_forgotten)  # the newest reference is told first
    del first
    assert witness() is None
    assert made[0] is made[1] is table.get("key")


def test_what_an_interrupt_has_left_is_swept_up():
    """A callback that is interrupted at its beginning forgets nothing, and the entry's key keeps others alive."""
    table = InternTable()
    held = Thing()
    watched = ref(held)
    table._forget = lambda _: None
    interned = table.add(("key", held), Thing())
    del interned, held
    assert len(table) == 1
    sweep()
    assert len(table) == 0
    assert watched() is None


def test_threads_agree_on_one_object():
    made, start = [], Barrier(8)

    def make():
        start.wait()
        made.extend(Variable(f"thread{number}", 5) for number in range(200))

    threads = [Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(variable) for variable in made}) == 200


def test_atoms_are_one_object_each():
    i = Variable("i", 24)
    assert Variable("i", 24) is i
    assert Variable("i", 12) is not i
    whole = Index(0, ((i, 1),))
    assert Quotient(whole, 5, True) is Quotient(Index(0, ((Variable("i", 24), 1),)), 5, True)
    assert Quotient(whole, 5, True) is not Quotient(whole, 5, False)
