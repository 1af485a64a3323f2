"""When two kernels are one: canonical names, and a key that is the same in every process.

In: a kernel with any names. Out: the kernel whose body axes are i0, i1, ..., stage axes j0, j1, ..., axes of products
and accumulators that no stage has k0, k1, ... (counted through the body) and dynamic variables d0, d1, ... in the order
in which they are met. Bodies, buffers, scalars and axes keep their order: callers pass arguments by it. The key ignores
the kernel's own name.
"""

from __future__ import annotations

import hashlib

from lazygrad.ir.index import Bound, Index, Mask, Substitution, Variable, simplify_mask, variables
from lazygrad.ir.value import INDEX, LOAD, VALID, Value, leaf
from lazygrad.kernel.kernel import Access, Body, Kernel, Stage
from lazygrad.kernel.mapping import map_stage
from lazygrad.kernel.printer import print_kernel

# Part of every key: raise it when the meaning of a printed kernel changes.
FORMAT = "kernel 1"
_UNNAMED = "kernel"


def canonical(kernel: Kernel) -> Kernel:
    """The kernel with canonical names."""
    return Kernel(kernel.name, tuple(_Renaming(body).body() for body in kernel.bodies), kernel.buffers, kernel.scalars)


def key(kernel: Kernel) -> str:
    """A digest of everything but the names, for kernels with canonical names."""
    text = print_kernel(Kernel(_UNNAMED, kernel.bodies, kernel.buffers, kernel.scalars))
    return hashlib.sha256(f"{FORMAT}\n{text}".encode()).hexdigest()


class _Renaming:
    """Gives one body its canonical names."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._names: dict[Variable, Index] = {}
        self._variables: dict[Variable, Variable] = {}
        self._counts: dict[str, int] = {}
        for axis in body.axes:
            self._name(axis, "i")
        for stage in body.stages:
            for axis in stage.axes:
                self._name(axis, "j")
        for stage in body.stages:
            for part in (*stage.products, *stage.accumulators):
                for axis in part.axes:
                    self._name(axis, "k")
        for stage in body.stages:
            for value in stage.values:
                if value.op == LOAD:
                    self._name_dynamic(value.payload)
            for store in stage.stores:
                self._name_dynamic(store.access)
        self._put = Substitution(self._names)
        self._values: dict[Value, Value] = {}

    def _name(self, variable: Variable, letter: str) -> None:
        if variable not in self._variables:
            number = self._counts.get(letter, 0)
            self._counts[letter] = number + 1
            new = Variable(f"{letter}{number}", variable.extent)
            self._variables[variable] = new
            self._names[variable] = Index(0, ((new, 1),))

    def _name_dynamic(self, access: Access) -> None:
        for variable in access.dynamic:
            self._name(variable, "d")

    def body(self) -> Body:
        if all(old is new for old, new in self._variables.items()):
            return self._body
        stages = tuple(self._stage(stage) for stage in self._body.stages)
        return Body(self._axes(self._body.axes), stages)

    def _stage(self, stage: Stage) -> Stage:
        for value in stage.values:
            if value not in self._values:
                self._values[value] = self._value(value)
        return map_stage(stage, self._values.__getitem__, self._access, self._put, self._axes)

    def _axes(self, axes: tuple[Variable, ...]) -> tuple[Variable, ...]:
        return tuple(self._variables[axis] for axis in axes)

    def _value(self, value: Value) -> Value:
        payload = value.payload
        if value.op == LOAD:
            payload = self._access(payload)
        elif value.op == INDEX:
            payload = self._put(payload)
        elif value.op == VALID:
            payload = self._mask(payload)
        return leaf(value.op, value.dtype, payload, tuple(self._values[i] for i in value.inputs))

    def _access(self, access: Access) -> Access:
        dynamic = tuple(self._variables[variable] for variable in access.dynamic)
        # Bounds on data hold only because they are checked: the extent of a dynamic variable proves nothing.
        checked = tuple(bound for bound in access.mask if variables(bound.index) & set(access.dynamic))
        provable = self._mask(tuple(bound for bound in access.mask if bound not in checked))
        kept = tuple(Bound(self._put(bound.index), bound.low, bound.high) for bound in checked)
        return Access(access.buffer, self._put(access.address), (*provable, *kept), dynamic)

    def _mask(self, mask: Mask) -> Mask:
        return simplify_mask(Bound(self._put(bound.index), bound.low, bound.high) for bound in mask)
