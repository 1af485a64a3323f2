"""The worker process as its parent sees it: started, given jobs, listened to with a deadline, ended by force."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any

from lazygrad.runtime.tuning_worker import Job

# What is set for this process and would make the worker tune, or write over this process's reports.
NOT_INHERITED = ("LAZYGRAD_TUNE", "LAZYGRAD_DEBUG", "LAZYGRAD_VERIFY", "LAZYGRAD_PROFILE")
# So many lines of what a process said last are enough to see why it ended.
LAST_LINES = 5
# The path comes first, so that a file in the current folder is not taken for a module of Python's.
_START = """
import sys
sys.path[:] = {path!r}
from lazygrad.runtime.tuning_worker import main
main()
"""


class Silent(Exception):
    """The process did not answer in time."""


class Ended(Exception):
    """The process has ended; the message has its status and what it said last."""


class WorkerProcess:
    """One worker with its device open."""

    def __init__(self, device: str, deadline: float) -> None:
        """Waits until the device is open. Silent or Ended when that does not happen before the deadline."""
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed when the process has ended)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START.format(path=sys.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said,
            env={name: value for name, value in os.environ.items() if name not in NOT_INHERITED},
        )  # fmt: skip
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        Thread(target=self._listen, daemon=True).start()
        try:
            self._send(device)
            self.answer(deadline)
        except BaseException:
            self.end()
            raise

    def send(self, job: Job) -> None:
        """Hands a job over. Ended when there is nobody."""
        self._send(job)

    def answer(self, deadline: float) -> dict[str, Any]:
        """The next answer. Silent when there is none before the deadline (of ``time.monotonic``), else Ended."""
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            raise Silent from None
        if line is None:
            raise self._ended()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """Ends the process, whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:
                continue
        self._said.close()

    def _send(self, what: Job | str) -> None:
        assert self._process.stdin is not None
        try:
            pickle.dump(what, self._process.stdin)
            self._process.stdin.flush()
        except OSError:
            raise self._ended() from None

    def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._lines.put(line)
        except (OSError, ValueError):  # closed while this waited
            pass
        self._lines.put(None)

    def _ended(self) -> Ended:
        status = self._process.wait()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()[-LAST_LINES:]
        return Ended("\n".join([f"the process ended with status {status}", *lines]))
