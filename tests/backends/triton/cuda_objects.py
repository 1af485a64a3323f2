"""What the driver in memory hands out: statuses, events, functions, graphs; and what a "cubin" holds for it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

SHARED_MEMORY = 227 * 1024


class Status(IntEnum):
    """CUresult."""

    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_NO_DEVICE = 100
    CUDA_ERROR_INVALID_IMAGE = 200
    CUDA_ERROR_INVALID_CONTEXT = 201
    CUDA_ERROR_INVALID_HANDLE = 400
    CUDA_ERROR_NOT_FOUND = 500
    CUDA_ERROR_NOT_READY = 600
    CUDA_ERROR_ILLEGAL_ADDRESS = 700
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900
    CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901


OK = Status.CUDA_SUCCESS
H100 = {
    "COMPUTE_CAPABILITY_MAJOR": 9,
    "COMPUTE_CAPABILITY_MINOR": 0,
    "MULTIPROCESSOR_COUNT": 132,
    "MAX_SHARED_MEMORY_PER_BLOCK_OPTIN": SHARED_MEMORY,
    "MAX_SHARED_MEMORY_PER_MULTIPROCESSOR": 228 * 1024,
    "L2_CACHE_SIZE": 50 << 20,
    "MAX_REGISTERS_PER_MULTIPROCESSOR": 65536,
    "MAX_THREADS_PER_BLOCK": 1024,
    "WARP_SIZE": 32,
}


class Image(NamedTuple):
    """What a fake cubin holds, pickled. ``divisible`` are the parameters promised to be multiples of 16."""

    text: str
    function: str
    types: tuple[str, ...]
    divisible: tuple[int, ...]
    threads: int
    shared: int
    scratch: tuple[int, ...]

    def to_bytes(self) -> bytes:
        return pickle.dumps(self)


class Event:
    def __init__(self) -> None:
        self.recorded = 0
        self.happened = 0
        self.time = 0.0


class Function:
    def __init__(self, image: Image, launch: Callable[..., None]) -> None:
        self.image = image
        self.launch = launch
        self.shared_limit = 48 * 1024


class Graph:
    def __init__(self, work: list[Callable[[], None]]) -> None:
        self.work = work
