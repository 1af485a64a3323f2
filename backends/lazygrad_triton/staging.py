"""Copies between ordinary host memory and the device, through a ring of pinned chunks.

The device can copy by itself only from and to pinned memory. An upload is copied into chunks by the processor and
from there by the device, so it is submitted and not waited for, and the host's array may change at once. In large
copies the processor fills or empties one chunk while the device works on the next. A chunk is used again when the
event after its copy has happened. Small arrays have a ring of their own with many small chunks, so that a loop that
uploads a few of them in each step does not wait for the steps that the device has not come to yet.
"""

from __future__ import annotations

import ctypes
from collections import deque
from threading import Lock
from typing import Any, NamedTuple

import numpy

from lazygrad_triton.context import Context


class Ring(NamedTuple):
    """How many bytes a chunk has, and how many chunks there are at most."""

    bytes: int
    chunks: int


SMALL = Ring(64 << 10, 64)
# A chunk is large enough that starting a copy does not matter, and small enough that filling one overlaps with
# copying another.
LARGE = Ring(4 << 20, 4)

Bytes = numpy.ndarray[Any, numpy.dtype[numpy.uint8]]


class _Chunk:
    """Pinned memory, and the event after which it is free."""

    def __init__(self, context: Context, size: int) -> None:
        self.address = context.allocate_pinned(size)
        self.bytes: Bytes = numpy.frombuffer(
            memoryview((ctypes.c_uint8 * size).from_address(self.address)), numpy.uint8
        )
        self.done = context.event()


class _Chunks:
    """The chunks of one ring. They are made when they are first needed and kept until the process ends."""

    def __init__(self, context: Context, ring: Ring) -> None:
        self._context = context
        self.ring = ring
        self._chunks: deque[_Chunk] = deque()

    def next(self) -> _Chunk:
        """The chunk that was used longest ago, once it is free."""
        if len(self._chunks) < self.ring.chunks:
            chunk = _Chunk(self._context, self.ring.bytes)
        else:
            chunk = self._chunks.popleft()
            self._context.wait(chunk.done)
        self._chunks.append(chunk)
        return chunk


class Staging:
    """The rings of one device."""

    def __init__(self, context: Context, small: Ring = SMALL, large: Ring = LARGE) -> None:
        self._context = context
        self._small = _Chunks(context, small)
        self._large = _Chunks(context, large)
        self._lock = Lock()

    def upload(self, address: int, source: Bytes) -> None:
        """Submits the copy of a flat array; it may change when this returns."""
        with self._lock:
            chunks = self._ring_for(source)
            size = chunks.ring.bytes
            for start in range(0, source.size, size):
                part = source[start : start + size]
                chunk = chunks.next()
                chunk.bytes[: part.size] = part
                self._context.copy_to_device(address + start, chunk.address, part.size)
                self._context.record(chunk.done)

    def download(self, target: Bytes, address: int) -> None:
        """Fills a flat array; waits for all work submitted before."""
        with self._lock:
            chunks = self._ring_for(target)
            size = chunks.ring.bytes
            pending: deque[tuple[Bytes, _Chunk]] = deque()
            for start in range(0, target.size, size):
                if len(pending) == chunks.ring.chunks:
                    self._empty(*pending.popleft())
                part = target[start : start + size]
                chunk = chunks.next()
                self._context.copy_to_host(chunk.address, address + start, part.size)
                self._context.record(chunk.done)
                pending.append((part, chunk))
            for part, chunk in pending:
                self._empty(part, chunk)

    def _ring_for(self, array: Bytes) -> _Chunks:
        return self._small if array.size <= self._small.ring.bytes else self._large

    def _empty(self, part: Bytes, chunk: _Chunk) -> None:
        self._context.wait(chunk.done)
        part[:] = chunk.bytes[: part.size]
