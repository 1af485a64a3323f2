from __future__ import annotations

import gc
import threading

import pytest

from lazygrad.ir.node import user_place
from lazygrad.runtime import OutOfMemoryError, Pool
from lazygrad.runtime.buffer import Allocation
from lazygrad.runtime.pool import CLASSES_PER_OCTAVE, SMALLEST_CLASS, readable_size, size_class


class Source:
    """Memory that only counts."""

    def __init__(self, room: int = 1 << 40) -> None:
        self.room = room
        self.freed = 0

    def allocate(self, size: int) -> bytearray:
        if size > self.room:
            raise MemoryError("no room")
        self.room -= size
        return bytearray(size)

    def free(self, memory: bytearray) -> None:
        self.freed += 1
        self.room += len(memory)


@pytest.fixture
def pool() -> Pool:
    return Pool(Source(), "test:0")


def test_memory_comes_back_when_its_last_user_dies(pool):
    first = pool.take(1000)
    memory = first.memory
    assert isinstance(first, Allocation)
    assert len(memory) == 1024
    del first
    assert pool.take(1010).memory is memory
    assert pool.statistics() == (0, 1024, 1024, 1, 1)


def test_statistics(pool):
    a, b = pool.take(256), pool.take(512)
    del a
    c = pool.take(1024)
    live, peak, cached, allocations, reuses = pool.statistics()
    assert (live, peak, cached, allocations, reuses) == (1536, 1536, 256, 3, 0)
    del b, c
    assert pool.statistics().live == 0


def test_empty_cache_gives_back_what_is_free_only(pool):
    kept, dropped = pool.take(256), pool.take(256)
    del dropped
    pool.empty_cache()
    assert pool.source.freed == 1
    assert pool.statistics() == (256, 512, 0, 2, 0)
    assert len(kept.memory) == 256


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 1000, 1 << 20, (1 << 20) + 1, 100_000_007])
def test_size_classes_waste_little(size):
    wanted = size_class(size)
    assert wanted >= max(size, SMALLEST_CLASS)
    assert wanted - size <= max(size / CLASSES_PER_OCTAVE * 2, SMALLEST_CLASS)
    assert size_class(wanted) == wanted


def test_the_limit_is_kept_and_the_cache_makes_room():
    pool = Pool(Source(), "test:0", limit=4096)
    first = pool.take(2048)
    del first
    second = pool.take(4096)  # the cached 2048 bytes have to go
    assert pool.statistics() == (4096, 4096, 0, 2, 0)
    with pytest.raises(OutOfMemoryError):
        pool.take(256)
    del second
    assert pool.take(256).size == 256


def test_a_device_without_room_is_asked_again_after_the_cache_was_emptied():
    pool = Pool(Source(room=4096), "test:0")
    first = pool.take(4096)
    del first
    assert pool.take(2048).size == 2048


def test_memory_in_reference_cycles_is_found():
    pool = Pool(Source(room=4096), "test:0")

    class Holder:
        pass

    gc.disable()
    try:
        holder = Holder()
        holder.self = holder
        holder.allocation = pool.take(4096)
        del holder
        assert pool.take(2048).size == 2048
    finally:
        gc.enable()


def test_the_message_has_sizes_and_the_largest_holders():
    pool = Pool(Source(room=5 << 20), "opencl:0")
    held = [pool.take(size << 20, user_place()) for size in (1, 3)]
    with pytest.raises(OutOfMemoryError) as caught:
        pool.take(2 << 20)
    message = str(caught.value)
    assert message.startswith(
        "opencl:0 is out of memory: 2.0 MiB were asked for, 4.0 MiB are in use and 0 bytes cached (no room)."
    )
    lines = message.splitlines()[2:]
    assert [line.split(" made at ")[0].strip() for line in lines] == ["3.0 MiB", "1.0 MiB"]
    assert __file__ in lines[0]
    assert isinstance(caught.value, MemoryError)
    assert len(held) == 2


def test_an_error_loses_nothing():
    pool = Pool(Source(room=1024), "test:0")
    held = pool.take(1024)
    for _ in range(3):
        with pytest.raises(OutOfMemoryError):
            pool.take(256)
    del held
    assert pool.take(1024).size == 1024


def test_many_threads(pool):
    def work():
        for n in range(500):
            held = [pool.take(256 * (1 + n % 3)) for _ in range(3)]
            assert len({id(allocation.memory) for allocation in held}) == 3

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statistics = pool.statistics()
    assert statistics.live == 0
    assert statistics.allocations <= 4 * 3 * 3
    assert statistics.allocations + statistics.reuses == 4 * 500 * 3


def test_a_dying_allocation_never_waits_for_the_pool(pool):
    allocation = pool.take(256)
    with pool._lock:  # as when the garbage collector runs inside the pool
        del allocation
    assert pool.statistics().live == 0


def test_a_finalizer_may_ask_for_memory_while_memory_is_asked_for(pool):
    """The garbage collector may run it inside the pool, in the same thread."""
    inner = []
    allocate = pool.source.allocate

    def allocating(size):
        pool.source.allocate = allocate
        inner.append(pool.take(512))
        return allocate(size)

    pool.source.allocate = allocating
    thread = threading.Thread(target=lambda: inner.append(pool.take(256)), daemon=True)
    thread.start()
    thread.join(10)
    assert [allocation.size for allocation in inner] == [512, 256]
    assert pool.statistics().live == 768
    inner.clear()
    assert pool.statistics() == (0, 768, 768, 2, 0)


def test_readable_sizes():
    assert [readable_size(n) for n in (0, 1023, 1024, 1 << 20, 3 << 30, 1 << 50)] == [
        "0 bytes",
        "1023 bytes",
        "1.0 KiB",
        "1.0 MiB",
        "3.0 GiB",
        "1024.0 TiB",
    ]
