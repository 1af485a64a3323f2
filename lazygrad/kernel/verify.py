"""The verifier of kernels: raises ``KernelError`` that names the first place where a kernel breaks its rules.

After it has passed: buffers and scalars are in range and of the right dtype, variables are known where they are
used, accumulators are read in later stages only, what is written is written by one body and not read by loads,
and no access that a mask admits leaves its buffer (as far as bounds prove it or trial shows it).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import lazygrad.ops  # noqa: F401  (declares the operations)
from lazygrad.ir import value as kinds
from lazygrad.ir.dtype import DType, accumulator, bool_, float32, int64
from lazygrad.ir.index import Index, Mask, Variable, variables
from lazygrad.ir.op import REGISTRY, Family
from lazygrad.ir.value import Exact, Value
from lazygrad.kernel.bounds import escape
from lazygrad.kernel.identity import canonical
from lazygrad.kernel.kernel import (
    Access,
    Accumulator,
    Average,
    Body,
    Contraction,
    Kernel,
    Product,
    Reduction,
    Stage,
    Store,
)
from lazygrad.kernel.walk import ordered_values

_POSITIONS = ("argmax", "argmin")
_COMPARISONS = ("eq", "ne", "lt", "le")


class KernelError(ValueError):
    """A kernel that breaks the rules of lazygrad/kernel/kernel.py: a mistake in what made it, not in user code."""


def verify(kernel: Kernel) -> None:
    """Raises KernelError when the kernel is not well formed."""
    writers: set[int] = set()
    for number, body in enumerate(kernel.bodies):
        _BodyVerifier(kernel, body, f"kernel {kernel.name}, body {number}").verify()
        writers.update(store.access.buffer for stage in body.stages for store in stage.stores)
    for buffer, declaration in enumerate(kernel.buffers):
        if declaration.written and buffer not in writers:
            raise KernelError(f"kernel {kernel.name}: buffer {buffer} is declared as written, but nothing stores to it")
    if canonical(kernel) != kernel:
        raise KernelError(f"kernel {kernel.name}: its names are not canonical (see lazygrad.kernel.identity)")


Axes = tuple[Variable, ...]


class _BodyVerifier:
    def __init__(self, kernel: Kernel, body: Body, place: str) -> None:
        self.kernel = kernel
        self.body = body
        self.place = place
        self.results: list[tuple[DType, Axes]] = []  # of the accumulators of stages that have ended
        self.products: list[DType] = []  # through all stages
        self.known_products = range(0)  # those of this stage, once their operands are
        self.stored: set[int] = set()  # buffers that earlier stages store to
        self.scope: frozenset[Variable] = frozenset()

    def verify(self) -> None:
        self._axes(self.body.axes, ())
        for number, stage in enumerate(self.body.stages):
            place, self.place = self.place, f"{self.place}, stage {number}"
            self._stage(stage)
            self.place = place

    def _fail(self, message: str) -> None:
        raise KernelError(f"{self.place}: {message}")

    def _axes(self, axes: Sequence[Variable], outer: Sequence[Variable]) -> None:
        names = [axis.name for axis in (*outer, *axes)]
        if len(set(names)) != len(names):
            self._fail(f"two axes have one name among {', '.join(names)}")
        for axis in axes:
            if axis.extent < 1:
                self._fail(f"axis {axis.name} has the extent {axis.extent}")

    def _stage(self, stage: Stage) -> None:
        self._axes(stage.axes, self.body.axes)
        points = (*self.body.axes, *stage.axes)
        for part in (*stage.products, *stage.accumulators):
            self._axes(part.axes, points)
        self.known_products = range(0)
        for product in stage.products:
            self._values([product.a], (*self.body.axes, *product.axes))
            self._values([product.b], (*points, *product.axes))
            self._multiplied(product)
        first = len(self.products)
        self.products += [product.dtype for product in stage.products]
        for of in stage.accumulators:
            if of.axes:
                self._values(of.operands[1:], (*points, *of.axes))
        self.known_products = range(first, len(self.products))
        taken = [value for of in stage.accumulators for value in of.operands[: 1 if of.axes else None]]
        stored = [value for store in stage.stores for value in (*store.dynamic_values, store.value)]
        self._values([*taken, *stored], points)
        for of in stage.accumulators:
            self._accumulator(of)
        for number, store in enumerate(stage.stores):
            place, self.place = self.place, f"{self.place}, store {number}"
            self._store(store)
            self.place = place
        for of in stage.accumulators:
            is_position = isinstance(of, Reduction) and of.op in _POSITIONS
            self.results.append((int64 if is_position else of.dtype, of.axes))
        self.stored.update(store.access.buffer for store in stage.stores)

    # ---- accumulators and stores

    def _multiplied(self, found: Contraction | Average | Product) -> None:
        a, b = found.operands
        name = "an average" if isinstance(found, Average) else f"a {type(found).__name__.lower()}"
        if a.dtype is not b.dtype or found.dtype not in (a.dtype, accumulator(a.dtype)):
            self._fail(f"{name} of {a.dtype.name} and {b.dtype.name} cannot be added up in {found.dtype.name}")
        if found.precision != "highest" and a.dtype is not float32:
            self._fail(f"{name} of {a.dtype.name} has a precision that only float32 has")

    def _accumulator(self, found: Accumulator) -> None:
        if not isinstance(found, Reduction):
            self._multiplied(found)
            return
        if found.value.dtype is not found.dtype:
            self._fail(f"{found.op} takes in {found.value.dtype.name}, but its accumulator is {found.dtype.name}")
        if (found.position is not None) != (found.op in _POSITIONS):
            self._fail(f"{found.op} {'needs a' if found.op in _POSITIONS else 'has no'} position")
        if found.position is not None:
            self._variables(found.position, (), "the position")

    def _store(self, store: Store) -> None:
        access = store.access
        self._access(access, store.dynamic_values)
        declaration = self.kernel.buffers[access.buffer]
        if not declaration.written:
            self._fail(f"buffer {access.buffer} is stored to but not declared as written")
        if store.value.dtype is not declaration.dtype:
            self._fail(f"{store.value.dtype.name} is stored to buffer {access.buffer} of {declaration.dtype.name}")
        if store.mode == "add" and access.buffer not in self.stored:
            self._fail(f"buffer {access.buffer} is added to, but no earlier stage of this body stores to it")
        used = _mask_variables(access.mask) | variables(access.address)
        for axis in self.body.axes:
            if axis.extent > 1 and axis not in used:
                self._fail(f"all points of axis {axis.name} store to the same elements of buffer {access.buffer}")

    # ---- values

    def _values(self, roots: Iterable[Value], scope: Axes) -> None:
        """All that the roots are made of, where the axes in ``scope`` are known."""
        self.scope = frozenset(scope)
        for value in ordered_values(roots):
            self._value(value)

    def _value(self, value: Value) -> None:
        match value.op:
            case kinds.CONSTANT:
                if not isinstance(value.payload, Exact):
                    self._fail(f"a constant holds {value.payload!r}, not an Exact number")
            case kinds.ARGUMENT:
                if not 0 <= value.payload < len(self.kernel.scalars):
                    self._fail(f"scalar {value.payload} does not exist; there are {len(self.kernel.scalars)}")
                self._same(value, self.kernel.scalars[value.payload], f"scalar {value.payload}")
            case kinds.REDUCED:
                if not 0 <= value.payload < len(self.results):
                    self._fail(f"accumulator {value.payload} is read, but no earlier stage of this body has it")
                dtype, axes = self.results[value.payload]
                self._same(value, dtype, f"accumulator {value.payload}")
                if not self.scope.issuperset(axes):
                    self._fail(f"accumulator {value.payload} is read outside its axes {_listed(v.name for v in axes)}")
            case kinds.PRODUCT:
                if value.payload not in self.known_products:
                    self._fail(f"product {value.payload} is read, but it is not one of this stage's")
                self._same(value, self.products[value.payload], f"product {value.payload}")
            case kinds.INDEX:
                if not value.dtype.is_integer:
                    self._fail(f"an index has the dtype {value.dtype.name}")
                self._variables(value.payload, (), "an index")
            case kinds.VALID:
                self._same(value, bool_, "a condition")
                self._mask(value.payload, ())
            case kinds.LOAD:
                self._access(value.payload, value.inputs)
                declaration = self.kernel.buffers[value.payload.buffer]
                self._same(value, declaration.dtype, f"buffer {value.payload.buffer}")
                if declaration.written:
                    self._fail(f"buffer {value.payload.buffer} is loaded from, but this kernel writes it")
            case _:
                self._operation(value)

    def _same(self, value: Value, dtype: DType, what: str) -> None:
        if value.dtype is not dtype:
            self._fail(f"{what} is {dtype.name}, but the value that reads it is {value.dtype.name}")

    def _operation(self, value: Value) -> None:
        dtypes = [i.dtype for i in value.inputs]
        if value.op in ("cast", "bitcast"):
            if len(dtypes) != 1 or (value.op == "bitcast" and dtypes[0].bits != value.dtype.bits):
                self._fail(f"{value.op} from {_names(dtypes)} to {value.dtype.name}")
            return
        op = REGISTRY.get(value.op)
        if op is None or op.family is not Family.ELEMENTWISE:
            self._fail(f"there is no elementwise operation {value.op!r}")
            return
        if len(dtypes) != len(op.vjp):
            self._fail(f"{value.op} has {len(op.vjp)} inputs, not {len(dtypes)}")
        operands = dtypes
        if value.op == "where":
            operands = dtypes[1:]
            if dtypes[0] is not bool_:
                self._fail(f"where chooses by {dtypes[0].name}, not by bool")
        if any(dtype is not operands[0] for dtype in operands):
            self._fail(f"{value.op} has operands of {_names(operands)}; they must have one dtype")
        expected = bool_ if value.op in _COMPARISONS else operands[0]
        if value.dtype is not expected:
            self._fail(f"{value.op} of {operands[0].name} is {expected.name}, not {value.dtype.name}")

    # ---- indices

    def _access(self, access: Access, dynamic: Sequence[Value]) -> None:
        if not 0 <= access.buffer < len(self.kernel.buffers):
            self._fail(f"buffer {access.buffer} does not exist; there are {len(self.kernel.buffers)}")
        if len(dynamic) != len(access.dynamic):
            self._fail(f"{len(access.dynamic)} dynamic variables have {len(dynamic)} values")
        for variable, value in zip(access.dynamic, dynamic, strict=True):
            if value.dtype.is_float:
                self._fail(f"the dynamic variable {variable.name} has a value of {value.dtype.name}")
        self._variables(access.address, access.dynamic, f"the address in buffer {access.buffer}")
        self._mask(access.mask, access.dynamic)
        outside = escape(access.address, access.mask, self.kernel.buffers[access.buffer].size)
        if outside is not None:
            self._fail(f"the address {access.address} in buffer {access.buffer} reaches {outside}")

    def _mask(self, mask: Mask, dynamic: Sequence[Variable]) -> None:
        for bound in mask:
            self._variables(bound.index, dynamic, f"the mask {bound}")

    def _variables(self, index: Index, dynamic: Sequence[Variable], what: str) -> None:
        unknown = variables(index) - self.scope - frozenset(dynamic)
        if unknown:
            self._fail(
                f"{what} uses {_listed(v.name for v in unknown)}; known here are "
                f"{_listed(v.name for v in (*self.scope, *dynamic)) or 'none'}"
            )


def _mask_variables(mask: Mask) -> set[Variable]:
    found: set[Variable] = set()
    for bound in mask:
        found |= variables(bound.index)
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _names(dtypes: Sequence[DType]) -> str:
    return " and ".join(dtype.name for dtype in dtypes) or "nothing"
