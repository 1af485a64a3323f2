from __future__ import annotations

import zipfile

import pytest

from lazygrad.__main__ import main
from lazygrad.kernel.machine import Machine
from lazygrad.runtime import pack
from lazygrad.runtime.cache import Store, sealed
from lazygrad.runtime.device import Capabilities, CompilingDevice, DeviceInformation
from lazygrad.runtime.pack import PackError, add, describe, write


class Device(CompilingDevice):
    """One that can be described, and nothing else."""

    def __init__(self, cores=2, driver="1.0", code="code 1"):
        self.name = "fancy:0"
        self.information = DeviceInformation(self.name, "a fancy device", driver)
        self.capabilities = Capabilities(Machine("cpu", cores))
        self.code = code

    def code_identity(self):
        return self.code


Device.__abstractmethods__ = frozenset()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "maker", lambda backend: "the sources")
    use(monkeypatch, tmp_path / "there", Device())
    return tmp_path


def use(monkeypatch, cache, *devices):
    """From now on this is the machine with that cache and these devices."""
    monkeypatch.setenv("LAZYGRAD_CACHE", str(cache))
    monkeypatch.setattr(pack, "_devices", lambda kind: [describe(device) for device in devices])


def packed(folder):
    """A pack of some of the entries of a cache."""
    store = Store("fancy", "v1")
    for name in ("used.binary", "used.program", "other.binary"):
        store.write(name, name.encode())
    store.write_plain("used.cl", b"for people")
    Store("schedules").write("schedule", b"{}")
    Store("sources").write("here", b"this machine's")
    used = [store.path("used.binary"), Store("schedules").path("schedule"), Store("sources").path("here")]
    target = folder / "made" / "a.lazygrad-pack"
    assert write(target, map(str, used), [describe(Device())]) == 3
    return target


def test_what_was_used_arrives(folder, monkeypatch):
    target = packed(folder)
    use(monkeypatch, folder / "here", Device())
    assert add(target) == (3, "fancy:0", True)
    store = Store("fancy", "v1")
    assert store.read("used.binary") == b"used.binary"
    assert store.read("used.program") == b"used.program"
    assert sorted(store.names()) == ["used.binary", "used.program"]
    assert Store("schedules").read("schedule") == b"{}"
    assert list(Store("sources").names()) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Device(cores=4), "fancy:0: cores 2 in the pack, 4 here"),
        (Device(driver="2.0"), "fancy:0: driver 1.0 in the pack, 2.0 here"),
        (Device(code="code 2"), "other versions of driver or compiler"),
        (Device(cores=4, driver="2.0"), "driver 1.0 in the pack, 2.0 here; cores 2 in the pack, 4 here"),
    ],
)
def test_another_device_is_refused(folder, monkeypatch, found, words):
    target = packed(folder)
    use(monkeypatch, folder / "here", found)
    with pytest.raises(PackError, match=r"is for another device, a fancy device \(1\.0\)") as refused:
        add(target)
    assert words in str(refused.value)
    assert not (folder / "here" / "fancy").exists()
    assert main(["cache", "add", str(target)]) == 1


def test_no_such_device_at_all(folder, monkeypatch):
    target = packed(folder)
    use(monkeypatch, folder / "here")
    with pytest.raises(PackError, match="there is no device of the kind fancy here"):
        add(target)


def test_the_device_is_found_among_several(folder, monkeypatch):
    target = packed(folder)
    use(monkeypatch, folder / "here", Device(cores=8), Device())
    assert add(target).entries == 3


def test_other_sources_are_said(folder, monkeypatch, capsys):
    target = packed(folder)
    use(monkeypatch, folder / "here", Device())
    monkeypatch.setattr(pack, "maker", lambda backend: "other sources")
    monkeypatch.setenv("COLUMNS", "300")
    use(monkeypatch, folder / "here", Device())
    assert main(["cache", "add", str(target)]) == 0
    assert "The pack was made by other versions" in capsys.readouterr().out


def rewritten(target, change):
    """The pack with its entries changed by a function from names and contents to contents, or None to leave them out."""
    with zipfile.ZipFile(target) as file:
        contents = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(target, "w") as file:
        for name, data in contents.items():
            new = change(name, data)
            if new is not None:
                file.writestr(name, new)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda name, data: data[:-1] if name.endswith(".binary") else data, "is damaged: its entry"),
        (lambda name, data: data[:-1] if name == "manifest.json" else data, "damaged, or a pack of another version"),
        (lambda name, data: None if name == "manifest.json" else data, "is no pack, or a damaged one"),
        (lambda name, data: None if name.endswith(".binary") else data, "is no pack, or a damaged one"),
        (
            lambda name, data: sealed(b'{"format": "lazygrad pack 0"}') if name == "manifest.json" else data,
            "another version of lazygrad",
        ),
    ],
)
def test_damaged_packs(folder, monkeypatch, change, words):
    target = packed(folder)
    rewritten(target, change)
    use(monkeypatch, folder / "here", Device())
    with pytest.raises(PackError, match=words):
        add(target)
    assert not (folder / "here" / "fancy").exists()


@pytest.mark.parametrize("name", ["../outside", "/outside", "fancy/../../outside", "loose"])
def test_a_pack_writes_below_the_cache_only(folder, monkeypatch, name):
    target = packed(folder)
    manifest = b'{"format": "lazygrad pack 1", "devices": [], "entries": ["%s"]}' % name.encode()
    with zipfile.ZipFile(target, "w") as file:
        file.writestr("manifest.json", sealed(manifest))
        file.writestr(name, sealed(b"evil"))
    use(monkeypatch, folder / "here", Device())
    with pytest.raises(PackError, match="is damaged: its entry"):
        add(target)
    assert not (folder / "outside").exists()


def test_what_is_no_pack(folder):
    (folder / "text").write_text("hello")
    for name, words in (("text", "is no pack, or a damaged one"), ("nothing", "there is no pack at")):
        with pytest.raises(PackError, match=words):
            add(folder / name)


def test_nothing_to_pack(folder):
    with pytest.raises(PackError, match="the script has compiled nothing"):
        write(folder / "a", [], [])
    with pytest.raises(PackError, match="nothing of what the script has compiled is in the cache folder"):
        write(folder / "a", [], [describe(Device())])


def test_a_pack_that_cannot_be_written(folder):
    target = packed(folder)
    with pytest.raises(PackError, match="cannot be written"):
        write(target / "below", [str(Store("schedules").path("schedule"))], [describe(Device())])
