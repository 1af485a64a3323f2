"""Devices as the user names them: ``device("opencl:1")``, and the canonical name a node carries."""

from __future__ import annotations

from typing import TypeAlias

from lazygrad import runtime

# torch's names for what lazygrad reaches through its own backends.
_ALIASES = {"cuda": "triton"}


class device:  # noqa: N801, torch's name
    """A device: the backend's name and the device's number in the order of ``python -m lazygrad info``.

    A device that is no piece of hardware has a word for a number, which belongs to its type: ``"triton:interpret"``.
    ``"cpu"`` is the default device where that computes on the processor (as OpenCL through PoCL does), else the NumPy
    reference; ``"cuda"`` is the Triton backend.

    >>> device("opencl:1"), device("opencl", 1) == device("opencl:1"), device("numpy").index
    (device(type='opencl', index=1), True, None)
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: str | device | int, index: int | None = None) -> None:
        if isinstance(type, device):
            self.type, self.index = type.type, type.index
            return
        if isinstance(type, int):
            self.type, self.index = runtime.default_device().partition(":")[0], type
            return
        if not isinstance(type, str):
            raise TypeError(f"device(): a device is named by a string such as 'opencl:0', got {type!r}")
        kind, colon, variant = type.partition(":")
        if not kind or (colon and not variant.isalnum()) or (colon and index is not None):
            raise RuntimeError(f"Invalid device string: '{type}'; expected a name such as 'opencl' or 'opencl:1'")
        self.type = _ALIASES.get(kind, kind)
        self.index = int(variant) if variant.isdecimal() else index
        if colon and self.index is None:
            self.type += f":{variant}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        number = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{number})"


DeviceLike: TypeAlias = device | str | int | None

_chosen: str | None = None


def set_default_device(name: DeviceLike) -> None:
    """New tensors are made on this device from now on; None returns to ``LAZYGRAD_DEVICE`` or the best."""
    global _chosen
    _chosen = None if name is None else canonical(name)


def get_default_device() -> device:
    """The device on which new tensors are made."""
    return device(canonical(None))


def canonical(name: DeviceLike) -> str:
    """The name a node carries (``"opencl"`` becomes ``"opencl:0"``); None is the default device. Opens it.

    Raises:
        RuntimeError: there is no such backend or device; the message lists what there is.
    """
    if name is None:
        return _chosen if _chosen is not None else runtime.default_device()
    text = str(device(name))
    if text.partition(":")[0] == "cpu":
        default = canonical(None)
        return default if runtime.device(default).is_processor else runtime.canonical_device("numpy")
    available = runtime.available_backends()
    if text.partition(":")[0] not in available:
        hint = "; for NVIDIA GPUs: pip install 'lazygrad[triton]'" if text.startswith("triton") else ""
        raise RuntimeError(f"device '{name}': no such backend is installed; available: {', '.join(available)}{hint}")
    return runtime.canonical_device(text)
