"""Alternatives of generated kernels: all compute the same, compile, and are chosen as the tuner says."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import lazygrad as lg
from lazygrad.runtime import HEURISTIC, device
from lazygrad.runtime.tuning import Winners
from lazygrad.runtime.tuning_trials import Compiling, Refused, Started, Timed, trials
from lazygrad_triton import versions

if versions.installed_version() is None:
    pytest.skip("Triton is not installed", allow_module_level=True)

from backends.triton.cuda_objects import Status
from backends.triton.fake_cuda import FakeCuda
from backends.triton.handwritten import open_device
from backends.triton.planned import CAPABILITIES, HOPPER, kernels_of
from lazygrad_triton.compiling import Compiler, Request
from lazygrad_triton.interpreting import InterpretingDevice
from lazygrad_triton.signature import signature
from lazygrad_triton.source import alternatives, generate


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYGRAD_CACHE", str(tmp_path))
    monkeypatch.delenv("LAZYGRAD_TUNE", raising=False)


def rand(*shape):
    return lg.rand(*shape).realize()


def gathered():
    return lg.nn.functional.embedding(lg.randint(0, 7, (40,)).realize(), rand(7, 33))


def scattered():
    x = rand(7, 33).requires_grad_()
    lg.nn.functional.embedding(lg.randint(0, 7, (40,)).realize(), x).sum().backward()
    return x.grad


CASES = {
    "pointwise": lambda: lg.log(rand(37, 50)) * 2,
    "transposed": lambda: rand(150, 70).T.contiguous() + 1,
    "random": lambda: lg.rand(3000),
    "softmax": lambda: rand(20, 300).softmax(1),
    "columns": lambda: rand(300, 70).sum(0),
    "long": lambda: rand(3, 20_000).amax(1),
    "argmax": lambda: rand(30, 100).argmax(1),
    "layer_norm": lambda: lg.nn.functional.layer_norm(rand(12, 70), (70,)),
    "product": lambda: (rand(70, 90) @ rand(90, 50)).relu(),
    "batched": lambda: rand(3, 40, 32).to(lg.float16) @ rand(3, 32, 24).to(lg.float16),
    "double": lambda: rand(40, 40).to(lg.float64) @ rand(40, 20).to(lg.float64),
    "convolution": lambda: lg.nn.functional.conv2d(rand(2, 8, 9, 9), rand(16, 8, 3, 3), padding=1),
    "narrow": lambda: rand(50, 60) @ rand(60, 2),
    "gather": gathered,
    "scatter": scattered,
}


@pytest.mark.parametrize("case", CASES)
def test_all_alternatives_compute_the_same(case):
    opened = InterpretingDevice()
    tuned = 0
    for kernel in dict.fromkeys(kernels_of([CASES[case]()], opened.capabilities)):
        found = opened.alternatives(kernel)
        assert found[0] == HEURISTIC
        texts = {(source.text, source.launches) for source in (generate(kernel, opened.capabilities, a) for a in found)}
        assert len(texts) == len(found) or len(kernel.bodies) > 1  # none is tried twice
        tried = [0, *range(1, len(found), 3)]  # the interpreter is slow
        said = list(trials(opened, kernel, found, tried))
        assert [each.number for each in said if isinstance(each, Timed)] == tried, said
        tuned += len(found) > 1
    assert tuned or case == "scatter"


def test_several_bodies_change_together():
    opened = InterpretingDevice()
    x = rand(4000)
    kernels = kernels_of([x + 1, x[:3000].exp()], opened.capabilities)
    (kernel,) = [each for each in kernels if len(each.bodies) == 2] or [None]
    if kernel is None:
        pytest.fail(f"{[len(each.bodies) for each in kernels]} bodies: the scheduler joins these no more")
    found = opened.alternatives(kernel)
    assert all(len(each) == 2 for each in found[1:])
    said = list(trials(opened, kernel, found, (0, 1, len(found) - 1)))
    assert not [each for each in said if isinstance(each, Refused)]


def test_the_text_is_that_of_the_alternative():
    opened = InterpretingDevice()
    (kernel,) = kernels_of([rand(64, 64) @ rand(64, 64)], opened.capabilities)
    alternative = ((16, 32, 16, 2, 4),)
    text = generate(kernel, opened.capabilities, alternative)
    assert "tiles of 16 x 32 x 16" in text.text
    assert (text.launches[0].warps, text.launches[0].stages) == (2, 4)
    assert generate(kernel, opened.capabilities, HEURISTIC) == generate(kernel, opened.capabilities)
    assert opened.source(kernel) == generate(kernel, opened.capabilities).text
    opened.compile_alternatives([kernel], [alternative])
    assert opened.source(kernel) == text.text  # what runs


def test_alternatives_compile_and_fit():
    a, b = (rand(2048, 2048).to(lg.bfloat16).realize() for _ in range(2))
    capabilities = CAPABILITIES[HOPPER]
    (kernel,) = kernels_of([a @ b], capabilities)
    chosen = alternatives(kernel, capabilities)[1::10]
    assert len(chosen) > 2
    requests = [Request(kernel.name, generate(kernel, capabilities, each), signature(kernel)) for each in chosen]
    for (binary,) in Compiler(HOPPER).build(requests):
        assert binary.shared <= capabilities.machine.local_memory


# ---- on CUDA's driver in memory


@pytest.fixture
def cuda():
    fake = FakeCuda()
    yield fake
    if fake.raised is not None:
        raise fake.raised


def test_trials_are_timed_by_the_devices_own_clock(cuda, monkeypatch):
    monkeypatch.setattr(cuda, "cuEventElapsedTime", lambda start, end: (Status.CUDA_SUCCESS, 2.5))
    cuda.devices = ({**cuda.devices[0], "L2_CACHE_SIZE": 64 * 1024},)
    opened = open_device(None, cuda)
    (kernel,) = kernels_of([rand(500) * 2], opened.capabilities)
    found = opened.alternatives(kernel)
    said = list(trials(opened, kernel, found, (0, 2)))
    assert said[:2] == [Compiling(), Started(0)]
    assert [each for each in said if isinstance(each, Timed)] == [Timed(0, 0.0025), Timed(2, 0.0025)]
    names = [name for name, _ in cuda.launches]
    assert names.count("flush_kernel") >= 8  # before each timed run
    assert {name for name in names if name != "flush_kernel"} == {f"{kernel.name}_kernel"}


def test_a_launch_that_fails_is_not_trusted_with_more(cuda):
    opened = open_device(None, cuda)
    (kernel,) = kernels_of([rand(500) * 2], opened.capabilities)
    cuda.fail("cuLaunchKernel", Status.CUDA_ERROR_ILLEGAL_ADDRESS)
    *_, last = trials(opened, kernel, opened.alternatives(kernel), (0, 1, 2))
    assert isinstance(last, Refused)
    assert (last.number, last.ruined) == (0, True)
    assert "ILLEGAL_ADDRESS" in last.reason


# ---- the whole way

_PROGRAM = """
import lazygrad as lg
x = lg.tensor([[float(i * j % 7) for i in range(24)] for j in range(40)], device="triton:interpret")
print((x * 2).sum(1).tolist())
"""


def run(**environment):
    everything = {**os.environ, "LAZYGRAD_DEVICE": "triton:interpret", **environment}
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, env=everything)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_a_program_is_tuned_once(tmp_path):
    plain = run()
    folder = Winners(device("triton:interpret"))._store.folder
    assert not list(folder.iterdir())
    assert run(LAZYGRAD_TUNE="1") == plain
    (winner,) = folder.iterdir()
    written = winner.stat().st_mtime_ns
    found = json.loads(winner.read_bytes().split(b"\n", 1)[1][32:])
    assert found["kernel"] == "mul_sum"
    assert len(found["seconds"]) > 3
    assert run(LAZYGRAD_TUNE="1") == plain
    assert run() == plain
    assert winner.stat().st_mtime_ns == written
