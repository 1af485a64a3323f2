"""Compositions: activations, normalisations, convolutions, pooling and losses, in the forms that networks use."""

from __future__ import annotations

from typing import Any

import numpy

from lazygrad.ir.dtype import int64
from lazygrad.testing import values
from lazygrad.testing.row import (
    COMPOSED,
    DOUBLE,
    EXACT,
    FLOATS,
    SUMMED,
    Case,
    Row,
    Tolerance,
    case,
    data,
    fixed,
    index,
    tensor,
)
from lazygrad.testing.table.elementwise import unary
from lazygrad.testing.values import Domain, below, between, nonzero, normal

_LOOSE = Tolerance(16, 16, tiny=True)
# Where functions that are written with |x| or max(x, 0) have derivatives all the same.
_FROM_0_FAR = data([0.0, -0.0, 1e-3, -1e-3, 2, -2, 15, -15, 30, -30, 80, -80, 0])


def _activation(name: str, domain: Domain = nonzero, torch_edges: bool = True, **options: Any) -> Row:
    title = name + "".join(f" {value}" for value in options.values())
    return unary(
        title, domain, _LOOSE, function=lambda m, x: getattr(m.nn.functional, name)(x, **options),
        signed_zeros=False, torch_edges=torch_edges,
    )  # fmt: skip


_ACTIVATIONS = (
    # Of infinity torch's is NaN, where the processor has AVX-512 and oneDNN computes it.
    _activation("gelu", torch_edges=False), _activation("gelu", approximate="tanh"),
    _activation("silu"), _activation("softplus"),
    _activation("leaky_relu"), _activation("leaky_relu", negative_slope=0.2),
    Row(name="log(1 + exp) at 0 and far from it",
        function=lambda m, x: (m.nn.functional.softplus(x), m.nn.functional.logsigmoid(x), m.nn.functional.mish(x),
                               m.logaddexp(x, x.flip(0))),
        cases=(case(_FROM_0_FAR),), dtypes=DOUBLE, tolerance=_LOOSE),
)  # fmt: skip

_SOFTMAX_CASES = (
    case(tensor(9), dim=0), case(tensor(3, 17), dim=1), case(tensor(3, 17), dim=0), case(tensor(2, 5, 33), dim=-1),
    case(tensor(4, 1), dim=1), case(tensor(2, 3, 4, 5), dim=1),
)  # fmt: skip


def _extreme_logits(dtype: Any) -> tuple[Case, ...]:
    return (case(data([[1000.0, 1000, -1000], [0, -numpy.inf, 1], [-1000, -1001, -1002], [60, 0, -60]]), dim=1),)


_NORMALISED = (
    Row(name="softmax", function=lambda m, x, dim: m.softmax(x, dim), cases=_SOFTMAX_CASES,
        edge_cases=_extreme_logits,
        tolerance=_LOOSE),
    Row(name="log_softmax", function=lambda m, x, dim: m.log_softmax(x, dim), cases=_SOFTMAX_CASES,
        edge_cases=_extreme_logits, tolerance=_LOOSE),
    Row(name="layer_norm", function=lambda m, x, w, b: m.nn.functional.layer_norm(x, tuple(w.shape), w, b),
        cases=(case(tensor(3, 17), tensor(17), tensor(17)), case(tensor(2, 4, 9), tensor(9), tensor(9)),
               case(tensor(2, 4, 9), tensor(4, 9), tensor(4, 9))), dtypes=DOUBLE, tolerance=COMPOSED),
    Row(
        name="batch_norm",
        function=lambda m, x, mean, var, w, b, training: m.nn.functional.batch_norm(
            x, mean * 1, var * 1, w, b, training),
        cases=tuple(
            case(tensor(*shape), fixed(3), fixed(3, domain=values.positive), tensor(3), tensor(3), training=t)
            for shape in ((8, 3), (4, 3, 5), (2, 3, 4, 5)) for t in (False, True)
        ),
        dtypes=DOUBLE, tolerance=COMPOSED,
    ),
    Row(name="group_norm", function=lambda m, x, w, b: m.nn.functional.group_norm(x, 2, w, b), dtypes=DOUBLE,
        cases=(case(tensor(2, 4, 3, 3), tensor(4), tensor(4)),), tolerance=COMPOSED),
    Row(name="normalize", function=lambda m, x: m.nn.functional.normalize(x, dim=1), dtypes=DOUBLE,
        cases=(case(tensor(3, 9)),), tolerance=COMPOSED),
)  # fmt: skip


def _convolution(x: tuple[int, ...], w: tuple[int, ...], bias: bool = True, **options: Any) -> Case:
    inputs = (tensor(*x), tensor(*w), *((tensor(w[0]),) if bias else ()))
    return case(*inputs, **options)


_CONVOLUTIONS = (
    Row(
        name="conv2d",
        function=lambda m, x, w, b=None, **options: m.nn.functional.conv2d(x, w, b, **options),
        cases=(
            _convolution((2, 3, 7, 9), (4, 3, 3, 3)), _convolution((1, 1, 5, 5), (1, 1, 1, 1), bias=False),
            _convolution((2, 3, 8, 8), (5, 3, 3, 3), padding=1),
            _convolution((2, 3, 9, 8), (5, 3, 3, 3), stride=2, padding=1),
            _convolution((2, 3, 9, 8), (5, 3, 3, 2), stride=(2, 1), padding=(1, 0), bias=False),
            _convolution((1, 2, 11, 11), (3, 2, 3, 3), dilation=2, padding=2),
            _convolution((1, 2, 11, 12), (3, 2, 3, 3), dilation=(2, 3), stride=2),
            _convolution((2, 4, 6, 6), (6, 2, 3, 3), groups=2, padding=1),
            _convolution((2, 4, 6, 6), (4, 1, 3, 3), groups=4, padding=1), _convolution((2, 8, 5, 5), (16, 8, 1, 1)),
            _convolution((2, 8, 6, 6), (16, 8, 1, 1), stride=2, bias=False),
            _convolution((1, 3, 16, 16), (8, 3, 7, 7), stride=2, padding=3, bias=False),
            _convolution((2, 3, 5, 5), (2, 3, 3, 3), padding="same"),
            _convolution((2, 16, 8, 8), (17, 16, 3, 3), padding=1),
            _convolution((3, 6, 6), (4, 3, 3, 3)), _convolution((2, 3, 7, 7), (4, 3, 2, 2), stride=3),
        ),
        dtypes=DOUBLE, tolerance=SUMMED,
    ),
    Row(
        name="conv2d, batch norm, relu and residual",
        function=lambda m, x, w, s, b: m.relu(
            m.nn.functional.batch_norm(m.nn.functional.conv2d(x, w, padding=1), None, None, s, b, True) + x),
        cases=(case(tensor(2, 8, 6, 6), tensor(8, 8, 3, 3), tensor(8), tensor(8)),), dtypes=DOUBLE,
        tolerance=COMPOSED,
        second_order=False,
    ),
)  # fmt: skip


def _pooling(name: str, domain: Domain, *cases: dict[str, Any], **fields: Any) -> Row:
    return Row(
        name=name,
        function=lambda m, x, **options: getattr(m.nn.functional, name)(x, **options),
        cases=tuple(case(tensor(2, 3, 9, 8, domain=domain), **options) for options in cases),
        dtypes=DOUBLE, **fields,
    )  # fmt: skip


_INDEXED: tuple[dict[str, Any], ...] = (
    {"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": (9, 3), "padding": (4, 1)},
    {"kernel_size": (3, 2), "stride": (1, 2), "dilation": (2, 1), "ceil_mode": True},
)  # fmt: skip
_POOLING = (
    _pooling("max_pool2d", values.apart, {"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1},
             {"kernel_size": (3, 2), "stride": (1, 2)}, {"kernel_size": 2, "dilation": 2},
             {"kernel_size": 3, "stride": 1},
             {"kernel_size": 2, "stride": 3, "ceil_mode": True},
             {"kernel_size": (9, 2), "stride": 1, "padding": (4, 1)},
             tolerance=EXACT),
    _pooling("avg_pool2d", normal, {"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1},
             {"kernel_size": 3, "stride": 1, "padding": 1, "count_include_pad": False}, {"kernel_size": (3, 2)},
             tolerance=SUMMED),
    _pooling("adaptive_avg_pool2d", normal, {"output_size": 1}, {"output_size": (3, 2)}, {"output_size": (9, 8)},
             {"output_size": (4, 3)}, tolerance=SUMMED),
    Row(name="ties in max_pool2d", function=lambda m, x: m.nn.functional.max_pool2d(x, 2), dtypes=FLOATS,
        tolerance=EXACT,
        cases=(case(tensor(1, 2, 6, 6, domain=values.ties)),), gradients=False),
    Row(name="max_pool2d with indices",
        function=lambda m, x, **options: m.nn.functional.max_pool2d(x, return_indices=True, **options),
        cases=tuple(case(tensor(2, 3, 9, 8, domain=values.apart), **options) for options in _INDEXED),
        edge_cases=lambda dtype: tuple(case(tensor(2, 3, 9, 8, domain=values.ties), **options) for options in _INDEXED),
        dtypes=DOUBLE, tolerance=EXACT),
)  # fmt: skip

_IGNORED = data([0, 2, -100, 4, -100, 1, 3], int64)


def _loss(name: str, *cases: Case, **fields: Any) -> Row:
    return Row(
        name=name, function=lambda m, *tensors, **options: getattr(m.nn.functional, name)(*tensors, **options),
        cases=cases, dtypes=DOUBLE, tolerance=_LOOSE, **fields,
    )  # fmt: skip


_LOGITS = tensor(7, 5)
_TARGETS = index(7, domain=below(5))
_REDUCTIONS = ("mean", "sum", "none")
_LOSSES = (
    _loss(
        "cross_entropy",
        *(case(_LOGITS, _TARGETS, reduction=r) for r in _REDUCTIONS), case(_LOGITS, _TARGETS, label_smoothing=0.1),
        *(case(_LOGITS, _IGNORED, reduction=r) for r in _REDUCTIONS), case(_LOGITS, _TARGETS, ignore_index=2),
        case(_LOGITS, _IGNORED, label_smoothing=0.2),
        *(case(_LOGITS, tensor(7, 5, domain=between(0, 1)), reduction=r) for r in _REDUCTIONS),
        case(_LOGITS, tensor(7, 5, domain=between(0, 1)), label_smoothing=0.3),
        case(tensor(2, 5, 3, 4), index(2, 3, 4, domain=below(5))), case(tensor(5), index(domain=below(5))),
    ),
    Row(name="cross_entropy with weights", function=lambda m, x, t, w, **options: m.nn.functional.cross_entropy(
            x, t, weight=w, **options),
        cases=tuple(case(_LOGITS, t, fixed(5, domain=values.positive), **o) for t in (_TARGETS, _IGNORED)
                    for o in ({}, {"reduction": "sum"}, {"label_smoothing": 0.1})), dtypes=DOUBLE, tolerance=_LOOSE),
    Row(name="nll_loss", function=lambda m, x, t, **o: m.nn.functional.nll_loss(m.log_softmax(x, 1), t, **o),
        cases=(*(case(_LOGITS, _TARGETS, reduction=r) for r in _REDUCTIONS), case(_LOGITS, _IGNORED)), dtypes=DOUBLE,
        tolerance=_LOOSE),
    _loss("mse_loss", *(case(tensor(3, 5), tensor(3, 5), reduction=r) for r in _REDUCTIONS)),
    _loss("l1_loss", *(case(tensor(3, 5, domain=values.apart), tensor(3, 5, domain=between(10, 11)), reduction=r)
                       for r in _REDUCTIONS), second_order=False),
    _loss("smooth_l1_loss",
        *(case(tensor(3, 5), tensor(3, 5, domain=between(3, 5)), reduction=r) for r in _REDUCTIONS),
          second_order=False),
    _loss(
        "binary_cross_entropy_with_logits",
        *(case(tensor(3, 5), tensor(3, 5, domain=between(0, 1)), reduction=r) for r in _REDUCTIONS),
        case(_FROM_0_FAR, tensor(13, domain=between(0, 1)), reduction="none"),
        *(case(_FROM_0_FAR, data([number] * 13), reduction="none") for number in (0.0, 1.0)),
        edge_cases=lambda dtype: (case(data([1000.0, -1000, 0, 50]), data([1.0, 0.0, 1.0, 0.0])),),
    ),
    Row(name="binary_cross_entropy_with_logits with weights",
        function=lambda m, x, t, w, p, **options: m.nn.functional.binary_cross_entropy_with_logits(
            x, t, weight=w, pos_weight=p, **options),
        cases=(case(tensor(3, 5), tensor(3, 5, domain=between(0, 1)), fixed(5, domain=values.positive),
                    fixed(5, domain=values.positive)),
               case(_FROM_0_FAR, tensor(13, domain=between(0, 1)), fixed(13, domain=values.positive),
                    fixed(1, domain=values.positive), reduction="none")),
        dtypes=DOUBLE, tolerance=_LOOSE),
)  # fmt: skip

ROWS: tuple[Row, ...] = (*_ACTIVATIONS, *_NORMALISED, *_CONVOLUTIONS, *_POOLING, *_LOSSES)
