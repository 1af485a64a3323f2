"""lazygrad.compile(memory_budget=...): the same numbers in less memory, or an error that says how much it takes."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy
import pytest

import lazygrad as lg
from integration.interpreted_device import opened
from lazygrad.capture import MemoryBudgetError
from lazygrad.runtime import compiled, statistics
from lazygrad.runtime.memory_size import parse_size

DEPTH, ROWS, WIDTH = 8, 256, 32


@pytest.fixture(params=["interpreted:0", "opencl:0"], autouse=True)
def chosen(request):
    with opened() if request.param == "interpreted:0" else nullcontext():
        lg.set_default_device(request.param)
        yield request.param
        lg.set_default_device(None)


class Training:
    def __init__(self, budget):
        lg.manual_seed(7)
        layers = []
        for _ in range(DEPTH):
            layers += [lg.nn.Linear(WIDTH, WIDTH), lg.nn.Tanh(), lg.nn.Dropout(0.1)]
        self.model = lg.nn.Sequential(*layers)
        self.optimizer = lg.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.step = lg.compile(self._step, memory_budget=budget)
        generator = numpy.random.default_rng(2)
        self.x, self.y = (lg.tensor(generator.standard_normal((ROWS, WIDTH)).astype(numpy.float32)) for _ in "xy")

    def _step(self, x, y):
        self.optimizer.zero_grad()
        loss = lg.nn.functional.mse_loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def run(self):
        """Losses and weights after some steps, the arena and the number of launches."""
        losses = [self.step(self.x, self.y).numpy() for _ in range(3)]
        (report,) = self.step.explain().variants
        found = [*losses, *(p.detach().numpy() for p in self.model.parameters())]
        return found, report.arena, len(report.kernels), report


def least():
    with pytest.raises(MemoryBudgetError) as caught:
        Training(1).run()
    return caught.value.minimum


def test_a_budget_changes_memory_and_no_bit():
    plain, arena, kernels, _ = Training(None).run()
    same, same_arena, same_kernels, _ = Training("1G").run()
    less, less_arena, more_kernels, _ = Training(least()).run()
    assert (same_arena, same_kernels) == (arena, kernels)
    assert less_arena < 0.7 * arena
    assert kernels < more_kernels < 3 * kernels
    for ours, others, theirs in zip(less, same, plain, strict=True):
        numpy.testing.assert_array_equal(ours, theirs)
        numpy.testing.assert_array_equal(others, theirs)


def test_a_step_that_does_not_fit_has_changed_nothing():
    training = Training(least() - 1)
    before = [p.detach().numpy() for p in training.model.parameters()]
    with pytest.raises(MemoryBudgetError, match="the least that the program can do with is"):
        training.step(training.x, training.y)
    for old, parameter in zip(before, training.model.parameters(), strict=True):
        numpy.testing.assert_array_equal(parameter.detach().numpy(), old)
        assert parameter.grad is None


def test_a_budget_is_part_of_what_identifies_a_schedule(chosen):
    budget = least()
    compiled._EXECUTABLES.pop(chosen, None)
    Training(None).run()
    compiled_before = len(compiled._EXECUTABLES[chosen])
    Training(budget).run()
    assert len(compiled._EXECUTABLES[chosen]) == compiled_before + 1
    with statistics.counting() as counted:
        Training(budget).run()
        Training(None).run()
    assert counted.schedules_made == 0
    assert len(compiled._EXECUTABLES[chosen]) == compiled_before + 1


SCRIPT = """
import json, sys
sys.path.insert(0, TESTS)
import lazygrad as lg
from unit.capture.test_memory_budget import Training
from lazygrad.runtime import statistics

lg.set_default_device("opencl:0")
found, _, _, report = Training(BUDGET).run()
print(json.dumps({
    "found": [array.tobytes().hex() for array in found], "kernels": report.kernels, "arena": report.arena,
    "made": statistics.sums().schedules_made, "heavy": "lazygrad.schedule.rematerialization" in sys.modules,
}))
"""


def in_a_new_process(cache, budget):
    script = SCRIPT.replace("TESTS", repr(str(Path(__file__).parents[2]))).replace("BUDGET", repr(budget))
    own = {**os.environ, "LAZYGRAD_CACHE": str(cache)}
    done = subprocess.run([sys.executable, "-c", script], env=own, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_schedules_within_a_budget_are_kept_on_disk(chosen, tmp_path):
    if chosen == "interpreted:0":
        pytest.skip("keeps no programs")
    budget = least()
    first = in_a_new_process(tmp_path, budget)
    second = in_a_new_process(tmp_path, budget)
    assert (first.pop("made") > 0, second.pop("made")) == (True, 0)
    assert (first.pop("heavy"), second.pop("heavy")) == (True, False)
    assert first == second


@pytest.mark.parametrize("wrong", ["", "M", "-5", "5 apples", 0, -1, 2.5, True])
def test_what_is_no_size_is_refused(wrong):
    with pytest.raises(ValueError, match="size of memory"):
        lg.compile(lambda: None, memory_budget=wrong)


def test_sizes_are_read():
    assert [parse_size(s) for s in (7, "7", "2k", "1 KiB", "0.5MB", "3T")] == [7, 7, 2048, 1024, 2**19, 3 * 2**40]
