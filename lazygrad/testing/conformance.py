"""Conformance of a device: each row's results against the NumPy reference's, in value, shape and dtype.

    for row in rows():
        run_row(row, "mybackend:0")             # values, in every dtype of the row and the device
        run_row_gradients(row, "mybackend:0")   # gradients along random cotangents

All cases of a row are computed in one submission, so that a device that compiles does so once for each row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy

from lazygrad import runtime
from lazygrad.ir.dtype import DType, float64, from_numpy
from lazygrad.testing.compare import Difference, difference
from lazygrad.testing.gradcheck import GradientError, gradcheck
from lazygrad.testing.row import Case, Row, generator_for
from lazygrad.testing.table import ROWS
from lazygrad.testing.values import Array

REFERENCE = "numpy:0"
# Central differences with a step of 1e-5 are good to about this.
_DERIVATIVE = 1e-6


class ConformanceError(AssertionError):
    """Results that differ from the reference's; the message names row, dtype, case and the worst element."""


class Problem(NamedTuple):
    """One case that went wrong."""

    row: Row
    dtype: DType
    case: Case
    number: int  # of the case among the row's, for :func:`inputs_of`
    what: str

    def __str__(self) -> str:
        return f"{self.row.name} in {self.dtype.name}, case {self.number} ({self.case}): {self.what}"


def rows() -> tuple[Row, ...]:
    """Every row of the table."""
    return ROWS


def row_named(name: str) -> Row:
    """The row of a name."""
    return next(row for row in ROWS if row.name == name)


def run_row(row: Row, device: str, dtypes: Sequence[DType] | None = None) -> None:
    """Holds a device against the reference: values, shapes and dtypes of every case.

    Raises:
        ConformanceError: something differs; the message lists every case that does.
    """
    _raise(row, device, problems_of(row, device, dtypes))


def run_row_gradients(row: Row, device: str, dtypes: Sequence[DType] | None = None) -> None:
    """Holds a device's gradients along random cotangents against the reference's. Errors as in :func:`run_row`."""
    _raise(row, device, gradient_problems_of(row, device, dtypes))


def _raise(row: Row, device: str, problems: Sequence[Problem]) -> None:
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise ConformanceError(f"{row.name} on {device}: {len(problems)} results differ from the reference\n{listed}")


def inputs_of(row: Row, dtype: DType, number: int) -> list[Array]:
    """The inputs of one case, the same in every run."""
    generator = generator_for(row, number)
    return [i.array(generator, dtype) for i in row.cases_for(dtype)[number].inputs]


def call(row: Row, case: Case, arrays: Sequence[Array], device: str, requires_grad: bool = False) -> tuple[Any, Any]:
    """Calls a row's function with tensors on a device: the tensors that were passed, and the results as a tuple."""
    import lazygrad

    given = []
    for spec, array in zip(case.inputs, arrays, strict=True):
        dtype = from_numpy(array.dtype)
        wanted = requires_grad and dtype.is_float and spec.differentiable
        given.append(lazygrad.tensor(array, dtype=dtype, device=device, requires_grad=wanted))
    looked = [spec.look(lazygrad, t) if spec.look else t for spec, t in zip(case.inputs, given, strict=True)]
    results = row.function(lazygrad, *looked, **case.options)
    return given, tuple(results) if isinstance(results, (tuple, list)) else (results,)


def _selected(row: Row, device: str, dtypes: Sequence[DType] | None) -> Iterator[DType]:
    supported = runtime.device(device).dtypes
    for dtype in row.dtypes:
        if dtype in supported and (dtypes is None or dtype in dtypes):
            yield dtype


def problems_of(row: Row, device: str, dtypes: Sequence[DType] | None = None) -> list[Problem]:
    """The cases whose values differ from the reference's; what cannot be computed at all is a problem, too."""
    work = [
        (dtype, number, case)
        for dtype in _selected(row, device, dtypes)
        for number, case in enumerate(row.cases_for(dtype))
    ]

    def results(place: str, dtype: DType, number: int, case: Case) -> list[Any]:
        return list(call(row, case, inputs_of(row, dtype, number), place)[1])

    return _compare(row, device, work, results, row.tolerance, row.signed_zeros)


def gradient_problems_of(row: Row, device: str, dtypes: Sequence[DType] | None = None) -> list[Problem]:
    """The cases whose gradients differ from the reference's; edge cases have none."""
    if not row.gradients:
        return []
    work = [
        (dtype, number, case)
        for dtype in _selected(row, device, dtypes)
        if dtype.is_float or not row.dtypes[-1].is_float
        for number, case in enumerate(row.cases)
    ]

    def results(place: str, dtype: DType, number: int, case: Case) -> list[Any]:
        return list(gradients(row, case, inputs_of(row, dtype, number), place, number))

    return _compare(row, device, work, results, row.gradient_tolerance, False)


def derivative_problems_of(row: Row, device: str = REFERENCE, second_order: bool = True) -> list[Problem]:
    """The cases whose derivatives (reverse, forward, second) disagree with finite differences in float64."""
    if not row.gradients or float64 not in runtime.device(device).dtypes:
        return []
    problems: list[Problem] = []
    for number, case in enumerate(row.cases):
        arrays = inputs_of(row, float64, number)
        if not any(array.dtype.kind == "f" and array.size for array in arrays):
            continue
        try:
            gradcheck(
                _function_of(row, case), arrays, device=device, directions=1, seed=number,
                second_order=second_order and row.second_order,
                differentiable=[spec.differentiable for spec in case.inputs], rtol=_DERIVATIVE, atol=_DERIVATIVE,
            )  # fmt: skip
        except GradientError as error:
            problems.append(Problem(row, float64, case, number, str(error)))
    return problems


def _function_of(row: Row, case: Case) -> Callable[..., Any]:
    def function(*given: Any) -> Any:
        import lazygrad

        looked = [spec.look(lazygrad, t) if spec.look else t for spec, t in zip(case.inputs, given, strict=True)]
        return row.function(lazygrad, *looked, **case.options)

    return function


def gradients(row: Row, case: Case, arrays: Sequence[Array], device: str, number: int) -> list[Any]:
    """The gradients of a case's float inputs along random cotangents of its float results, as lazy tensors."""
    import lazygrad

    given, results = call(row, case, arrays, device, requires_grad=True)
    generator = generator_for(row, -1 - number if number < 0 else number + 10_000)
    outputs = [r for r in results if r.dtype.is_float and r.requires_grad]
    inputs = [t for t in given if t.requires_grad]
    if not outputs or not inputs:
        return []
    cotangents = [
        lazygrad.tensor(generator.standard_normal(tuple(o.shape)).astype(o.dtype.numpy), dtype=o.dtype, device=device)
        for o in outputs
    ]
    found = lazygrad.autograd.grad(outputs, inputs, grad_outputs=cotangents, allow_unused=True)
    return [g for g in found if g is not None]


def _compare(
    row: Row, device: str, work: Sequence[Any], results: Any, tolerance: Any, signed_zeros: bool
) -> list[Problem]:
    """Computes everything on both sides, each in one submission, and compares case by case."""
    problems: list[Problem] = []
    pairs = []
    for dtype, number, case in work:
        built = []
        for place in (REFERENCE, device):
            try:
                built.append(results(place, dtype, number, case))
            except Exception as error:
                where = "the reference" if place == REFERENCE else device
                problems.append(Problem(row, dtype, case, number, f"{where} raised {type(error).__name__}: {error}"))
                break
        if len(built) == 2:
            pairs.append((dtype, number, case, built))
    expected = _computed([r for *_, (reference, _) in pairs for r in reference])
    found = _computed([r for *_, (_, own) in pairs for r in own])
    for dtype, number, case, (reference, own) in pairs:
        if len(reference) != len(own):
            problems.append(Problem(row, dtype, case, number, f"{len(own)} results instead of {len(reference)}"))
            continue
        for position, (r, o) in enumerate(zip(reference, own, strict=True)):
            if r.dtype is not o.dtype:
                what: Difference | str | None = f"result {position} has dtype {o.dtype}, the reference {r.dtype}"
            else:
                what = difference(found[id(o)], expected[id(r)], r.dtype, tolerance, signed_zeros)
            if what:
                problems.append(Problem(row, dtype, case, number, f"result {position}: {what}"))
    return problems


def _computed(tensors: Sequence[Any]) -> dict[int, Array]:
    """The elements of tensors by the tensors' ids, computed in one submission."""
    import lazygrad

    if tensors:
        lazygrad.realize(*tensors)
    return {id(t): _elements(t) for t in tensors}


def _elements(tensor: Any) -> Array:
    from lazygrad.tensor.realization import to_host

    return numpy.asarray(to_host(tensor))
