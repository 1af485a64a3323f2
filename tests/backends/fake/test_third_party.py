"""A backend that somebody else publishes: found by its entry point, used by its name, harmless when it is broken.

The packages beside this file are installed as a user would install them, each into a folder of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def install(tmp_path_factory):
    """Installs one of the packages into a new folder, once, and returns the folder."""
    folders = {}

    def installed(name):
        if name not in folders:
            folder = tmp_path_factory.mktemp(f"installed_{name}")
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
                       "--disable-pip-version-check", "--target", str(folder), str(HERE / name)]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
            if done.returncode:
                pytest.skip(f"pip cannot install here: {done.stderr[-500:]}")
            folders[name] = folder
        return folders[name]

    return installed


def run(code, *folders, device="fake"):
    """What a script prints in a new interpreter that sees the folders; the script must succeed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders)), "LAZYGRAD_DEVICE": device}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_is_found_and_computes(install):
    code = """
import lazygrad as lg
x = lg.tensor([1.0, 2.0], requires_grad=True)
print(x.device, x.grad_fn)
(x * x).sum().backward()
print(x.grad.tolist(), x.grad.device)
from lazygrad.runtime import device
print(device("fake:0").evaluated > 0)
"""
    lines = run(code, install("package")).splitlines()
    assert lines[0].startswith("fake:0")
    assert lines[1:] == ["[2.0, 4.0] fake:0", "True"]


def test_its_devices_are_numbered(install):
    code = """
import lazygrad as lg
x = lg.ones(2, device="fake:1")
print((x + 1).tolist(), x.device)
try:
    x + lg.ones(2, device="fake:0")
except RuntimeError as error:
    print(error)
try:
    lg.ones(2, device="fake:2")
except RuntimeError as error:
    print(error)
"""
    lines = run(code, install("package")).splitlines()
    assert lines[0] == "[2.0, 2.0] fake:1"
    assert "fake:0" in lines[1]
    assert "fake:1" in lines[1]
    assert lines[2] == "there is no device 'fake:2'; there are fake:0 and fake:1"


def test_dtypes_it_lacks_are_refused(install):
    code = """
import lazygrad as lg
try:
    lg.tensor([1.0], dtype=lg.float64)
except TypeError as error:
    print(error)
"""
    assert run(code, install("package")) == "fake:0 (fake device 0) has no float64; it supports bool, float32, int64"


def test_it_passes_the_conformance_table(install):
    code = """
from lazygrad.testing import conformance
for name in ("add", "exp", "sum", "matmul", "reshape", "where"):
    conformance.run_row(conformance.row_named(name), "fake:0")
print("conforms")
"""
    assert run(code, install("package")) == "conforms"


def test_it_is_not_the_default_unless_asked_for(install):
    code = "import lazygrad as lg; print(lg.ones(1).device)"
    assert run(code, install("package"), device="numpy").startswith("numpy")
    unset = "import os; del os.environ['LAZYGRAD_DEVICE']; import lazygrad as lg; print(lg.ones(1).device)"
    assert not run(unset, install("package")).startswith("fake")


def test_a_backend_that_cannot_be_imported_is_no_obstacle(install):
    code = """
import lazygrad as lg
from lazygrad.runtime import available_backends
print("broken" in available_backends())
print(lg.ones(1).device)
try:
    lg.ones(1, device="broken")
except RuntimeError as error:
    print(error)
print((lg.ones(2) + 1).tolist())
"""
    lines = run(code, install("package")).splitlines()
    assert lines[0] == "True"
    assert lines[1].startswith("fake:0")
    expected = "backend 'broken' (lazygrad_fake.broken:backend) failed to import: ImportError: libfakedriver.so.7:"
    assert lines[2].startswith(expected)
    assert lines[3] == "[2.0, 2.0]"


def test_two_packages_with_one_name_are_told_apart(install):
    code = """
from lazygrad.runtime import available_backends
try:
    available_backends()
except RuntimeError as error:
    print(error)
"""
    printed = run(code, install("package"), install("rival"))
    assert "two installed packages provide a lazygrad backend named 'fake'" in printed
    assert "lazygrad_fake:backend" in printed
    assert "lazygrad_rival:backend" in printed
    assert "uninstall one of them" in printed


def test_a_backend_that_is_not_installed():
    code = """
import lazygrad as lg
try:
    lg.ones(1, device="nowhere")
except RuntimeError as error:
    print(error)
"""
    printed = run(code, device="numpy")
    assert "'nowhere'" in printed
    assert "available: numpy" in printed
