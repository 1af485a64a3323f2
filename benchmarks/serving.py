"""What a worker process does: reads requests from its standard input, one JSON a line, and answers in the same way.

    {"kind": "row", "row": "add", "what": "values", "tiny": false}  ->  {"passed": true}  {"done": true}

It belongs to one contestant. Libraries print what they like: the stream of answers is taken out of their reach first.
When whoever asks is gone, the process ends with all that it started, even in the middle of an answer.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from benchmarks import checkout
from benchmarks.contestants import Contestant, parse

if TYPE_CHECKING:  # what else a process imports depends on what it is asked
    from benchmarks.frameworks import Framework
    from benchmarks.measuring import Prepared
    from benchmarks.workloads import Workload

Say = Callable[[dict[str, Any]], None]


class Server:
    """Answers requests; each kind of request is a method. Keeps the framework, and the workload that is measured."""

    def __init__(self, contestant: Contestant, say: Say) -> None:
        self._contestant = contestant
        self._say = say
        self._framework: Framework | None = None
        self._prepared: Prepared | None = None

    def answer(self, request: dict[str, Any]) -> None:
        """One request's answers."""
        KINDS[request["kind"]](self, request)

    @property
    def framework(self) -> Framework:
        """Opened when it is first asked for."""
        if self._framework is None:
            self._framework = self._contestant.framework()
        return self._framework

    # ---- what is there

    def describe(self, request: dict[str, Any]) -> None:
        """Versions, and lazygrad's device if it can be opened."""
        from benchmarks.machine import describe

        for found in describe(self._contestant):
            self._say(found)

    def ceilings(self, request: dict[str, Any]) -> None:
        """See ``benchmarks.ceilings``."""
        from benchmarks.ceilings import ceilings

        for found in ceilings(self._contestant, request["precisions"], request["tiny"]):
            self._say(found)

    # ---- a workload, round by round

    def prepare(self, request: dict[str, Any]) -> None:
        """Builds a workload, runs its first steps, and writes what they computed to a file."""
        import gc

        from benchmarks.measuring import Prepared, memory, write_results
        from benchmarks.workloads import named

        self.forget({})
        framework = self.framework
        workload = named(request["workload"], request["tiny"])
        before = framework.counters()
        gc.collect()
        prepared = Prepared(framework, workload, request.get("precision") or workload.precision, memory() or 0.0)
        found, first = prepared.compute()
        if request["results"]:
            write_results(found, Path(request["results"]))
        del found
        counters = {k: n - before[k] for k, n in framework.counters().items() if n != before[k]}
        self._prepared = prepared
        self._say({"first_seconds": first, "counters": counters})

    def warm_up(self, request: dict[str, Any]) -> None:
        """Before the first round."""
        assert self._prepared is not None
        self._prepared.warm_up(request["round_seconds"])

    def round(self, request: dict[str, Any]) -> None:
        assert self._prepared is not None
        self._say(self._prepared.round())

    def figures(self, request: dict[str, Any]) -> None:
        """What else is known of the workload; ends it."""
        assert self._prepared is not None
        self._say(self._prepared.figures())
        self.forget({})

    def launches(self, request: dict[str, Any]) -> None:
        """How often a step launches something, where torch's profiler can tell; slows down what follows."""
        assert self._prepared is not None
        self._say({"launches": self.framework.launches(self._prepared.run.step)})

    def forget(self, request: dict[str, Any]) -> None:
        """Drops the workload."""
        if self._prepared is not None:
            self._prepared = None
            self.framework.release()

    # ---- figures of processes of their own

    def cost(self, request: dict[str, Any]) -> None:
        """See ``benchmarks.costs``."""
        from benchmarks import costs

        self._say(getattr(costs, request["function"])(self._contestant, self._workload(request)))

    def profile(self, request: dict[str, Any]) -> None:
        """See ``benchmarks.profiling``."""
        from benchmarks.profiling import profile

        workload = self._workload(request)
        assert workload is not None
        self._say(profile(workload, self._contestant.place))

    def _workload(self, request: dict[str, Any]) -> Workload | None:
        from benchmarks.workloads import named

        return named(request["workload"], request["tiny"]) if request["workload"] else None

    # ---- the conformance table

    def rows(self, request: dict[str, Any]) -> None:
        """The names of the conformance table's rows, and which have gradients."""
        from lazygrad.testing import conformance

        self._say({"rows": [(row.name, row.gradients) for row in conformance.rows()]})

    def row(self, request: dict[str, Any]) -> None:
        """One row of it.

        Whatever goes wrong is the row's problem, unless the device answers no more: that is an error.
        """
        from lazygrad import runtime
        from lazygrad.ir.dtype import bool_, float32, int64
        from lazygrad.testing import conformance

        found, name = conformance.row_named(request["row"]), runtime.canonical_device(self._contestant.place)
        try:
            if request["what"] == "values":
                conformance.run_row(found, name, [float32, int64, bool_] if request["tiny"] else None)
            else:
                conformance.run_row_gradients(found, name, [float32])
        except conformance.ConformanceError as error:
            self._say({"problem": str(error)})
        except Exception as error:
            runtime.device(name).synchronize()
            self._say({"problem": f"raised {type(error).__name__}: {error}"})
        else:
            self._say({"passed": True})


KINDS: dict[str, Callable[[Server, dict[str, Any]], None]] = {
    handler.__name__: handler
    for handler in (
        Server.describe, Server.ceilings, Server.prepare, Server.warm_up, Server.round, Server.figures,
        Server.launches, Server.forget, Server.cost, Server.profile, Server.rows, Server.row,
    )
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contestant", required=True)
    contestant = parse(parser.parse_args().contestant)
    contestant.restrict()
    # A group of its own, so that it can be ended together with compilers that it starts.
    os.setpgid(0, 0)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_read, args=(sys.stdin, requests), daemon=True).start()
    checkout.prepare()

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    server = Server(contestant, say)
    while (request := requests.get())["kind"] != "end":
        try:
            server.answer(request)
        except Exception as error:
            traceback.print_exc()
            say({"error": f"{type(error).__name__}: {error}"})
        else:
            say({"done": True})


def _read(lines: IO[str], requests: queue.Queue[dict[str, Any]]) -> None:
    for line in lines:
        request = json.loads(line)
        requests.put(request)
        if request["kind"] == "end":
            return
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
