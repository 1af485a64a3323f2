"""The reference device against torch, on the same table: values, and gradients in float64."""

from __future__ import annotations

import warnings

import ml_dtypes
import numpy
import torch

from lazygrad.ir.dtype import bfloat16, from_numpy
from lazygrad.testing import conformance
from lazygrad.testing.compare import difference
from lazygrad.testing.row import generator_for


class _Namespace:
    """torch, with lazygrad's dtype names where they differ."""

    def __getattr__(self, name):
        return getattr(torch, name)


NAMESPACE = _Namespace()


def to_torch(array, requires_grad=False):
    array = numpy.ascontiguousarray(array).reshape(array.shape)
    if array.dtype == ml_dtypes.bfloat16:
        made = torch.from_numpy(array.view(numpy.int16).copy()).view(torch.bfloat16)
    else:
        made = torch.from_numpy(array.copy())
    return made.requires_grad_(requires_grad)


def to_numpy(tensor):
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype is torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.resolve_neg().numpy()


def call(row, case, arrays, requires_grad=False):
    given = [
        to_torch(array, requires_grad and from_numpy(array.dtype).is_float and spec.differentiable)
        for spec, array in zip(case.inputs, arrays, strict=True)
    ]
    looked = [spec.look(NAMESPACE, t) if spec.look else t for spec, t in zip(case.inputs, given, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = row.function(NAMESPACE, *looked, **case.options)
    return given, tuple(results) if isinstance(results, (tuple, list)) else (results,)


def value_problems(row):
    """Cases whose values on the reference differ from torch's; dtypes torch lacks for an op are passed over."""
    problems = []
    for dtype in row.dtypes:
        if row.torch_dtypes is not None and dtype not in row.torch_dtypes:
            continue
        cases = row.cases_for(dtype) if row.torch_edges else row.cases
        for number, case in enumerate(cases):
            arrays = conformance.inputs_of(row, dtype, number)
            where = f"{row.name} in {dtype.name}, case {number} ({case})"
            try:
                _, expected = call(row, case, arrays)
            except (NotImplementedError, RuntimeError, IndexError) as error:
                if "not implemented" in str(error) or "not supported" in str(error):
                    continue
                problems.append(f"{where}: torch raised {type(error).__name__}: {str(error)[:200]}")
                continue
            try:
                _, found = conformance.call(row, case, arrays, conformance.REFERENCE)
            except Exception as error:
                problems.append(f"{where}: lazygrad raised {type(error).__name__}: {str(error)[:200]}")
                continue
            if len(found) != len(expected):
                problems.append(f"{where}: {len(found)} results, torch gives {len(expected)}")
                continue
            for position, (f, e) in enumerate(zip(found, expected, strict=True)):
                if str(f.dtype).split(".")[-1] != str(e.dtype).split(".")[-1]:
                    problems.append(f"{where}: result {position} has dtype {f.dtype}, torch's {e.dtype}")
                    continue
                tolerance = _for_torch(row, f.dtype)
                what = difference(conformance._elements(f), to_numpy(e), f.dtype, tolerance, False)
                if what:
                    problems.append(f"{where}: result {position}: {what}")
    return problems


def _for_torch(row, dtype):
    """torch rounds half-width floats at other places, and its vector functions err by a few units, too."""
    tolerance = row.tolerance
    if tolerance.relative == 0 and tolerance.absolute == 0:
        return tolerance
    from dataclasses import replace

    wider = 2 if dtype is bfloat16 or dtype.bits == 16 else 1
    return replace(tolerance, relative=tolerance.relative * wider + 2, absolute=tolerance.absolute * wider, tiny=True)


def gradient_problems(row):
    """Gradients along the same random cotangents, in float64."""
    from lazygrad import float64

    problems = []
    for number, case in enumerate(row.cases):
        arrays = conformance.inputs_of(row, float64, number)
        given, results = call(row, case, arrays, requires_grad=True)
        outputs = [r for r in results if r.is_floating_point() and r.requires_grad]
        inputs = [t for t in given if t.requires_grad]
        if not outputs or not inputs:
            continue
        generator = generator_for(row, number + 10_000)
        cotangents = [torch.from_numpy(numpy.asarray(generator.standard_normal(tuple(o.shape)))) for o in outputs]
        expected = [g for g in torch.autograd.grad(outputs, inputs, cotangents, allow_unused=True) if g is not None]
        found = conformance.gradients(row, case, arrays, conformance.REFERENCE, number)
        where = f"gradient of {row.name}, case {number} ({case})"
        if len(found) != len(expected):
            problems.append(f"{where}: {len(found)} gradients, torch gives {len(expected)}")
            continue
        for position, (f, e) in enumerate(zip(found, expected, strict=True)):
            what = difference(conformance._elements(f), to_numpy(e), float64, row.gradient_tolerance, False)
            if what:
                problems.append(f"{where}: input {position}: {what}")
    return problems
