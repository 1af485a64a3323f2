"""Libraries that PoCL would load anew at each launch are held, once there are more than it keeps loaded."""

import ctypes

import pytest

from lazygrad_opencl import loaded_code
from lazygrad_opencl.loaded_code import KEPT_BY_POCL, LoadedCode


@pytest.fixture
def opened(monkeypatch):
    """The libraries that were opened."""
    paths = []
    monkeypatch.setattr(ctypes, "CDLL", lambda path: paths.append(path) or path)
    return paths


def machine_code(folder, kernel):
    """As PoCL leaves it; one of the variants of a launch was never asked for."""
    variant = folder / kernel / "1-1-1-goffs0-smallgrid"
    variant.mkdir(parents=True)
    (folder / kernel / "0-0-0").mkdir()
    path = variant / f"{kernel}.so"
    path.write_bytes(b"machine code")
    return str(path)


def test_few_kernels_are_left_to_the_driver(tmp_path, opened):
    code = LoadedCode(tmp_path)
    for number in range(KEPT_BY_POCL):
        machine_code(tmp_path, f"kernel{number}")
        code.launched(f"kernel{number}")
        code.hold()
    assert not opened


def test_many_kernels_are_held(tmp_path, opened):
    code = LoadedCode(tmp_path)
    paths = [machine_code(tmp_path, f"kernel{number}") for number in range(KEPT_BY_POCL + 1)]
    for number in range(len(paths)):
        code.launched(f"kernel{number}")
    assert not opened  # loading takes time, which nobody has while work is submitted
    code.hold()
    assert sorted(opened) == sorted(paths)
    code.hold()
    assert len(opened) == len(paths)
    late = machine_code(tmp_path, "late")
    code.launched("late")
    code.hold()
    assert opened[len(paths) :] == [late]


def test_a_kernel_that_has_not_run_yet_is_held_later(tmp_path, opened):
    code = LoadedCode(tmp_path)
    for number in range(KEPT_BY_POCL + 1):
        code.launched(f"kernel{number}")
    code.hold()
    assert not opened
    path = machine_code(tmp_path, "kernel7")
    code.hold()
    assert opened == [path]


def test_what_cannot_be_loaded_is_left_alone(tmp_path):
    code = LoadedCode(tmp_path)
    for number in range(KEPT_BY_POCL + 1):
        machine_code(tmp_path, f"kernel{number}")
        code.launched(f"kernel{number}")
    code.hold()
    assert not code.held


def test_there_is_an_end_to_it(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(loaded_code, "MOST_HELD", KEPT_BY_POCL)
    code = LoadedCode(tmp_path)
    for number in range(3 * KEPT_BY_POCL):
        machine_code(tmp_path, f"kernel{number}")
        code.launched(f"kernel{number}")
        code.hold()
    assert len(opened) == KEPT_BY_POCL + 1
