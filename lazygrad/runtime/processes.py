"""Processes that compile for this one: started when there is work, used again, gone when this process is.

In: jobs, which are pickled. Out: answers, in the order in which they are ready. A process that dies, hangs or is
interrupted costs its job an ``EndedError`` that says how it ended and what it said last; what to do then is the
caller's business.

Processes are started with their program on the command line and know nothing of the user's script, so a script needs
no ``if __name__ == "__main__":``. They read jobs from their standard input, whose end ends them.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from threading import Lock, Timer
from typing import IO, Any, Generic, NamedTuple, TypeVar

# Seconds after which a person wants to see that something happens.
PROGRESS_AFTER = 2.0
# A module of a package, run without the package's __init__. The path comes first, so that a file in the current folder
# is not taken for a module of Python's. Interrupts are this process's business.
_START = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.path[:] = {path!r}
import types
package = types.ModuleType({package!r})
package.__path__ = [{folder!r}]
sys.modules[{package!r}] = package
from {package}.{module} import main
main()
"""
JobT = TypeVar("JobT")
AnswerT = TypeVar("AnswerT")


class EndedError(Exception):
    """A process ended before it answered."""


class Program(NamedTuple):
    """What a process runs: ``main`` of a module, whose package's folder is given instead of being imported.

    ``environment`` is put over this process's own.
    """

    package: str
    folder: str
    module: str
    environment: Mapping[str, str]

    def command(self) -> list[str]:
        """The command line."""
        text = _START.format(path=sys.path, package=self.package, folder=self.folder, module=self.module)
        return [sys.executable, "-c", text]


class Worker(Generic[JobT, AnswerT]):
    """One process."""

    def __init__(self, program: Program) -> None:
        # The process and this one share the file's position: after it is emptied, what follows begins at its start.
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed when the process has ended)
        self._process = subprocess.Popen(
            program.command(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, env={**os.environ, **program.environment},
        )  # fmt: skip
        self.jobs = 0

    def run(self, job: JobT, seconds: float | None = None) -> AnswerT:
        """Waits for the answer, but not longer than ``seconds``.

        Raises:
            EndedError: the process ended, or was ended because it was late.
        """
        self.jobs += 1
        watch = Timer(seconds, self.kill) if seconds is not None else None
        if watch is not None:
            watch.daemon = True
            watch.start()
        try:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            pickle.dump(job, self._process.stdin)
            self._process.stdin.flush()
            answer: AnswerT = pickle.load(self._process.stdout)
            return answer
        except (EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
            raise EndedError(self._end()) from error
        finally:
            if watch is not None:
                watch.cancel()

    def said(self) -> str:
        """What the process wrote to its standard error since this was asked last."""
        self._said.seek(0)
        text = self._said.read().decode(errors="replace")
        self._said.seek(0)
        self._said.truncate()
        return text

    def kill(self) -> None:
        """Ends the process at once, in the middle of a job."""
        self._process.kill()

    def _end(self) -> str:
        """Ends the process; how it ended."""
        said = self.said()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue
        status = self._process.wait()
        self._said.close()
        return f"the compiler's process ended with status {status}\n{said}".strip()


class Workers(Generic[JobT, AnswerT]):
    """The processes of one kind that belong to this process: at most ``most``, and not more than there are cores."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._idle: list[Worker[JobT, AnswerT]] = []
        self._busy: set[Worker[JobT, AnswerT]] = set()
        self._lock = Lock()
        self._owner = os.getpid()

    @property
    def limit(self) -> int:
        """How many processes there may be."""
        return min(self._most, available_cores())

    @property
    def are_there(self) -> bool:
        """Whether any process was started by this one."""
        return self._owner == os.getpid() and bool(self._idle or self._busy)

    def start(self, program: Program, count: int) -> None:
        """Makes sure of ``count`` processes before there are jobs for them: starting takes part of a second."""
        with self._lock:
            self._forget_parents()
            for _ in range(min(count, self.limit) - len(self._idle) - len(self._busy)):
                self._idle.append(Worker(program))

    def run(
        self, program: Program, jobs: Iterable[JobT], title: str, seconds: float | None = None
    ) -> Iterator[tuple[int, AnswerT | EndedError, str]]:
        """Runs the jobs, several at once, each as soon as it is known.

        Yields each one's number, its answer, and what the process said.

        An interrupt, or an iteration that is given up, ends the processes that are at work.
        """
        from tqdm import tqdm  # nobody waits for it who compiles nothing

        with ThreadPoolExecutor(self.limit) as threads:
            pending: dict[Future[tuple[AnswerT | EndedError, str]], int] = {}
            at_work: set[Worker[JobT, AnswerT]] = set()  # for this call; others may have processes at work, too
            bar = tqdm(desc=title, delay=PROGRESS_AFTER, leave=False, file=sys.stderr, disable=None)
            try:
                for number, job in enumerate(jobs):
                    pending[threads.submit(self._run_one, program, job, seconds, at_work)] = number
                bar.total = len(pending)
                for done in as_completed(pending):
                    bar.update()
                    yield pending[done], *done.result()
            finally:
                bar.close()
                for future in pending:
                    future.cancel()
                with self._lock:
                    for worker in at_work:
                        worker.kill()

    def _run_one(
        self, program: Program, job: JobT, seconds: float | None, at_work: set[Worker[JobT, AnswerT]]
    ) -> tuple[AnswerT | EndedError, str]:
        while True:
            worker = self._take(program, at_work)
            try:
                answer = worker.run(job, seconds)
            except EndedError as error:
                with self._lock:
                    self._busy.discard(worker)
                    at_work.discard(worker)
                if worker.jobs > 1:
                    continue  # it may have ended before the job came; a new one tells
                return error, ""
            said = worker.said()
            with self._lock:
                self._busy.discard(worker)
                at_work.discard(worker)
                self._idle.append(worker)
            return answer, said

    def _take(self, program: Program, at_work: set[Worker[JobT, AnswerT]]) -> Worker[JobT, AnswerT]:
        with self._lock:
            self._forget_parents()
            worker = self._idle.pop() if self._idle else Worker[Any, Any](program)
            self._busy.add(worker)
            at_work.add(worker)
            return worker

    def _forget_parents(self) -> None:
        """After a fork the processes belong to the parent."""
        if self._owner != os.getpid():
            self._idle.clear()
            self._busy.clear()
            self._owner = os.getpid()


def available_cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
