from __future__ import annotations

from threading import Thread

from lazygrad.runtime.per_thread import PerThread


def test_each_thread_has_its_own():
    held = PerThread(list)
    held.own.append(1)
    found = []
    thread = Thread(target=lambda: found.append(held.own))
    thread.start()
    thread.join()
    assert (held.own, found) == ([1], [[]])


def test_who_asks_while_it_is_made_gets_the_same():
    """As a finalizer does that the garbage collector runs inside of ``make``."""
    early = []

    def make():
        if not early:
            early.append(None)
            early[0] = held.own
        return []

    held = PerThread(make)
    assert held.own is early[0] is held.own
