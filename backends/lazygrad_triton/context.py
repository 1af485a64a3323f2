"""One CUDA device as everything else here uses it: its context, one stream, memory, events, functions.

All work goes to one stream and runs in the order of its submission; that is what makes it safe to hand memory out
again while submitted work still uses it. The context is the device's primary one, which other libraries in the
process use as well, so buffers could be shared with them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lazygrad_triton.binaries import Binary
from lazygrad_triton.driver import Driver

# A function may use this much dynamic shared memory without asking.
ORDINARY_SHARED_MEMORY = 48 * 1024


class Memory:
    """A piece of device memory: where it is and how many bytes it has."""

    __slots__ = ("address", "size")

    def __init__(self, address: int, size: int) -> None:
        self.address = address
        self.size = size


class Function(NamedTuple):
    """A function on the device. The module is kept as long as the function is."""

    handle: Any
    module: Any
    binary: Binary


class Context:
    """The primary context and the stream of one device. ``stream`` is the driver's handle."""

    def __init__(self, driver: Driver, device: Any) -> None:
        self.driver = driver
        self._handle = driver.cuDevicePrimaryCtxRetain(device)
        self._set_current = driver.bindings.cuCtxSetCurrent
        self.activate()
        # A stream that does not wait for the default stream of other libraries.
        self.stream = driver.cuStreamCreate(driver.bindings.CUstream_flags.CU_STREAM_NON_BLOCKING)

    def activate(self) -> None:
        """Makes the context the calling thread's: before any other call, since other libraries may set theirs."""
        (status,) = self._set_current(self._handle)
        if status:
            raise self.driver.error("cuCtxSetCurrent", status)

    # ---- memory

    def allocate(self, size: int) -> Memory:
        """Memory of ``size`` bytes, aligned to 256. MemoryError when there is none."""
        self.activate()
        return Memory(int(self.driver.cuMemAlloc(size)), size)

    def free(self, memory: Memory) -> None:
        """Gives memory back; waits for work that is submitted."""
        self.activate()
        self.driver.cuMemFree(memory.address)

    def allocate_pinned(self, size: int) -> int:
        """The address of host memory that the device can copy from and to while the processor does something else."""
        self.activate()
        return int(self.driver.cuMemHostAlloc(size, 0))

    def copy_to_device(self, address: int, host: int, size: int) -> None:
        """Submits a copy from pinned memory."""
        self.driver.cuMemcpyHtoDAsync(address, host, size, self.stream)

    def copy_to_host(self, host: int, address: int, size: int) -> None:
        """Submits a copy into pinned memory."""
        self.driver.cuMemcpyDtoHAsync(host, address, size, self.stream)

    # ---- order

    def event(self, timed: bool = False) -> Any:
        """A new event; only timed ones can be asked when they happened."""
        flags = self.driver.bindings.CUevent_flags
        return self.driver.cuEventCreate(flags.CU_EVENT_DEFAULT if timed else flags.CU_EVENT_DISABLE_TIMING)

    def record(self, event: Any) -> None:
        """The event happens when all work submitted so far is done."""
        self.driver.cuEventRecord(event, self.stream)

    def wait(self, event: Any) -> None:
        """Waits until the event has happened; at once when it was never recorded."""
        self.driver.cuEventSynchronize(event)

    def has_happened(self, event: Any) -> bool:
        """Whether the work before the event is done."""
        (status,) = self.driver.bindings.cuEventQuery(event)
        if status == self.driver.bindings.CUresult.CUDA_ERROR_NOT_READY:
            return False
        if status:
            raise self.driver.error("cuEventQuery", status)
        return True

    def synchronize(self) -> None:
        """Waits until all submitted work is done."""
        self.activate()
        self.driver.cuStreamSynchronize(self.stream)

    # ---- functions

    def load(self, binary: Binary) -> Function:
        """A compiled function, ready to be launched."""
        self.activate()
        driver = self.driver
        module = driver.cuModuleLoadData(binary.code)
        handle = driver.cuModuleGetFunction(module, binary.function.encode())
        if binary.shared > ORDINARY_SHARED_MEMORY:
            attributes = driver.bindings.CUfunction_attribute
            driver.cuFuncSetCacheConfig(handle, driver.bindings.CUfunc_cache.CU_FUNC_CACHE_PREFER_SHARED)
            driver.cuFuncSetAttribute(handle, attributes.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, binary.shared)
        return Function(handle, module, binary)
