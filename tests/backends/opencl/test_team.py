"""Threads that run lists of tasks: one list after the other, whoever posts, joins, sleeps or is missing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from itertools import pairwise

import numpy
import pytest

from backends.opencl.chains import KERNELS, SIZE, Chain, X
from lazygrad.ir.dtype import float32
from lazygrad_opencl import team
from lazygrad_opencl.team import Team
from lazygrad_opencl.team_text import ASLEEP, CORES, HELPERS, POSTS, RUNS, SHARE_BITS

# Seconds: far more than threads need that do not wait for what never comes.
PATIENCE = 60


pytestmark = pytest.mark.usefixtures("fresh_cache")


def warm(device, chains=1, length=10):
    """Chains that are lists from the next time on."""
    made = [Chain(device, length) for _ in range(chains)]
    for chain in made:
        for _ in range(2):
            numpy.testing.assert_array_equal(chain.result(X), X + length)
    return made


def test_more_lists_than_there_are_places(opened):
    """Each chain reads what the one before it has written, of which many are under way."""
    chains = warm(opened, chains=2 * POSTS + 1)
    for before, chain in pairwise(chains):
        chain.batch.put(0, 0, before.buffers[-1].allocation.memory)
    for start in range(3):
        chains[0].batch.put(0, 0, opened.from_host(X + start, float32).allocation.memory)
        for chain in chains:
            chain.batch.submit()
        found = opened.to_host(chains[-1].buffers[-1])
        numpy.testing.assert_array_equal(found, X + start + 10 * len(chains))


def test_threads_post_and_join_at_once(opened):
    """Each thread has a chain of its own; the team runs one after the other."""
    wrong = []

    def work(chain, number):
        for turn in range(40):
            found = chain.result(X + number + turn)
            if not numpy.array_equal(found, X + number + turn + 10):
                wrong.append((number, turn))

    threads = [
        threading.Thread(target=work, args=(chain, 100 * number)) for number, chain in enumerate(warm(opened, chains=4))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert not wrong


def test_threads_that_sleep_are_woken(opened):
    (chain,) = warm(opened)
    control = opened.team()._control
    end = time.monotonic() + PATIENCE
    while control[ASLEEP] < control[HELPERS]:
        assert time.monotonic() < end, "helping threads stay awake for ever"
        time.sleep(0.01)
    for _ in range(2):  # the second time nobody joins early
        chain.batch.submit()
        while not opened.team().is_idle:  # so somebody else has to do it
            assert time.monotonic() < end, "nobody was woken"
            time.sleep(0.01)
    numpy.testing.assert_array_equal(opened.to_host(chain.buffers[-1]), X + 10)


def test_who_waits_does_it_alone_where_threads_are_refused(opened, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    chain = Chain(opened)
    chain.result(X)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    chain.result(X)
    assert opened.team()._control[HELPERS] == 0
    for number in range(2 * POSTS):
        chain.batch.set(0, 1, float(number))
        chain.batch.submit()
    numpy.testing.assert_array_equal(opened.to_host(chain.buffers[-1]), X * (2 * POSTS - 1) + 10)


def test_what_comes_from_the_host_meanwhile_comes_in_order(opened):
    """It goes to memory that a list still reads."""
    (chain,) = warm(opened, length=200)
    for number in range(5):
        x = opened.from_host(X + number, float32)
        chain.batch.put(0, 0, x.allocation.memory)
        chain.batch.submit()
        opened._upload(x.allocation.memory, numpy.zeros(4 * SIZE, numpy.uint8))
        numpy.testing.assert_array_equal(opened.to_host(chain.buffers[-1]), X + number + 200)
        numpy.testing.assert_array_equal(opened.to_host(x), numpy.zeros(SIZE))


def test_launches_and_lists_wait_for_each_other(opened):
    (chain,) = warm(opened, length=50)
    (single,) = opened.compile(KERNELS[:1])
    last, again = chain.buffers[-1].allocation.memory, opened.from_host(X, float32)
    for number in range(5):
        chain.batch.put(0, 0, opened.from_host(X + number, float32).allocation.memory)
        chain.batch.submit()
        single.launch([last, again.allocation.memory], [0], [2.0])
        chain.batch.put(0, 0, again.allocation.memory)
        chain.batch.submit()
        found = opened.to_host(chain.buffers[-1])
        numpy.testing.assert_array_equal(found, (X[::-1] + number + 50) * 2 + 1 + 50)


def test_on_one_core_there_is_one_seat(opened):
    (chain,) = warm(opened)
    opened.team()._control[CORES] = 1
    for number in range(20):
        numpy.testing.assert_array_equal(chain.result(X + number), X + number + 10)


@pytest.mark.parametrize("cores", [3, 8, 11])
def test_cores_that_nobody_sits_on_have_shares_all_the_same(opened, cores, monkeypatch):
    """Others take all of their tasks."""
    warm(opened)
    monkeypatch.setattr(opened, "_team", Team(opened.team()._runner, cores))
    (chain,) = warm(opened)
    for number in range(40):
        numpy.testing.assert_array_equal(chain.result(X + number), X + number + 10)
    opened.team().stop()


def test_what_says_which_run_a_share_is_of_may_wrap(opened):
    (chain,) = warm(opened)
    for poster in chain.batch._list._posters:
        opened.team().join()
        poster.memory.state[RUNS] = 2 ** (64 - 2 * SHARE_BITS) - 2
    for number in range(10):
        numpy.testing.assert_array_equal(chain.result(X + number), X + number + 10)


@pytest.mark.parametrize(
    ("system", "cores", "shares"),
    [
        ({0, 1}, 2, [0, 1]),
        ({2, 3, 6, 7}, 2, [0, 0, 1, 1]),
        ({5}, 4, [0]),
        ({1, 4, 9}, 3, [0, 1, 2]),
        ({4, 8}, 1, [0, 0]),
    ],
)
def test_neighbouring_cores_have_neighbouring_shares(system, cores, shares, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: system)
    assert [int(team.shares_of_cores(cores)[core]) for core in sorted(system)] == shares


SCRIPT = """
import lazygrad as lg
lg.set_default_device("opencl:0")
step = lg.compile(lambda x: ((x @ x).tanh() @ x).sum())
x = lg.rand(256, 256)
for _ in range(6):
    result = step(x)
print("done", flush=True)
"""


def test_a_process_ends_while_its_team_works():
    """Without having waited."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
