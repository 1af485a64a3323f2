"""CUDA graphs: launches that are recorded once and submitted together.

While a device records, launches do not run; a replay runs all of them in order, for the price of one launch.

What a graph holds is addresses and numbers, so for as long as it may be replayed

- offsets and scalars of its launches are those of the recording;
- memory taken from the device's pool while recording belongs to the graph: intermediate results are reused inside
  it, and what is still held (results) is written again by every replay. It goes back to the device when the graph
  is closed and its last holder is gone;
- memory that existed before (inputs, parameters) must be kept alive by whoever replays: new inputs are copied into it.

Everything to be recorded must have run once before, so that it is compiled and loaded.
"""

from __future__ import annotations

from typing import Any

from lazygrad.runtime import Pool
from lazygrad_triton.context import Context


class Graph:
    """Recorded launches, made by ``TritonDevice.capture``. ``pool`` is the memory that belongs to it."""

    def __init__(self, context: Context, pool: Pool) -> None:
        self._context = context
        self._executable: Any = None
        # What the recorded launches use beyond the pool's memory: the device's scratch memory.
        self._kept: list[Any] = []
        self.pool = pool

    def begin(self) -> None:
        """Launches are recorded from here on."""
        self._context.activate()
        bindings = self._context.driver.bindings
        # Memory may be allocated while recording.
        relaxed = bindings.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED
        self._context.driver.cuStreamBeginCapture(self._context.stream, relaxed)

    def end(self, keep: bool, *used: Any) -> None:
        """Ends the recording, and makes it replayable where it is kept. ``used`` lives as long as the graph."""
        driver = self._context.driver
        status, recorded = driver.bindings.cuStreamEndCapture(self._context.stream)
        if not keep:  # an exception is on its way, which the status of what it interrupted must not replace
            if not status:
                driver.cuGraphDestroy(recorded)
            return
        if status:
            raise driver.error("cuStreamEndCapture", status)
        try:
            self._executable = driver.cuGraphInstantiate(recorded, 0)
        finally:
            driver.cuGraphDestroy(recorded)
        self._kept.extend(used)

    def replay(self) -> None:
        """Submits all recorded launches. RuntimeError after ``close``."""
        if self._executable is None:
            raise RuntimeError("this graph is closed, or its recording has not ended")
        self._context.activate()
        self._context.driver.cuGraphLaunch(self._executable, self._context.stream)

    def close(self) -> None:
        """Gives the graph and memory that nobody holds back. Waits for replays that are submitted."""
        if self._executable is not None:
            self._context.synchronize()
            self._context.driver.cuGraphExecDestroy(self._executable)
            self._executable = None
        self._kept.clear()
        self.pool.empty_cache()
