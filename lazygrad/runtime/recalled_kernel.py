"""Kernels that another process has planned: what launching needs is there, the bodies are read when somebody asks.

In: names, buffers, scalars, and bodies as bytes. Out: kernels like any others. Launches look at buffers and scalars
only, so a warm start does not build thousands of expressions that nobody reads; printing, verifying and generating
source do read them.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Sequence
from typing import Any

from lazygrad.ir.dtype import DType
from lazygrad.kernel.kernel import Body, BufferDeclaration, Kernel

# Bodies compress to a tenth at the least effort; more takes longer than it saves.
_EFFORT = 1


def pack_bodies(kernels: Sequence[Kernel]) -> bytes:
    """The bodies of kernels, for ``PackedBodies``."""
    return zlib.compress(pickle.dumps([kernel.bodies for kernel in kernels], pickle.HIGHEST_PROTOCOL), _EFFORT)


class PackedBodies:
    """The bodies of several kernels. The bytes are a pickle: they must come from where nobody else can write."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._bodies: Sequence[tuple[Body, ...]] | None = None

    def __getitem__(self, number: int) -> tuple[Body, ...]:
        if self._bodies is None:
            self._bodies = pickle.loads(zlib.decompress(self._packed))
            self._packed = b""
        return self._bodies[number]


class RecalledKernel(Kernel):
    """A kernel without bodies, until they are asked for; from then on an ordinary one."""

    def __init__(
        self,
        name: str,
        buffers: tuple[BufferDeclaration, ...],
        scalars: tuple[DType, ...],
        packed: PackedBodies,
        number: int,
    ) -> None:
        # The class is frozen, and its own __init__ wants bodies.
        self.__dict__.update(name=name, buffers=buffers, scalars=scalars, _packed=packed, _number=number)

    def __getattr__(self, name: str) -> Any:
        if name != "bodies":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        own = self.__dict__
        own["bodies"] = own["_packed"][own["_number"]]
        del own["_packed"], own["_number"]
        object.__setattr__(self, "__class__", Kernel)
        return own["bodies"]

    def __reduce__(self) -> tuple[Any, ...]:
        return Kernel, (self.name, self.bodies, self.buffers, self.scalars)
