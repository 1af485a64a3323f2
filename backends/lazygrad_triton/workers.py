"""Compiler processes: started when there is something to compile, used again, gone when they have nothing to do.

In: jobs. Out: for each what Triton made of it, in order. A process that dies takes its job with it, which counts as
refused, with what the process said last.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Lock
from typing import IO

from lazygrad_triton.worker import Compiled, Job, Refused

# More processes than these use more memory (200 MB each) than a few more cores are worth.
MOST_WORKERS = 16
# Seconds after which a person wants to see that something happens.
PROGRESS_AFTER = 2.0
# The package without what its __init__ imports: the compiler needs some of its files, and not the library. The path
# comes first, so that a file in the current folder is not taken for a module of Python's.
_START = """
import sys
sys.path[:] = {path!r}
import types
package = types.ModuleType("lazygrad_triton")
package.__path__ = [{folder!r}]
sys.modules["lazygrad_triton"] = package
from lazygrad_triton.worker import main
main()
"""


class Worker:
    """One compiler process."""

    def __init__(self) -> None:
        # The process and this one share the file's position: after it is emptied, what follows begins at its start.
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed when the process has ended)
        start = _START.format(path=sys.path, folder=str(Path(__file__).parent))
        self._process = subprocess.Popen(
            [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said
        )
        self.jobs = 0

    def run(self, job: Job) -> Compiled | Refused:
        """Waits for the answer. EOFError or OSError when the process has ended."""
        self.jobs += 1
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump(job, self._process.stdin)
        self._process.stdin.flush()
        answer: Compiled | Refused = pickle.load(self._process.stdout)
        said = self.said()
        return Refused(f"{answer.message}\n{said}".strip()) if isinstance(answer, Refused) else answer

    def said(self) -> str:
        """What Triton wrote to its standard error since this was asked last."""
        self._said.seek(0)
        text = self._said.read().decode(errors="replace")
        self._said.seek(0)
        self._said.truncate()
        return text

    def end(self) -> int:
        """Ends the process and returns its exit status."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue
        status = self._process.wait()
        self._said.close()
        return status


class Workers:
    """The compiler processes of this process."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._lock = Lock()
        self._owner = os.getpid()

    def run(self, jobs: Sequence[Job]) -> list[Compiled | Refused]:
        """Compiles the jobs, several at once."""
        from tqdm import tqdm  # nobody waits for it who compiles nothing

        count = min(len(jobs), MOST_WORKERS, available_cores())
        answers: dict[int, Compiled | Refused] = {}
        with ThreadPoolExecutor(max(1, count)) as threads:
            pending = {threads.submit(self._run_one, job): number for number, job in enumerate(jobs)}
            bar = tqdm(
                total=len(jobs), desc="lazygrad compiles kernels", delay=PROGRESS_AFTER, leave=False, file=sys.stderr,
                disable=None,
            )  # fmt: skip
            try:
                with bar:
                    for done in as_completed(pending):
                        answers[pending[done]] = done.result()
                        bar.update()
            except BaseException:  # Ctrl-C: nobody waits for jobs that have not begun
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        return [answers[number] for number in range(len(jobs))]

    def _run_one(self, job: Job) -> Compiled | Refused:
        while True:
            worker = self._take()
            try:
                answer = worker.run(job)
            except (EOFError, OSError, pickle.UnpicklingError):
                used = worker.jobs > 1
                said = worker.said()
                status = worker.end()
                if not used:
                    return Refused(f"the compiler's process ended with status {status}\n{said}".strip())
                continue  # it may have ended before the job came; a new one tells
            self._give_back(worker)
            return answer

    def _take(self) -> Worker:
        with self._lock:
            if self._owner != os.getpid():  # after a fork the processes belong to the parent
                self._idle.clear()
                self._owner = os.getpid()
            if self._idle:
                return self._idle.pop()
        return Worker()

    def _give_back(self, worker: Worker) -> None:
        with self._lock:
            self._idle.append(worker)


def available_cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
