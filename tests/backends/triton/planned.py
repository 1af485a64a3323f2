"""Kernels as a GPU would get them, planned and compiled without one."""

from collections.abc import Sequence

import lazygrad as lg
from lazygrad.kernel.kernel import Kernel
from lazygrad.kernel.machine import Machine
from lazygrad.runtime import Capabilities
from lazygrad.runtime.structure import abstract, linearize
from lazygrad.schedule.plan import plan
from lazygrad_triton.binaries import Binary, Target
from lazygrad_triton.capabilities import cuda_capabilities
from lazygrad_triton.compiling import Compiler, Request
from lazygrad_triton.resources import resources
from lazygrad_triton.signature import signature
from lazygrad_triton.source import generate

AMPERE = Target("cuda", 80, 32)
HOPPER = Target("cuda", 90, 32)
MI300 = Target("hip", "gfx942", 64)
TARGETS = (AMPERE, HOPPER, MI300)

# Since Triton 3.9 the assembler, with an option by which Triton avoids an error of it, puts up to three addresses aside in
# kernels that use 80 and 96 of 255 registers, and none in any without that option. Sums never leave registers.
ADDRESS_BYTES = 16

# What the driver says of an A100 and an H100.
_ATTRIBUTES = {
    "MAX_SHARED_MEMORY_PER_BLOCK_OPTIN": 166912,
    "MAX_SHARED_MEMORY_PER_MULTIPROCESSOR": 167936,
    "L2_CACHE_SIZE": 40 * 2**20,
    "MAX_REGISTERS_PER_MULTIPROCESSOR": 65536,
    "MAX_THREADS_PER_BLOCK": 1024,
    "WARP_SIZE": 32,
}
A100 = cuda_capabilities(
    {**_ATTRIBUTES, "COMPUTE_CAPABILITY_MAJOR": 8, "COMPUTE_CAPABILITY_MINOR": 0, "MULTIPROCESSOR_COUNT": 108}
)
H100 = cuda_capabilities(
    {**_ATTRIBUTES, "COMPUTE_CAPABILITY_MAJOR": 9, "COMPUTE_CAPABILITY_MINOR": 0, "MULTIPROCESSOR_COUNT": 132}
)
CAPABILITIES = {AMPERE: A100, HOPPER: H100, MI300: A100}


def kernels_of(tensors: Sequence[lg.Tensor], capabilities: Capabilities) -> list[Kernel]:
    """The kernels that compute lazy tensors, in order."""
    structure = linearize([tensor._node for tensor in tensors])
    graph = abstract(structure, tensors[0]._node.device)
    machine: Machine = capabilities.machine
    planned = plan(graph.roots, graph.leaves, graph.arguments, machine, capabilities.argument_limit)
    return [scheduled.kernel for scheduled in planned.kernels]


def compiled(kernels: Sequence[Kernel], target: Target) -> list[tuple[Binary, ...]]:
    """The binaries of each kernel."""
    capabilities = CAPABILITIES[target]
    return Compiler(target).build(
        [Request(kernel.name, generate(kernel, capabilities), signature(kernel)) for kernel in kernels]
    )


def spills(binary: Binary) -> int:
    """Bytes of values that a thread has no registers for; addresses that the assembler puts aside do not count."""
    spilled = resources(binary).spills
    return spilled if spilled > ADDRESS_BYTES else 0
