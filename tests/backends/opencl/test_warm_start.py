"""A second process finds schedules and programs on disk: it imports no scheduler and no code generator, compiles nothing,
and computes the same; whatever was done to the cache in between, at most it builds again.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lazygrad_opencl import backend

if not backend.devices():
    pytest.skip("there is no OpenCL device", allow_module_level=True)

from backends.opencl.handwritten import found_devices
from lazygrad.runtime.cache import sealed, unsealed
from lazygrad_opencl.driver_cache import PLATFORM_NAME

is_pocl = found_devices()[0].handle.platform.name == PLATFORM_NAME
# What only scheduling and code generation need.
HEAVY = (
    "lazygrad.schedule.plan",
    "lazygrad.passes",
    "lazygrad_opencl.source",
    "lazygrad.kernel.emit",
    "lazygrad.runtime.tuning",
)
BEGIN = """
import json, sys
import numpy
import lazygrad as lg
from lazygrad.runtime import statistics

"""
END = """
print(json.dumps({
    "result": w.detach().numpy().tobytes().hex(),
    "loss": loss.item(),
    "heavy": [name for name in HEAVY if name in sys.modules],
    "counted": {n: getattr(statistics.sums(), n) for n in statistics._NAMES},
}))
""".replace("HEAVY", repr(HEAVY))
SCRIPT = f"""{BEGIN}
x = lg.from_numpy(numpy.linspace(-1, 1, 64 * 24, dtype=numpy.float32).reshape(64, 24))
w = lg.from_numpy(numpy.linspace(-1, 1, 24 * 8, dtype=numpy.float32).reshape(24, 8)).requires_grad_()
for step in range(2):
    loss = lg.softmax(x[step:step + 32] @ w, 1).pow(2).sum()
    w.grad = None
    loss.backward()
    with lg.no_grad():
        w -= lg.argument(0.1) * w.grad
{END}"""
# One kernel: trials of many take long.
SMALL = f"""{BEGIN}
w = lg.arange(64, dtype=lg.float32) * 2
loss = w[3]
{END}"""


def environment(cache: Path, **more: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name not in ("POCL_CACHE_DIR", "LAZYGRAD_DEBUG")}
    own.update(LAZYGRAD_CACHE=str(cache), LAZYGRAD_DEVICE="opencl:0", **more)
    return own


def process(cache: Path, script: str = SCRIPT, **more: str) -> tuple[dict[str, Any], str]:
    """What a new process prints, and what it says on the standard error."""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(cache, **more), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def assert_nothing_was_made(found: dict[str, Any], kernels: int = 2) -> None:
    counted = found["counted"]
    made = [counted[name] for name in ("schedules_made", "programs_built", "kernels_built")]
    assert made == [0, 0, 0]
    assert counted["schedules_loaded"] >= 1
    assert counted["kernels_loaded"] >= kernels


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    """A cache that one process has filled, and what this process printed."""
    for _ in range(3):
        cache = tmp_path_factory.mktemp("first") / "cache"
        found, said = process(cache)
        assert said == ""
        assert found["counted"]["schedules_made"] >= 1
        if list(cache.glob("schedules/*")):
            return cache, found
        time.sleep(3)  # somebody has just edited lazygrad: nothing that it makes is kept
    pytest.skip("lazygrad's sources are being edited")


@pytest.fixture
def cache(first, tmp_path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(first[0], tmp_path / "cache"))


def files(cache: Path) -> dict[str, bytes]:
    return {str(path.relative_to(cache)): path.read_bytes() for path in cache.rglob("*") if path.is_file()}


def test_a_second_process_makes_nothing(first, cache):
    before = files(cache)
    found, said = process(cache)
    assert_nothing_was_made(found)
    assert found["heavy"] == []
    assert found["result"] == first[1]["result"]
    assert said == ""
    assert files(cache) == before  # nor does PoCL compile anything at the first launch


def test_watches_see_kernels_that_were_recalled(first, cache):
    found, said = process(cache, LAZYGRAD_VERIFY="1", LAZYGRAD_DEBUG="3")
    assert_nothing_was_made(found)
    assert found["result"] == first[1]["result"]
    assert "__kernel" in said  # the source
    assert "stage 0" in said  # the kernel
    assert "<string>" in said  # this process's own line


def test_nothing_is_recalled_for_another_machine_or_while_tuning(cache):
    process(cache, SMALL)
    assert_nothing_was_made(process(cache, SMALL)[0], kernels=1)
    for more in ({"LAZYGRAD_OPENCL_FLAVOUR": "gpu"}, {"LAZYGRAD_TUNE": "1"}):
        found, _ = process(cache, SMALL, **more)
        assert found["counted"]["schedules_loaded"] == 0
        assert found["counted"]["schedules_made"] >= 1


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        ("schedules/*", "truncated"),
        ("opencl/*/*.program", "removed"),
        ("opencl/*/*.code" if is_pocl else "opencl/*/*.binary", "truncated"),
        ("opencl/*/*.code" if is_pocl else "opencl/*/*.binary", "flipped"),
        ("opencl/*/*.code" if is_pocl else "opencl/*/*.binary", "removed"),
        ("sources/*", "empty"),
        ("**/*", "flipped"),
    ],
)
def test_damaged_entries_are_built_again(first, cache, pattern, damage):
    for path in [path for path in cache.glob(pattern) if path.is_file()]:
        data = path.read_bytes()
        middle = len(data) // 2
        if damage == "removed":
            path.unlink()
        else:
            path.write_bytes(
                {
                    "truncated": data[:middle],
                    "empty": b"",
                    "flipped": data[:middle] + bytes([data[middle] ^ 16]) + data[middle + 1 :],
                }[damage]
            )
    found, said = process(cache)
    assert found["result"] == first[1]["result"]
    lines = said.strip().split("\n")
    assert all("is damaged; it is built again" in line for line in lines if line)
    assert len(set(lines)) == len(lines)
    found, said = process(cache)
    assert_nothing_was_made(found)
    assert (found["result"], said) == (first[1]["result"], "")


def test_a_record_of_another_kind_is_made_again(first, cache):
    for path in cache.glob("schedules/*"):
        if path.name != "CACHEDIR.TAG":
            path.write_bytes(sealed(b'{"kernels": []}\n'))
    found, said = process(cache)
    assert found["result"] == first[1]["result"]
    assert "cannot be understood" in said
    assert_nothing_was_made(process(cache)[0])


@pytest.mark.skipif(not is_pocl, reason="only PoCL keeps files of its own")
def test_what_lies_in_the_drivers_folder_is_never_trusted(first, cache, tmp_path):
    own = tmp_path / "pocl"
    kernels = {json.loads(unsealed(path.read_bytes()))[1] for path in cache.glob("opencl/*/*.program")}
    assert kernels
    for kernel in kernels:
        folder = own / kernel / "1-1-1-goffs0-smallgrid"
        folder.mkdir(parents=True)
        (folder / f"{kernel}.so").write_bytes(b"\x7fELF and then nothing that could be loaded")
    found, said = process(cache, POCL_CACHE_DIR=str(own))
    assert (found["result"], said) == (first[1]["result"], "")
    assert_nothing_was_made(found)
    assert not list(own.glob("lazygrad-*"))  # the process's own folder below it is gone


@pytest.mark.skipif(not is_pocl, reason="only PoCL keeps files of its own")
def test_a_driver_that_other_code_has_loaded_keeps_files_where_nobody_checks(first, cache, tmp_path):
    before = files(cache)
    begin = "import pyopencl\nfor p in pyopencl.get_platforms(): pyopencl.Context(p.get_devices())\n"
    done = subprocess.run(
        [sys.executable, "-c", begin + SCRIPT], env=environment(cache, POCL_CACHE_DIR=str(tmp_path / "pocl")),
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["result"] == first[1]["result"]
    assert "PoCL was loaded before lazygrad" in done.stderr
    assert len(done.stderr.strip().split("\n")) == 1
    after = files(cache)
    assert {name: after[name] for name in before} == before
    assert_nothing_was_made(process(cache)[0])


@pytest.mark.parametrize("seconds", [0.5, 1.5])
def test_a_process_that_is_killed_leaves_nothing_that_harms(first, tmp_path, seconds):
    cache = tmp_path / "cache"
    killed = subprocess.Popen([sys.executable, "-c", SCRIPT], env=environment(cache), stdout=subprocess.DEVNULL)
    time.sleep(seconds)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    for _ in range(2):
        found, said = process(cache)
        assert (found["result"], said) == (first[1]["result"], "")
    assert_nothing_was_made(found)


def test_processes_that_start_together(first, tmp_path):
    cache = tmp_path / "cache"
    together = [
        subprocess.Popen([sys.executable, "-c", SCRIPT], env=environment(cache), text=True, stdout=-1, stderr=-1)
        for _ in range(2)
    ]
    for each in together:
        printed, said = each.communicate(timeout=120)
        assert said == ""
        assert json.loads(printed)["result"] == first[1]["result"]
    assert_nothing_was_made(process(cache)[0])
    assert not list(cache.rglob(".unfinished-*"))


def test_a_folder_that_others_can_write_is_not_used(first, cache):
    cache.chmod(0o777)
    found, said = process(cache)
    assert found["result"] == first[1]["result"]
    assert found["counted"]["schedules_loaded"] == 0
    assert said.count("can be written by other users") == 1
    cache.chmod(0o700)
    assert_nothing_was_made(process(cache)[0])


def test_a_cache_that_is_evicted_while_it_is_used(first, cache):
    found, said = process(cache, LAZYGRAD_CACHE_LIMIT="0")
    assert (found["result"], said) == (first[1]["result"], "")
    for path in list(cache.glob("opencl/*/*"))[::2]:
        path.unlink()
    found, said = process(cache, LAZYGRAD_CACHE_LIMIT="0")
    assert (found["result"], said) == (first[1]["result"], "")


class TestPacks:
    @pytest.fixture
    def pack(self, first, cache, tmp_path) -> Path:
        script, target = tmp_path / "script.py", tmp_path / "packs"
        script.write_text("import sys\nassert sys.argv[1:] == ['-o', 'b']\n" + SCRIPT)
        target.mkdir()
        done = lazygrad(cache, "pack", "-o", str(target), str(script), "-o", "b")
        assert done.returncode == 0, done.stderr
        assert "python -m lazygrad cache add script.lazygrad-pack" in " ".join(done.stdout.split())
        return target / "script.lazygrad-pack"

    def test_a_machine_that_adds_a_pack_makes_nothing(self, first, pack, tmp_path):
        new = tmp_path / "new"
        done = lazygrad(new, "cache", "add", str(pack))
        assert done.returncode == 0, done.stdout
        before = files(new)
        found, said = process(new)
        assert_nothing_was_made(found)
        assert (found["result"], said) == (first[1]["result"], "")
        assert files(new) == before
        verified = lazygrad(new, "cache", "verify")
        assert (verified.returncode, "all sound" in verified.stdout) == (0, True)

    def test_a_pack_for_another_machine_is_refused(self, pack, tmp_path):
        done = lazygrad(tmp_path / "new", "cache", "add", str(pack), LAZYGRAD_OPENCL_FLAVOUR="gpu")
        assert done.returncode == 1
        assert "is for another device" in done.stdout
        assert "flavour 'cpu' in the pack, 'gpu' here" in done.stdout
        assert not list((tmp_path / "new").glob("opencl/*/*"))

    def test_a_script_that_fails_gives_no_pack(self, cache, tmp_path):
        script = tmp_path / "script.py"
        for text, status in (("raise SystemExit(3)", 3), ("1 / 0", 1)):
            script.write_text(text)
            done = lazygrad(cache, "pack", "-o", str(tmp_path / "pack"), str(script))
            assert done.returncode == status
            assert f"ended with status {status}; no pack is written" in " ".join(done.stdout.split())
            assert not (tmp_path / "pack").exists()


def lazygrad(cache: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lazygrad", *arguments], env=environment(cache, **more), capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
