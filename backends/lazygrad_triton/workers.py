"""Compiler processes for Triton: jobs in, and for each what Triton made of it, in order.

A process that dies takes its job with it, which counts as refused, with what the process said last.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lazygrad.runtime.processes import EndedError, Program, Workers
from lazygrad_triton.worker import Compiled, Job, Refused

# More processes than these use more memory (200 MB each) than a few more cores are worth.
MOST_WORKERS = 16
# The compiler needs some of the package's files, and not the library.
_PROGRAM = Program("lazygrad_triton", str(Path(__file__).parent), "worker", {})


class TritonWorkers(Workers[Job, Compiled | Refused]):
    """The compiler processes of this process."""

    def __init__(self) -> None:
        super().__init__(MOST_WORKERS)

    def compile(self, jobs: Sequence[Job]) -> list[Compiled | Refused]:
        """Compiles the jobs, several at once."""
        answers: dict[int, Compiled | Refused] = {}
        for number, answer, said in self.run(_PROGRAM, jobs, "lazygrad compiles kernels"):
            if isinstance(answer, EndedError):
                answers[number] = Refused(str(answer))
            elif isinstance(answer, Refused):
                answers[number] = Refused(f"{answer.message}\n{said}".strip())
            else:
                answers[number] = answer
        return [answers[number] for number in range(len(jobs))]
