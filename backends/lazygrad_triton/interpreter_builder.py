"""What Triton's interpreter does for each operation, for many block programs at once.

In: Triton's own interpreter, which runs one program after the other and takes a tenth of a millisecond for each
operation of each. Out: a builder whose arrays have one axis more, the first, for the programs (of extent 1 where all
are alike), so that an operation costs the same for one program and for a hundred. Operations that Triton's
interpreter computes otherwise than hardware (bfloat16, shifts, NaN) are corrected here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import ml_dtypes
import numpy
import triton.language as tl
from triton.runtime.interpreter import InterpreterBuilder, InterpreterOptions, TensorHandle, _get_np_dtype

from lazygrad_triton.interpreter_memory import AddressSpace, Array
from lazygrad_triton.versions import splat_arguments

_BFLOAT16 = numpy.dtype(ml_dtypes.bfloat16)


class Divergence(Exception):
    """Control flow depends on a value that is not the same in all programs that run at once."""

    def __init__(self, values: Array) -> None:
        super().__init__()
        self.values = values


@cache
def element_type(dtype: Any) -> numpy.dtype[Any]:
    """The NumPy type in which the interpreter holds elements."""
    found: numpy.dtype[Any] = _get_np_dtype(dtype)
    return found


def uniform(tensor: Any) -> Any:
    """A scalar tensor's value for Python; ``Divergence`` when programs differ in it."""
    data = tensor.handle.data
    value = data.flat[0]
    if data.size > 1 and (data != value).any():
        raise Divergence(data.reshape(-1))
    return value.item()


def _numbers(handle: Any) -> Array:
    """The elements as numbers that NumPy can compute with."""
    data: Array = handle.data
    return data.view(_BFLOAT16).astype(numpy.float32) if handle.dtype.scalar is tl.bfloat16 else data


def _held(data: Array, dtype: Any) -> Any:
    """Numbers as elements of a type, rounded to nearest even."""
    if dtype.scalar is tl.bfloat16:
        return TensorHandle(data.astype(_BFLOAT16).view(numpy.uint16), tl.bfloat16)
    return TensorHandle(data.astype(element_type(dtype.scalar), copy=False), dtype.scalar)


def _together(*handles: Any) -> list[Array]:
    """The arrays with the same number of programs."""
    programs = max(handle.data.shape[0] for handle in handles)
    return [numpy.broadcast_to(handle.data, (programs, *handle.data.shape[1:])) for handle in handles]


class BlockBuilder(InterpreterBuilder):  # type: ignore[misc]
    """Builds on arrays of shape (programs, *block). ``memory`` is what pointers point into."""

    def __init__(self) -> None:
        super().__init__()
        # Checks of integer overflow cost more than the additions they check.
        self.options: Any = InterpreterOptions(sanitize_overflow=False)
        self.memory = AddressSpace()
        self.programs = numpy.zeros(1, numpy.int32)
        self.program_count = 1

    # ---- constants

    def get_all_ones_value(self, type: Any) -> Any:
        return TensorHandle(numpy.array([-1]).astype(element_type(type)), type.scalar)

    def get_null_value(self, type: Any) -> Any:
        return TensorHandle(numpy.zeros(1, element_type(type)), type.scalar)

    def get_int1_ty(self) -> Any:
        return tl.int1

    def get_bf16(self, value: float) -> Any:
        return _held(numpy.array([value], numpy.float32), tl.bfloat16)

    def create_get_program_id(self, axis: int) -> Any:
        return TensorHandle(self.programs if axis == 0 else numpy.zeros(1, numpy.int32), tl.int32)

    def create_get_num_programs(self, axis: int) -> Any:
        return TensorHandle(numpy.array([1 if axis else self.program_count], numpy.int32), tl.int32)

    # ---- memory; the last arguments are hints to caches

    def create_load(self, ptr: Any, *hints: Any) -> Any:
        return self.create_masked_load(ptr, None, None)

    def create_masked_load(self, ptrs: Any, mask: Any, other: Any, *hints: Any) -> Any:
        dtype = ptrs.get_element_ty()
        held = None if other is None else other.data
        chosen = None if mask is None else mask.data
        return TensorHandle(self.memory.load(ptrs.data, chosen, held, element_type(dtype)), dtype)

    def create_store(self, ptr: Any, val: Any, *hints: Any) -> None:
        self.create_masked_store(ptr, val, None)

    def create_masked_store(self, ptrs: Any, value: Any, mask: Any, *hints: Any) -> None:
        dtype = element_type(ptrs.get_element_ty())
        self.memory.store(ptrs.data, value.data, None if mask is None else mask.data, dtype)

    def create_atomic_rmw(self, operation: Any, ptr: Any, val: Any, mask: Any, *hints: Any) -> Any:
        if operation.name not in ("ADD", "FADD") or val.dtype.scalar is tl.bfloat16:
            raise NotImplementedError(f"the interpreter has no atomic {operation.name} of {val.dtype}")
        found = self.memory.add_atomically(ptr.data, val.data, mask.data, element_type(ptr.get_element_ty()))
        return TensorHandle(found, val.dtype.scalar)

    def create_atomic_cas(self, *arguments: Any) -> Any:
        raise NotImplementedError("the interpreter has no atomic compare-and-swap")

    # ---- conversions

    def cast_impl(self, src: Any, dst_type: Any) -> Any:
        return _held(_numbers(src), dst_type)

    def create_fp_to_fp(self, src: Any, dst_type: Any, rounding_mode: Any) -> Any:
        types = (src.dtype.scalar.name, dst_type.scalar.name)
        if any("fp8" in name for name in types) or "RTZ" in str(rounding_mode):
            return super().create_fp_to_fp(src, dst_type, rounding_mode)
        return self.cast_impl(src, dst_type)

    # ---- arithmetic

    def binary_op(self, lhs: Any, rhs: Any, op: Callable[[Array, Array], Array]) -> Any:
        result = op(_numbers(lhs), _numbers(rhs))
        if result.dtype == numpy.bool_:
            return TensorHandle(result, tl.int1)
        return _held(result, lhs.dtype)

    def unary_op(self, arg: Any, op: Callable[[Array], Array]) -> Any:
        return _held(op(_numbers(arg)), arg.dtype)

    def create_frem(self, lhs: Any, rhs: Any) -> Any:
        return self.binary_op(lhs, rhs, numpy.fmod)

    def create_minnumf(self, lhs: Any, rhs: Any) -> Any:
        return self.binary_op(lhs, rhs, numpy.fmin)

    def create_maxnumf(self, lhs: Any, rhs: Any) -> Any:
        return self.binary_op(lhs, rhs, numpy.fmax)

    def create_ashr(self, lhs: Any, rhs: Any) -> Any:
        signed = numpy.dtype(f"int{lhs.data.dtype.itemsize * 8}")
        shifted = numpy.right_shift(lhs.data.view(signed), rhs.data.view(signed))
        return TensorHandle(shifted.view(lhs.data.dtype), lhs.dtype.scalar)

    def create_lshr(self, lhs: Any, rhs: Any) -> Any:
        unsigned = numpy.dtype(f"uint{lhs.data.dtype.itemsize * 8}")
        shifted = numpy.right_shift(lhs.data.view(unsigned), rhs.data.view(unsigned))
        return TensorHandle(shifted.view(lhs.data.dtype), lhs.dtype.scalar)

    def create_umulhi(self, lhs: Any, rhs: Any) -> Any:
        bits = lhs.data.dtype.itemsize * 8
        x, y = (handle.data.view(f"uint{bits}") for handle in (lhs, rhs))
        if bits < 64:
            high = (x.astype(numpy.uint64) * y.astype(numpy.uint64)) >> numpy.uint64(bits)
        else:
            low_bits, half = numpy.uint64(0xFFFFFFFF), numpy.uint64(32)
            x0, x1, y0, y1 = x & low_bits, x >> half, y & low_bits, y >> half
            middle = x1 * y0 + ((x0 * y0) >> half)
            high = x1 * y1 + (middle >> half) + ((x0 * y1 + (middle & low_bits)) >> half)
        return TensorHandle(high.astype(f"uint{bits}").view(lhs.data.dtype), lhs.dtype.scalar)

    def create_dot(self, a: Any, b: Any, d: Any, *precision: Any) -> Any:
        left, right = (_numbers(handle).astype(d.data.dtype) for handle in (a, b))
        return TensorHandle(numpy.matmul(left, right) + d.data, d.dtype.scalar)

    # ---- shapes; the axis of programs stays the first

    def create_make_range(self, *arguments: Any) -> Any:
        start, stop = arguments[-2:]
        return TensorHandle(numpy.arange(start, stop, dtype=numpy.int32)[None], tl.int32)

    def create_splat(self, first: Any, second: Any) -> Any:
        value, shape = splat_arguments(first, second)
        data = value.data.reshape(-1, *(1,) * len(shape))
        return TensorHandle(numpy.broadcast_to(data, (data.shape[0], *shape)), value.dtype.scalar)

    def create_unsplat(self, arg: Any) -> Any:
        return TensorHandle(arg.data.reshape(arg.data.shape[0]), arg.dtype.scalar)

    def create_broadcast(self, arg: Any, shape: Sequence[int]) -> Any:
        return TensorHandle(numpy.broadcast_to(arg.data, (arg.data.shape[0], *shape)), arg.dtype.scalar)

    def create_expand_dims(self, arg: Any, axis: int) -> Any:
        return TensorHandle(numpy.expand_dims(arg.data, axis + 1), arg.dtype.scalar)

    def create_reshape(self, arg: Any, shape: Sequence[int], allow_reorder: bool) -> Any:
        return TensorHandle(arg.data.reshape(arg.data.shape[0], *shape), arg.dtype.scalar)

    def create_trans(self, arg: Any, perm: Sequence[int]) -> Any:
        return TensorHandle(numpy.transpose(arg.data, (0, *(axis + 1 for axis in perm))), arg.dtype.scalar)

    def create_cat(self, lhs: Any, rhs: Any) -> Any:
        return TensorHandle(numpy.concatenate(_together(lhs, rhs), axis=1), lhs.dtype.scalar)

    def create_join(self, lhs: Any, rhs: Any) -> Any:
        return TensorHandle(numpy.stack(_together(lhs, rhs), axis=-1), lhs.dtype.scalar)

    def create_split(self, value: Any) -> Any:
        return tuple(TensorHandle(value.data[..., half], value.dtype.scalar) for half in (0, 1))

    def create_gather(self, src: Any, indices: Any, axis: int) -> Any:
        data, index = _together(src, indices)
        return TensorHandle(numpy.take_along_axis(data, index.astype(numpy.int64), axis + 1), src.dtype.scalar)

    def create_histogram(self, *arguments: Any) -> Any:
        raise NotImplementedError("the interpreter has no histogram")
