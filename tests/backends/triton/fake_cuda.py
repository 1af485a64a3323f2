# ruff: noqa: N802 (the functions have the driver's names)
"""CUDA's driver in memory: what ``cuda.bindings.driver`` offers of what the backend uses, with NumPy as the device.

Work is put into the stream and runs only when somebody waits for it, so whatever is used before it is ready, or used
again too early, shows. Addresses are checked: every access must lie in an allocation that has not been freed.
A "cubin" names a generated file; launching it reads the arguments where the driver would read them, by the types of
the parameters, and runs the function in Triton's interpreter on the fake's memory.
"""

from __future__ import annotations

import ctypes
import pickle
import threading
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy

from backends.triton.cuda_objects import H100, OK, SHARED_MEMORY, Event, Function, Graph, Image, Status

ALIGNMENT = 256
KERNEL_MILLISECONDS = 0.01
COPY_MILLISECONDS = 0.002


class FakeCuda:
    """The functions by their own names, each with a status first. Other attributes are for tests."""

    CUresult = Status
    CUstream_flags = SimpleNamespace(CU_STREAM_NON_BLOCKING=1)
    CUevent_flags = SimpleNamespace(CU_EVENT_DEFAULT=0, CU_EVENT_DISABLE_TIMING=2)
    CUdevice_attribute = SimpleNamespace(**{f"CU_DEVICE_ATTRIBUTE_{name}": name for name in H100})
    CUfunction_attribute = SimpleNamespace(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES="shared")
    CUfunc_cache = SimpleNamespace(CU_FUNC_CACHE_PREFER_SHARED="prefer shared")
    CUstreamCaptureMode = SimpleNamespace(CU_STREAM_CAPTURE_MODE_RELAXED="relaxed")

    def __init__(self, devices: tuple[dict[str, int], ...] = (H100,), memory: int = 1 << 30) -> None:
        self.devices = devices
        self.memory = memory
        self.allocations: dict[int, numpy.ndarray[Any, Any]] = {}
        self.largest_use = 0
        self.calls: list[str] = []
        self.launches: list[tuple[str, int]] = []
        self.failing: dict[str, Status] = {}
        # What real machine code stands for.
        self.cubins: dict[bytes, Image] = {}
        self.stream: deque[Callable[[], None]] = deque()
        self.clock = 0.0
        self.raised: BaseException | None = None
        self._next_address = 1 << 32
        self._pinned: dict[int, Any] = {}
        self._current = threading.local()
        self._sticky = OK
        self._recording: list[Callable[[], None]] | None = None
        self._broken_recording = False
        self._files: dict[str, Any] = {}
        self._lock = threading.RLock()

    # ---- for tests

    def fail(self, function: str, status: Status) -> None:
        """The next call of the function fails."""
        self.failing[function] = status

    def at(self, address: int, size: int) -> numpy.ndarray[Any, Any]:
        """The bytes there; IndexError when they are not all in one allocation."""
        return self._from(address, size)[:size]

    def _from(self, address: int, size: int = 1) -> numpy.ndarray[Any, Any]:
        """The bytes from an address to the end of its allocation."""
        for start, data in self.allocations.items():
            if start <= address and address + size <= start + data.size:
                return data[address - start :]
        raise IndexError(f"{size} bytes at {address:#x} are in no allocation")

    def forget(self) -> None:
        """The context is as new: what was submitted is lost, and what failed."""
        self.stream.clear()
        self._sticky, self.raised = OK, None

    def run_all(self) -> None:
        with self._lock:
            while self.stream:
                self._run_one()

    def _run_one(self) -> None:
        work = self.stream.popleft()
        if self._sticky:
            return
        try:
            work()
        except IndexError:
            self._sticky = Status.CUDA_ERROR_ILLEGAL_ADDRESS
        except RuntimeError as error:
            self.raised = error
            self._sticky = Status.CUDA_ERROR_ILLEGAL_ADDRESS

    def _begin(self, name: str, waits: bool = False) -> Status:
        """Counts a call; the status with which it ends at once, if it does."""
        self.calls.append(name)
        if name in self.failing:
            return self.failing.pop(name)
        if not getattr(self._current, "context", None):
            return Status.CUDA_ERROR_INVALID_CONTEXT
        if waits and self._recording is not None:
            self._broken_recording = True
            return Status.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
        return self._sticky

    def _submit(self, work: Callable[[], None]) -> None:
        with self._lock:
            (self.stream if self._recording is None else self._recording).append(work)

    # ---- errors and devices

    def cuGetErrorName(self, status: Status) -> tuple[Status, bytes]:
        return OK, Status(status).name.encode()

    def cuGetErrorString(self, status: Status) -> tuple[Status, bytes]:
        return OK, Status(status).name.removeprefix("CUDA_ERROR_").lower().replace("_", " ").encode()

    def cuInit(self, flags: int) -> tuple[Status]:
        return (self.failing.pop("cuInit", OK),)

    def cuDriverGetVersion(self) -> tuple[Status, int]:
        return OK, 12080

    def cuDeviceGetCount(self) -> tuple[Status, int]:
        return OK, len(self.devices)

    def cuDeviceGet(self, number: int) -> tuple[Status, int]:
        return OK, number

    def cuDeviceGetName(self, length: int, device: int) -> tuple[Status, bytes]:
        return OK, f"Fake {device}".encode().ljust(length, b"\0")

    def cuDeviceTotalMem(self, device: int) -> tuple[Status, int]:
        return OK, self.memory

    def cuDeviceGetAttribute(self, attribute: str, device: int) -> tuple[Status, int]:
        return OK, self.devices[device][attribute]

    def cuDevicePrimaryCtxRetain(self, device: int) -> tuple[Status, str]:
        return OK, f"context {device}"

    def cuCtxSetCurrent(self, context: str | None) -> tuple[Status]:
        self._current.context = context
        return (OK,)

    # ---- memory

    def cuMemAlloc(self, size: int) -> tuple[Status, int]:
        status = self._begin("cuMemAlloc")
        if status:
            return status, 0
        used = sum(data.size for data in self.allocations.values()) + size
        if used > self.memory:
            return Status.CUDA_ERROR_OUT_OF_MEMORY, 0
        self.largest_use = max(self.largest_use, used)
        address = self._next_address
        self._next_address += -(-size // ALIGNMENT) * ALIGNMENT + ALIGNMENT
        # What was never written is not zero.
        self.allocations[address] = numpy.full(size, 0xA5, numpy.uint8)
        return OK, address

    def cuMemFree(self, address: int) -> tuple[Status]:
        status = self._begin("cuMemFree")
        if not status:
            self.run_all()
            if self.allocations.pop(address, None) is None:
                status = Status.CUDA_ERROR_INVALID_VALUE
        return (status,)

    def cuMemHostAlloc(self, size: int, flags: int) -> tuple[Status, int]:
        status = self._begin("cuMemHostAlloc")
        if status:
            return status, 0
        data = (ctypes.c_uint8 * size)()
        self._pinned[ctypes.addressof(data)] = data
        return OK, ctypes.addressof(data)

    def _host(self, address: int, size: int) -> numpy.ndarray[Any, Any]:
        for start, data in self._pinned.items():
            if start <= address and address + size <= start + len(data):
                return numpy.frombuffer(data, numpy.uint8)[address - start : address - start + size]
        raise AssertionError("an asynchronous copy needs pinned memory")

    def cuMemcpyHtoDAsync(self, device: int, host: int, size: int, stream: str) -> tuple[Status]:
        status = self._begin("cuMemcpyHtoDAsync")
        if not status:
            source = self._host(host, size)

            def copy() -> None:
                self.at(device, size)[:] = source
                self.clock += COPY_MILLISECONDS

            self._submit(copy)
        return (status,)

    def cuMemcpyDtoHAsync(self, host: int, device: int, size: int, stream: str) -> tuple[Status]:
        status = self._begin("cuMemcpyDtoHAsync")
        if not status:
            target = self._host(host, size)

            def copy() -> None:
                target[:] = self.at(device, size)
                self.clock += COPY_MILLISECONDS

            self._submit(copy)
        return (status,)

    # ---- streams and events

    def cuStreamCreate(self, flags: int) -> tuple[Status, str]:
        return self._begin("cuStreamCreate"), "stream"

    def cuStreamSynchronize(self, stream: str) -> tuple[Status]:
        status = self._begin("cuStreamSynchronize", waits=True)
        if not status:
            self.run_all()
            status = self._sticky
        return (status,)

    def cuEventCreate(self, flags: int) -> tuple[Status, Event]:
        return self._begin("cuEventCreate"), Event()

    def cuEventRecord(self, event: Event, stream: str) -> tuple[Status]:
        status = self._begin("cuEventRecord")
        if not status:
            event.recorded += 1

            def happen() -> None:
                event.happened += 1
                event.time = self.clock

            self._submit(happen)
        return (status,)

    def cuEventQuery(self, event: Event) -> tuple[Status]:
        status = self._begin("cuEventQuery", waits=True)
        if not status and event.happened < event.recorded:
            status = Status.CUDA_ERROR_NOT_READY
        return (status,)

    def cuEventSynchronize(self, event: Event) -> tuple[Status]:
        status = self._begin("cuEventSynchronize", waits=True)
        with self._lock:
            while not status and event.happened < event.recorded and self.stream:
                self._run_one()
                status = self._sticky
        return (status,)

    def cuEventElapsedTime(self, start: Event, end: Event) -> tuple[Status, float]:
        ready = start.happened == start.recorded and end.happened == end.recorded
        return OK if ready else Status.CUDA_ERROR_NOT_READY, end.time - start.time

    # ---- functions

    def cuModuleLoadData(self, image: bytes) -> tuple[Status, Any]:
        status = self._begin("cuModuleLoadData")
        if status:
            return status, None
        try:
            return OK, self.cubins.get(image) or pickle.loads(image)
        except pickle.UnpicklingError:
            return Status.CUDA_ERROR_INVALID_IMAGE, None

    def cuModuleGetFunction(self, module: Image, name: bytes) -> tuple[Status, Any]:
        status = self._begin("cuModuleGetFunction")
        if not status and name.decode() != module.function:
            status = Status.CUDA_ERROR_NOT_FOUND
        return status, Function(module, self._interpreted(module))

    def cuFuncSetCacheConfig(self, function: Function, config: str) -> tuple[Status]:
        return (self._begin("cuFuncSetCacheConfig"),)

    def cuFuncSetAttribute(self, function: Function, attribute: str, value: int) -> tuple[Status]:
        status = self._begin("cuFuncSetAttribute")
        if not status and value > SHARED_MEMORY:
            status = Status.CUDA_ERROR_INVALID_VALUE
        function.shared_limit = value
        return (status,)

    def cuLaunchKernel(
        self, function: Function, x: int, y: int, z: int, threads: int, threads_y: int, threads_z: int, shared: int,
        stream: str, parameters: int, extra: int,
    ) -> tuple[Status]:  # fmt: skip
        status = self._begin("cuLaunchKernel")
        image = function.image
        if not status and (
            stream != "stream" or extra != 0 or (y, z, threads_y, threads_z) != (1, 1, 1, 1) or not 0 < x < 2**31
            or threads != image.threads or shared != image.shared or shared > function.shared_limit
        ):  # fmt: skip
            status = Status.CUDA_ERROR_INVALID_VALUE
        if status:
            return (status,)
        values = self._read(image, parameters)
        self.launches.append((image.function, x))

        def run() -> None:
            function.launch(x, values)
            self.clock += KERNEL_MILLISECONDS

        self._submit(run)
        return (OK,)

    def _read(self, image: Image, parameters: int) -> list[int | float]:
        """The arguments, which the driver copies when a launch is submitted."""
        scratch = ["*u8"] * len(image.scratch)
        count = len(image.types) + len(scratch)
        places = (ctypes.c_void_p * count).from_address(parameters)
        kinds = {"i32": ctypes.c_int32, "i64": ctypes.c_int64, "fp32": ctypes.c_float, "fp64": ctypes.c_double}
        values = []
        for place, kind in zip(places, (*image.types, *scratch), strict=True):
            assert place is not None
            values.append((ctypes.c_uint64 if kind[0] == "*" else kinds[kind]).from_address(place).value)
        for number in image.divisible:
            assert values[number] % 16 == 0, f"parameter {number} is no multiple of 16, which was promised"
        for size, value in zip(image.scratch, values[len(image.types) :], strict=True):
            assert (value == 0) == (size == 0), "scratch areas are null unless they are wanted"
            if size:
                self.at(value, size)
        return values[: len(image.types)]

    def _interpreted(self, image: Image) -> Callable[..., None]:
        from lazygrad_triton.interpreter import Buffer, InterpretedFile, Number

        if image.text not in self._files:
            self._files[image.text] = InterpretedFile(image.text, f"<{image.function}>")
        file = self._files[image.text]

        def launch(programs: int, values: list[int | float]) -> None:
            arguments: list[Buffer | Number] = []
            for kind, value in zip(image.types, values, strict=True):
                if kind[0] == "*":
                    data = self._from(int(value))
                    arguments.append(Buffer(data, kind, 0, data.size, True))
                else:
                    arguments.append(Number(value, kind))
            file.launch(image.function, programs, arguments)

        return launch

    # ---- graphs

    def cuStreamBeginCapture(self, stream: str, mode: str) -> tuple[Status]:
        status = self._begin("cuStreamBeginCapture", waits=True)
        if not status:
            self._recording, self._broken_recording = [], False
        return (status,)

    def cuStreamEndCapture(self, stream: str) -> tuple[Status, Any]:
        status = self._begin("cuStreamEndCapture")
        recorded, self._recording = self._recording, None
        if self._broken_recording:
            return Status.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, None
        return status, Graph(recorded or [])

    def cuGraphInstantiate(self, graph: Graph, flags: int) -> tuple[Status, Any]:
        return self._begin("cuGraphInstantiate"), Graph(list(graph.work))

    def cuGraphDestroy(self, graph: Graph) -> tuple[Status]:
        graph.work.clear()
        return (self._begin("cuGraphDestroy"),)

    def cuGraphLaunch(self, graph: Graph, stream: str) -> tuple[Status]:
        status = self._begin("cuGraphLaunch")
        if not status:
            for work in graph.work:
                self._submit(work)
        return (status,)

    def cuGraphExecDestroy(self, graph: Graph) -> tuple[Status]:
        graph.work.clear()
        return (self._begin("cuGraphExecDestroy"),)
