"""The process in which alternatives are tried: ``python -c`` with ``main``, started by ``tuning_process``.

In, on the standard input: the device's name, then jobs, both pickled. Out, on the standard output: lines of JSON, each
an object whose ``answer`` is "ready", "compiling", "started", "timed", "refused" or "done". The process ends when its
input does, even while the device hangs, and after a trial that may have ruined the device.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any, NamedTuple

from lazygrad.kernel.kernel import Kernel
from lazygrad.runtime import registry
from lazygrad.runtime.device import Alternative, CompilingDevice
from lazygrad.runtime.tuning_trials import Refused, trials


class Job(NamedTuple):
    """A kernel, its alternatives, and the numbers of those that are to be tried."""

    kernel: Kernel
    alternatives: tuple[Alternative, ...]
    numbers: tuple[int, ...]


def main() -> None:
    """Answers jobs until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what compilers print is no answer

    def say(answer: str, **what: Any) -> None:
        print(json.dumps({"answer": answer, **what}), file=answers, flush=True)

    # Not sys.stdin, which Python cannot close at its end while a thread reads from it.
    given = os.fdopen(os.dup(0), "rb")
    name = pickle.load(given)
    jobs: SimpleQueue[Job] = SimpleQueue()
    Thread(target=_receive, args=(given, jobs), daemon=True).start()
    device = registry.device(name)
    if not isinstance(device, CompilingDevice):
        raise TypeError(f"{name} compiles nothing")
    say("ready")
    while True:
        job = jobs.get()
        ruined = False
        for answer in trials(device, job.kernel, job.alternatives, job.numbers):
            ruined = isinstance(answer, Refused) and answer.ruined
            say(type(answer).__name__.lower(), **answer._asdict())
        if ruined:
            answers.flush()
            os._exit(1)  # the driver's own end would wait for the device
        say("done")
        device.pool.empty_cache()


def _receive(given: IO[bytes], jobs: SimpleQueue[Job]) -> None:
    try:
        while True:
            jobs.put(pickle.load(given))
    except EOFError:
        os._exit(0)  # nobody is there any more
