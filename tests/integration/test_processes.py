"""Processes: a forked child cannot use what its parent has opened, says so at once, and ends; a spawned one can."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conftest import devices

# A child that has not ended then hangs in a driver.
HANGS_AFTER = 60

pytestmark = pytest.mark.skipif(
    "opencl:0" not in devices() or not hasattr(os, "fork"), reason="there is no OpenCL device, or no fork"
)


def run(code, tmp_path, device="opencl"):
    """What a script prints; it must succeed, and in time."""
    script = tmp_path / "script.py"  # spawned processes import it again
    script.write_text(code)
    environment = {**os.environ, "LAZYGRAD_DEVICE": device}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=HANGS_AFTER
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Error" not in done.stderr, done.stderr
    return done.stdout.splitlines()


FORK = """
import os, sys, threading, time
import lazygrad as lg

def forked(function):
    sys.stdout.flush()
    child = os.fork()
    if not child:
        function()
        sys.exit(7)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            print("ended", os.waitstatus_to_exitcode(status))
            return
        time.sleep(0.01)
    os.kill(child, 9)
    print("hangs")

def refused(function):
    try:
        function()
        print("computed")
    except RuntimeError as error:
        print("refused" if "spawn" in str(error) and "numpy" in str(error) else error)
"""


def test_a_forked_child_is_told_at_once_and_its_parent_goes_on(tmp_path):
    code = f"""{FORK}
x = lg.rand(64, 64)
y = (x @ x).sum()
there = y.item()
lazy, on_host = x * 2, lg.ones(3, device="numpy")
lg.realize(x @ x)  # the device may be at work

def child():
    for touch in (lazy.numpy, x.numpy, lambda: lg.ones(2), lambda: lg.tensor([1.0]), lambda: lg.ones(2, device="opencl"),
                  lambda: lg.ones(2, device="opencl:0"), lambda: x.to("opencl:0").sum().item()):
        refused(touch)
    print((on_host + 1).sum().item(), len(lg.rand(2, device="numpy").tolist()))

forked(child)
print((x @ x).sum().item() == there, lazy.sum().item() > 0)
"""
    lines = run(code, tmp_path)
    assert lines == ["refused"] * 7 + ["6.0 2", "ended 7", "True True"]


def test_a_child_forked_while_the_device_works(tmp_path):
    """Other threads hold the locks of lazygrad and of the driver at the moment of the fork."""
    code = f"""{FORK}
lg.set_default_device("numpy")
stop = threading.Event()

def work(device, seed):
    generator = lg.Generator()
    while not stop.is_set():
        x = lg.rand(32, 32, device=device, generator=generator)
        (x @ x).sum().item()

threads = [threading.Thread(target=work, args=(device, 1)) for device in ("opencl", "numpy")]
for thread in threads:
    thread.start()
time.sleep(1)

def child():
    x = lg.rand(4, 4, device="numpy", requires_grad=True)
    (x * x).sum().backward()
    assert x.grad.sum().item() > 0

for _ in range(10):
    forked(child)
stop.set()
for thread in threads:
    thread.join()
"""
    assert run(code, tmp_path) == ["ended 7"] * 10


def test_a_child_forked_before_the_first_use_opens_devices(tmp_path):
    code = f"""{FORK}
def child():
    print(lg.ones(2, 3).sum().item())

forked(child)
print(lg.ones(2, 2).sum().item())
"""
    assert run(code, tmp_path) == ["6.0", "ended 7", "4.0"]


def test_looking_for_devices_is_a_use(tmp_path):
    code = f"""{FORK}
from lazygrad.runtime import registry
registry.backend("opencl").devices()
forked(lambda: refused(lambda: lg.ones(2).sum().item()))
"""
    assert run(code, tmp_path) == ["refused", "ended 7"]


def test_locks_that_other_threads_hold_are_free_in_the_child(tmp_path):
    code = f"""{FORK}
from lazygrad.runtime import registry, statistics
from lazygrad.tensor import gradient, random
device = registry.device("numpy:0")

def child():
    x = lg.rand(3, requires_grad=True)
    for _ in range(2):
        x.sum().backward()
    print(x.grad.tolist(), statistics.sums().kernels_built, registry.device("numpy") is device)

for lock in (statistics._lock, random._lock, registry._lock, gradient._accumulating, device.lock):
    held = threading.Event()

    def holds(lock, held):
        with lock:
            held.set()
            time.sleep(0.3)

    thread = threading.Thread(target=holds, args=(lock, held))
    thread.start()
    held.wait()
    forked(child)
    thread.join()
"""
    assert run(code, tmp_path, "numpy") == ["[2.0, 2.0, 2.0] 0 True", "ended 7"] * 5


def test_what_a_child_leaves_behind_is_neither_finished_nor_destroyed(tmp_path):
    code = f"""{FORK}
from lazygrad.runtime import forking, registry
from lazygrad.runtime.device import EvaluatingDevice
from_host = lambda self: None
abstract = {{name: from_host for name in ("from_host", "to_host", "synchronize", "evaluate")}}

class Driven(type("Driven", (EvaluatingDevice,), abstract)):
    name = "driven:0"

    def __del__(self):
        os.write(1, b"destroyed in parent\\n" if os.getpid() == parent else b"destroyed in child\\n")

parent = os.getpid()
registry._opened["driven:0"] = Driven()
forking.at_exit(lambda: print("finished in", "parent" if os.getpid() == parent else "child", flush=True))
forked(lambda: refused(lambda: registry.device("driven:0")))
registry._opened.clear()
"""
    lines = run(code, tmp_path, "numpy")
    assert lines == ["refused", "ended 7", "destroyed in parent", "finished in parent"]


MULTIPROCESSING = """
import multiprocessing
import lazygrad as lg

def doubled(x):
    return x * 2, str(x.device)

def attempt(_):
    try:
        return lg.ones(2, device="opencl").sum().item()
    except RuntimeError as error:
        return "refused" if "spawn" in str(error) else str(error)

if __name__ == "__main__":
    x = lg.tensor([1.0, 2.0])
    x.sum().item()
    with multiprocessing.get_context(METHOD).Pool(2) as pool:
        print(*pool.map(attempt, range(2)))
        if METHOD == "spawn":
            for y, device in pool.map(doubled, [x, x + 1]):
                print(y.tolist(), device, y.device)
        pool.close()
        pool.join()
    print(x.tolist())
"""


def test_tensors_travel_to_spawned_processes_and_back(tmp_path):
    lines = run(MULTIPROCESSING.replace("METHOD", repr("spawn")), tmp_path)
    assert lines == ["2.0 2.0", "[2.0, 4.0] opencl:0 opencl:0", "[4.0, 6.0] opencl:0 opencl:0", "[1.0, 2.0]"]


def test_processes_of_multiprocessing_that_are_forked(tmp_path):
    assert run(MULTIPROCESSING.replace("METHOD", repr("fork")), tmp_path) == ["refused refused", "[1.0, 2.0]"]
