"""Kernels with hand-written files: the runtime is tested without the code generator."""

from __future__ import annotations

from collections.abc import Sequence

from backends.triton.cuda_objects import Image
from backends.triton.fake_cuda import FakeCuda
from lazygrad.ir.dtype import DType, float32
from lazygrad.kernel.kernel import BufferDeclaration, Kernel
from lazygrad.runtime import Capabilities
from lazygrad_triton.binaries import Binary, Target
from lazygrad_triton.compiling import Request
from lazygrad_triton.device import Generator, TritonDevice
from lazygrad_triton.devices import FoundDevice, describe
from lazygrad_triton.driver import Driver
from lazygrad_triton.generated import GeneratedSource, Launch
from lazygrad_triton.signature import signature

SIZE = 64


def kernel(name: str, scalars: tuple[DType, ...] = (), movable: bool = False, out: DType = float32) -> Kernel:
    """A declaration: b0 is read, b1 is written."""
    buffers = (BufferDeclaration(float32, SIZE, movable=movable), BufferDeclaration(out, SIZE, written=True))
    return Kernel(name, (), buffers, scalars)


def source(
    kernel: Kernel, body: str, programs: int = 1, warps: int = 1, launches: Sequence[Launch] = (), library: str = ""
) -> GeneratedSource:
    """A file with one function whose body is given, or with as many as there are launches."""
    names = ", ".join(signature(kernel).types)
    launches = tuple(launches) or (Launch(f"{kernel.name}_kernel", programs, warps),)
    head = f"# {kernel.name}\nimport triton\nimport triton.language as tl\n"
    text = head + "".join(f"\n\n@triton.jit\n{part.strip()}\n" for part in library.split("\n\n") if part.strip())
    for launch in launches:
        lines = body.strip("\n").split("\n")
        text += (
            f"\n\n@triton.jit\ndef {launch.function}({names}):\n" + "\n".join(f"    {line}" for line in lines) + "\n"
        )
    return GeneratedSource(text, launches)


def each(expression: str) -> str:
    """A body that sets every element."""
    return f"i = tl.arange(0, {SIZE})\ntl.store(b1 + i, {expression})"


def times(factor: int) -> Kernel:
    return kernel(f"times{factor}")


def times_source(kernel: Kernel, capabilities: Capabilities) -> GeneratedSource:
    """The generator of ``times``."""
    return source(kernel, each(f"tl.load(b0 + i) * {kernel.name[5:]}.0"))


class FakeBuilder:
    """Makes cubins for the fake driver, and remembers what it was asked for."""

    def __init__(self, shared: int = 0, scratch: tuple[int, ...] = (0, 0)) -> None:
        self.requests: list[Request] = []
        self.shared = shared
        self.scratch = scratch

    def build(self, requests: Sequence[Request]) -> list[tuple[Binary, ...]]:
        self.requests += requests
        return [tuple(self._binary(request, launch) for launch in request.source.launches) for request in requests]

    def _binary(self, request: Request, launch: Launch) -> Binary:
        types = tuple(request.signature.types.values())
        divisible = request.signature.divisible(request.aligned)
        threads = 32 * launch.warps
        image = Image(request.source.text, launch.function, types, divisible, threads, self.shared, self.scratch)
        target = Target("cuda", 90)
        return Binary(target, launch.function, image.to_bytes(), "", threads, self.shared, self.scratch)


def found_device(cuda: FakeCuda, number: int = 0) -> FoundDevice:
    return describe(Driver(cuda), number, number)


def open_device(
    generator: Generator | None = times_source, cuda: FakeCuda | None = None, builder: FakeBuilder | None = None
) -> TritonDevice:
    """A CUDA device in memory; ``cuda`` is the fake's state."""
    return TritonDevice(found_device(cuda or FakeCuda()), generator, builder or FakeBuilder())
