"""What a skeleton is: it turns one body of a kernel into statements of OpenCL C.

In: a ``BodyContext``. Out: a ``BodyCode``, whose lines stand inside the kernel function and may use

    b0, b1, ...   the buffers, already moved to their offsets
    s0, s1, ...   the scalars
    group         the number (int) of this work-group among the body's, 0 <= group < work_groups
    item          on GPUs: the number (int) of this work-item in its group, 0 <= item < work_group_size
    scratch       a ``__global uchar*`` to the body's own scratch memory, 128-byte aligned, contents undefined

Each body has a C scope of its own, so names of different bodies cannot clash, except those in
``declarations``, which stand at the top of the function (OpenCL wants ``__local`` arrays there): end these
names in ``context.suffix``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lazygrad.kernel.kernel import Body, Kernel
from lazygrad.kernel.machine import Machine


@dataclass(frozen=True)
class BodyContext:
    """One body, with its by-name functions expanded already, and what it is generated for.

    ``number`` is its position among the kernel's bodies; ``work_group_size`` holds for the whole kernel.
    """

    kernel: Kernel
    body: Body
    number: int
    machine: Machine
    work_group_size: int

    @property
    def suffix(self) -> str:
        """Makes a name at the top of the function unique among the kernel's bodies."""
        return f"_{self.number}"


@dataclass(frozen=True)
class BodyCode:
    """Statements for one body and how many work-groups share them.

    ``shared`` are texts of functions that the statements call (``shared_functions.py``).
    """

    lines: tuple[str, ...]
    work_groups: int
    declarations: tuple[str, ...] = ()
    scratch_bytes: int = 0
    shared: tuple[str, ...] = ()


Skeleton = Callable[[BodyContext], BodyCode]
