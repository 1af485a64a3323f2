"""Worker processes with deadlines: what hangs or crashes there costs one answer and not the run.

In: requests, as JSON. Out: answers as they come. A process that is late or has died is ended with all that it started;
whoever asks next starts another one. A process that nobody asks anything can be stopped: idle threads of some
frameworks go on spinning for a while, on cores that another process is measured on.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import IO, Any

from benchmarks.contestants import Contestant

ROOT = Path(__file__).parents[1]
# Of what a dead process wrote to its standard error.
SAID_LENGTH = 2000
END_SECONDS = 20.0
# Where the system has no such signal, idle processes stay on the cores.
STOP = getattr(signal, "SIGSTOP", None)


class WorkerError(RuntimeError):
    """A worker was late, died, or could not do what it was asked; the message says which."""


class Worker:
    """A process that runs ``benchmarks.serving`` for a contestant."""

    def __init__(self, contestant: Contestant, environment: Mapping[str, str] | None = None) -> None:
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115, open as long as the process lives
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serving", "--contestant", contestant.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True, cwd=ROOT,
            env={**os.environ, **contestant.environment(), **(environment or {})},
        )  # fmt: skip
        self._is_stopped = False
        self._answers: Queue[str | None] = Queue()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(None)

    def ask(self, request: Mapping[str, Any], seconds: float) -> Iterator[dict[str, Any]]:
        """The answers to a request, as they come.

        Raises:
            WorkerError: it took longer than ``seconds``, the process died, or the request failed there. Only in the
                last case can the worker be asked again; to be safe, kill it.
        """
        deadline = time.monotonic() + seconds
        self.go_on()
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise WorkerError(self._died()) from error
        while True:
            try:
                line = self._answers.get(timeout=max(deadline - time.monotonic(), 0))
            except Empty:
                raise WorkerError(f"given up after {seconds:.0f} s{self._end_of_said()}") from None
            if line is None:
                raise WorkerError(self._died())
            answer = json.loads(line)
            if "error" in answer:
                raise WorkerError(answer["error"])
            if "done" in answer:
                return
            yield answer

    def stop(self) -> None:
        """Takes the process off the cores until it is asked again, where the system can."""
        if STOP is not None and not self._is_stopped:
            self._is_stopped = self._signal(STOP)

    def go_on(self) -> None:
        """Lets a stopped process run again."""
        if self._is_stopped:
            self._is_stopped = False
            self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> bool:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
            return True
        return False

    def _died(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        return f"the process ended with status {self._process.poll()}{self._end_of_said()}"

    def _end_of_said(self) -> str:
        self._said.seek(0, os.SEEK_END)
        self._said.seek(max(self._said.tell() - SAID_LENGTH, 0))
        said = self._said.read().decode(errors="replace").strip()
        return f"; it said last:\n{said}" if said else ""

    def end(self) -> None:
        """Lets the process end by itself, and ends it when it does not."""
        self.go_on()
        with suppress(OSError, subprocess.TimeoutExpired):
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"kind": "end"}) + "\n")
            self._process.stdin.flush()
            self._process.wait(END_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Ends the process and all that it started."""
        self._signal(signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._said.close()
