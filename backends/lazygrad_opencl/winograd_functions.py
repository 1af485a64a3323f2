"""The parts of Winograd's contractions that take the time, as functions: equal for all sizes of images and channels.

In: the element type ``type_``, the ``lanes`` of a vector, and the ``vectors`` of a panel. Out: functions of pointers,
and of steps in elements. A patch, its products and their sums are squares as large as the transforms' (4 x 4 or 6 x 6),
numbered row by row.
"""

from __future__ import annotations

from lazygrad.kernel.winograd import TAPS, Transforms
from lazygrad_opencl.register_tiles import Row, declare_sums, write_product
from lazygrad_opencl.shared_functions import SharedFunction, shared_function
from lazygrad_opencl.sum_loops import Text
from lazygrad_opencl.winograd_text import write_transform


def patch_transform(type_: str, lanes: int, transforms: Transforms, is_whole: bool) -> SharedFunction:
    """``(from, to, down, last_down, across, last_across, product_step, channels)``: the patch at ``from``, channel by
    channel, to ``to`` plus ``product_step`` for each product.

    Its rows are ``down`` apart and its columns ``across``; what is behind row ``last_down`` or column ``last_across``
    is these again. ``is_whole``: channels are a multiple of the lanes.
    """
    text, side = Text(), transforms.side
    for direction in ("down", "across"):
        for i in range(side):
            step = f"min({i}L, last_{direction}) * {direction}" if i >= TAPS else f"{i} * {direction}"
            text.line(f"const long {direction}{i} = {step};")

    def transform(element_type: str, source: str, target: str) -> None:
        for i in range(side):
            text.line(f"__global const {type_}* const from{i} = from + channel + down{i};")
            text.line(f"__global {type_}* const to{i} = to + channel + {i * side} * product_step;")
        write_transform(
            text, element_type, side, transforms.patch,
            lambda i, j: f"*({source})(from{i} + across{j})",
            lambda i, j, value: text.line(f"*({target})(to{i} + {j} * product_step) = {value};"),
        )  # fmt: skip

    vector = f"{type_}{lanes}"
    text.line("long channel = 0;")
    text.open(f"for (; channel <= channels - {lanes}; channel += {lanes}) {{")
    transform(vector, f"__global const unaligned_{vector}*", f"__global {vector}*")
    text.close()
    if not is_whole:
        text.open("for (; channel < channels; channel++) {")
        transform(type_, f"__global const {type_}*", f"__global {type_}*")
        text.close()
    longs = ("down", "last_down", "across", "last_across", "product_step", "channels")
    return shared_function("transform_patch", _parameters(type_, ("from",), ("to",), longs), text.lines)


def taps_transform(type_: str, lanes: int, vectors: int, transforms: Transforms) -> SharedFunction:
    """``(from, to, down, across, channel_step, product_step, channels)``: a panel's taps, of one channel after the
    other, ``channel_step`` apart, to ``to[product][channel][column]``. A tap is ``down`` from that above it, ``across``
    from that before it.
    """
    text, vector, width, side = Text(), f"{type_}{lanes}", lanes * vectors, transforms.side
    text.open("for (long channel = 0; channel < channels; channel++) {")
    text.open(f"for (long lane = 0; lane < {width}; lane += {lanes}) {{")
    text.line(f"__global const {type_}* const from0 = from + channel * channel_step + lane;")
    text.line(f"__global const {type_}* const from1 = from0 + down;")
    text.line(f"__global const {type_}* const from2 = from1 + down;")
    for i in range(side):
        start = f"channel * {width} + lane + {i * side} * product_step"
        text.line(f"__global {type_}* const to{i} = to + {start};")
    write_transform(
        text, vector, TAPS, transforms.taps,
        lambda i, j: f"*(__global const unaligned_{vector}*)(from{i} + {j} * across)",
        lambda i, j, value: text.line(f"*(__global {vector}*)(to{i} + {j} * product_step) = {value};"),
    )  # fmt: skip
    text.close()
    text.close()
    longs = ("down", "across", "channel_step", "product_step", "channels")
    return shared_function("transform_taps", _parameters(type_, ("from",), ("to",), longs), text.lines)


def patch_products(type_: str, lanes: int, vectors: int, height: int, transforms: Transforms) -> SharedFunction:
    """``(a, b, to, row_step, a_step, b_step, channels)``: the sums over channels of ``height`` rows of ``a``, which are
    ``row_step`` apart, times the vectors of ``b``, for each product ``a_step`` and ``b_step`` further, to
    ``to[row][product][column]``.
    """
    text, vector = Text(), f"{type_}{lanes}"
    text.open(f"for (long product = 0; product < {transforms.products}; product++) {{")
    for r in range(height):
        text.line(f"__global const {type_}* a{r} = a + product * a_step + {r} * row_step;")
        # Else LLVM adds up the step from row to row, in each step of the sum.
        text.line(f"HIDE(a{r});")
    text.line(f"__global const {type_}* const columns = b + product * b_step;")
    sums = declare_sums(text, type_, lanes, vectors, height)
    write_product(text, type_, lanes, vectors, "channels", [Row(f"a{r}") for r in range(height)], 1)
    text.line(f"__global {vector}* const kept = (__global {vector}*)(to + product * {lanes * vectors});")
    for number, name in enumerate(sums):
        row, v = divmod(number, vectors)
        text.line(f"kept[{row * transforms.products * vectors + v}] = {name};")
    text.close()
    longs = ("row_step", "a_step", "b_step", "channels")
    return shared_function("multiply_patches", _parameters(type_, ("a", "b"), ("to",), longs), text.lines)


def added_products(type_: str, lanes: int, vectors: int, height: int) -> SharedFunction:
    """``(a, b, to, a_step, tiles, channels, is_first)``: the sums over tiles of all channels of ``a``, which is
    ``a_step`` further for each tile, times the vectors of ``b``, to ``to[channel][column]``; added to what is there
    unless ``is_first``.
    """
    text, vector = Text(), f"{type_}{lanes}"
    text.line(f"__global const {type_}* const columns = b;")
    text.open(f"for (long channel = 0; channel < channels; channel += {height}) {{")
    text.line(f"__global const {type_}* const rows = a + channel;")
    sums = declare_sums(text, type_, lanes, vectors, height)
    write_product(text, type_, lanes, vectors, "tiles", [Row("rows", r) for r in range(height)], "a_step")
    text.line(f"__global {vector}* const kept = (__global {vector}*)(to + channel * {lanes * vectors});")
    for number, name in enumerate(sums):
        text.line(f"kept[{number}] = is_first ? {name} : kept[{number}] + {name};")
    text.close()
    longs = ("a_step", "tiles", "channels", "is_first")
    return shared_function("add_products", _parameters(type_, ("a", "b"), ("to",), longs), text.lines)


def result_transform(type_: str, lanes: int, vectors: int, transforms: Transforms) -> SharedFunction:
    """``(from, tile)``: the results of a tile's places, from its products, ``from[product][column]``."""
    text, vector = Text(), f"{type_}{lanes}"
    text.open(f"for (long v = 0; v < {vectors}; v++) {{")
    text.line(f"__global const {vector}* const sums = (__global const {vector}*)from + v;")
    write_transform(
        text, vector, transforms.side, transforms.result,
        lambda i, j: f"sums[{(i * transforms.side + j) * vectors}]",
        lambda i, j, value: text.line(f"tile[{(i * transforms.tile + j) * vectors} + v] = {value};"),
    )  # fmt: skip
    text.close()
    parameters = [*_parameters(type_, ("from",), (), ()), f"{vector}* restrict tile"]
    return shared_function("transform_products", parameters, text.lines)


def _parameters(type_: str, read: tuple[str, ...], written: tuple[str, ...], longs: tuple[str, ...]) -> list[str]:
    return [
        *(f"__global const {type_}* restrict {name}" for name in read),
        *(f"__global {type_}* restrict {name}" for name in written),
        *(f"const long {name}" for name in longs),
    ]
