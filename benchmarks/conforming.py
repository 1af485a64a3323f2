"""The conformance table on a device within a time: what passed, what failed and how, what was not reached.

In: a device's name. Out: a report that lists failures with their messages. Rows run in worker processes, several at
once where there are many cores, since most of the time goes into compiling; a row that kills its process or hangs is
a failure like any other, and the next one gets a new process.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from threading import Lock, Thread
from typing import Any

from benchmarks.workers import Worker, WorkerError

# A row that takes longer hangs.
ROW_SECONDS = 90.0
# Each process compiles with several of its own.
CORES_PER_WORKER = 4
MOST_WORKERS = 4
# Messages list every case that differs; the first ones tell enough.
MESSAGE_LENGTH = 1500
START_SECONDS = 60.0


def conform(
    start: Callable[[], Worker], deadline: float, tiny: bool, publish: Callable[[dict[str, Any]], object]
) -> dict[str, Any]:
    """Runs values of all rows, then gradients, and publishes the report after each.

    Args:
        start: makes a worker.
        deadline: by ``time.monotonic``; what is not done by then is left out.
        tiny: in few dtypes only.
        publish: is given how many passed, which failed with which message, and which were left out.

    Raises:
        WorkerError: there is no table here.
    """
    worker = start()
    try:
        (answer,) = worker.ask({"kind": "rows"}, min(START_SECONDS, deadline - time.monotonic()))
    finally:
        worker.end()
    values = [{"kind": "row", "row": row, "what": "values", "tiny": tiny} for row, _ in answer["rows"]]
    gradients = [
        {"kind": "row", "row": row, "what": "gradients"} for row, has_gradients in answer["rows"] if has_gradients
    ]
    conformance = Conformance(values + gradients, start, deadline, publish)
    count = min(MOST_WORKERS, max(1, (os.cpu_count() or 1) // CORES_PER_WORKER))
    threads = [Thread(target=conformance.work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    publish(conformance.report())
    return conformance.report()


class Conformance:
    """The rows still to do and what became of the others."""

    def __init__(
        self, requests: Iterable[dict[str, Any]], start: Callable[[], Worker], deadline: float,
        publish: Callable[[dict[str, Any]], object],
    ) -> None:  # fmt: skip
        self._waiting = deque(requests)
        self._start = start
        self._deadline = deadline
        self._publish = publish
        self._lock = Lock()
        self._passed = 0
        self._failed: dict[str, str] = {}
        self._left_out: list[str] = []

    def work(self) -> None:
        """What each thread does: one row after the other with a worker of its own."""
        worker: Worker | None = None
        while (request := self._next()) is not None:
            try:
                worker = worker or self._start()
                (answer,) = worker.ask(request, min(ROW_SECONDS, self._deadline - time.monotonic()))
                self._done(request, answer.get("problem"))
            except WorkerError as error:
                if worker is not None:
                    worker.kill()
                worker = None
                self._done(request, str(error))
        if worker is not None:
            worker.end()

    def _next(self) -> dict[str, Any] | None:
        with self._lock:
            if time.monotonic() >= self._deadline:
                self._left_out += map(_name, self._waiting)
                self._waiting.clear()
            return self._waiting.popleft() if self._waiting else None

    def _done(self, request: dict[str, Any], problem: str | None) -> None:
        with self._lock:
            if problem is None:
                self._passed += 1
            elif time.monotonic() >= self._deadline:
                self._left_out.insert(0, _name(request))
            else:
                self._failed[_name(request)] = problem[:MESSAGE_LENGTH]
                print(f"conformance: {_name(request)} FAILED: {problem[:MESSAGE_LENGTH]}", flush=True)
            self._publish(self.report())

    def report(self) -> dict[str, Any]:
        """How many passed, and the names of all others."""
        return {"passed": self._passed, "failed": dict(self._failed), "left_out": list(self._left_out)}


def _name(request: dict[str, Any]) -> str:
    return f"{request['row']} ({request['what']})"
