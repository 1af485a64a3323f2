"""What stands at the top of every program: vector types that need no alignment, and functions C has no operator for.

Half-width floats are converted by integer arithmetic, because few devices compute in them and some flush
subnormal numbers. Sources: F. Giesen, "Float->half variants" (public domain, 2016), arranged for vectors
without branches.
"""

from __future__ import annotations

from lazygrad.ir.dtype import float64
from lazygrad.runtime import Capabilities
from lazygrad_opencl.instruction_set import definition
from lazygrad_opencl.types import LANE_COUNTS

_ELEMENTS = (
    ("char", 1), ("uchar", 1), ("short", 2), ("ushort", 2), ("int", 4), ("uint", 4), ("long", 8),
    ("ulong", 8), ("float", 4),
)  # fmt: skip

# All that processors' kernels need of OpenCL's functions, for compilers that are told not to read their 17,000
# declarations (build.py).
_LIBRARY = ("size_t __attribute__((overloadable, const)) get_group_id(uint axis);",)

# What compilers may know beyond the language: stores around the caches, and asking for memory before it is needed. Of
# the second, a pointer's address space must not be part, so it goes through an integer. The third is for PoCL's LLVM
# (outer_loops.py).
_HINTS = """\
#ifndef __has_builtin
#define __has_builtin(name) 0
#endif
#if __has_builtin(__builtin_nontemporal_store)
#define STORE_AROUND_CACHES(value, place) __builtin_nontemporal_store(value, place)
#else
#define STORE_AROUND_CACHES(value, place) *(place) = (value)
#endif
#if __has_builtin(__builtin_prefetch)
#define FETCH(place) __builtin_prefetch((const void*)(size_t)(place))
#define FETCH_TO_STORE(place) __builtin_prefetch((const void*)(size_t)(place), 1)
#else
#define FETCH(place)
#define FETCH_TO_STORE(place)
#endif
#ifdef WITHOUT_LIBRARY
#define HIDE(index) __asm__("" : "+r"(index))
#else
#define HIDE(index)
#endif
"""

# Square roots of all lanes at once. Written lane by lane they stay so, and take LLVM ten times as long.
_SQUARE_ROOTS = {
    ("float", 4): ("__builtin_ia32_sqrtps", ""), ("double", 2): ("__builtin_ia32_sqrtpd", ""),
    ("float", 8): ("__builtin_ia32_sqrtps256", ""), ("double", 4): ("__builtin_ia32_sqrtpd256", ""),
    # Told to round as ever.
    ("float", 16): ("__builtin_ia32_sqrtps512", ", 4"), ("double", 8): ("__builtin_ia32_sqrtpd512", ", 4"),
}  # fmt: skip
# LANES is empty or a number of lanes; all conversions between widths are written so that vectors have them too.
_HALVES = """\
VECTOR_INLINE floatLANES half_to_floatLANES(const ushortLANES half_bits) {
    const intLANES bits = WIDEN(half_bits);
    const intLANES size = (bits & 0x7fff) << 13;
    const intLANES exponent = size & 0x0f800000;
    const intLANES normal = size + 0x38000000;
    const intLANES tiny = AS_INT(AS_FLOAT(size + 0x38800000) - AS_FLOAT((intLANES)(0x38800000)));
    const intLANES finite = exponent == 0 ? tiny : normal;
    const intLANES result = exponent == 0x0f800000 ? normal + 0x38000000 : finite;
    return AS_FLOAT(result | ((bits & 0x8000) << 16));
}
VECTOR_INLINE ushortLANES float_to_halfLANES(const floatLANES value) {
    const intLANES bits = AS_INT(value);
    const intLANES size = bits & 0x7fffffff;
    const intLANES normal = (size - 0x38000000 + 0xfff + ((size >> 13) & 1)) >> 13;
    const intLANES tiny = AS_INT(AS_FLOAT(size) + 0.5f) - 0x3f000000;
    const intLANES finite = size < 0x38800000 ? tiny : normal;
    const intLANES special = size > 0x7f800000 ? (intLANES)(0x7e00) : (intLANES)(0x7c00);
    const intLANES result = size >= 0x47800000 ? special : finite;
    return NARROW(result | ((bits >> 16) & 0x8000));
}
VECTOR_INLINE floatLANES bfloat_to_floatLANES(const ushortLANES bfloat_bits) {
    return AS_FLOAT(WIDEN(bfloat_bits) << 16);
}
VECTOR_INLINE ushortLANES float_to_bfloatLANES(const floatLANES value) {
    const intLANES bits = AS_INT(value);
    const intLANES rounded = AS_INT(AS_UINT(bits) + 0x7fff + AS_UINT((bits >> 16) & 1)) >> 16;
    const intLANES quiet = (bits >> 16) | 0x40;
    return NARROW((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}
"""

# Rounded to minus infinity; 0 where the divisor is 0. The unsigned negation avoids the one overflow, minimum / -1.
_INTEGERS = """\
INLINE SIGNED floor_divide_SIGNED(const SIGNED x, const SIGNED y) {
    if (y == 0) return 0;
    if (y == -1) return (SIGNED)(-(UNSIGNED)x);
    const SIGNED quotient = x / y;
    return quotient - ((x % y != 0) && ((x < 0) != (y < 0)));
}
INLINE SIGNED remainder_SIGNED(const SIGNED x, const SIGNED y) {
    if (y == 0 || y == -1) return 0;
    const SIGNED rest = x % y;
    return rest != 0 && (x < 0) != (y < 0) ? rest + y : rest;
}
INLINE SIGNED power_SIGNED(const SIGNED x, const SIGNED y) {
    if (y < 0) return x == 1 ? 1 : x == -1 ? ((y & 1) ? -1 : 1) : 0;
    UNSIGNED result = 1, square = (UNSIGNED)x;
    for (UNSIGNED rest = (UNSIGNED)y; rest; rest >>= 1) {
        if (rest & 1) result *= square;
        square *= square;
    }
    return (SIGNED)result;
}
"""


def _halves(lanes: int) -> str:
    suffix = str(lanes) if lanes > 1 else ""
    text = _HALVES.replace("LANES", suffix)
    for name, kind in (("AS_INT", "int"), ("AS_UINT", "uint"), ("AS_FLOAT", "float")):
        text = text.replace(name, f"as_{kind}{suffix}")
    if lanes == 1:
        return text.replace("WIDEN(", "(int)(").replace("NARROW(", "(ushort)(")
    for name, kind in (("WIDEN", "int"), ("NARROW", "ushort")):
        text = _convert_calls(text, name, f"{kind}{suffix}")
    return text


def _square_roots(element: str, size: int, vector_bytes: int) -> str:
    """For all numbers of lanes: an instruction, or else those of two halves."""
    half = {4: "__builtin_sqrtf", 8: "__builtin_sqrt"}[size]
    text = ""
    for lanes in LANE_COUNTS:
        kind = f"{element}{lanes}"
        function = f"square_root_{kind}"
        head = f"VECTOR_INLINE {kind} {function}(const {kind} x) {{ return"
        halves = f"{head} ({kind})({half}(x.lo), {half}(x.hi)); }}\n"
        builtin, further = _SQUARE_ROOTS.get((element, lanes), ("", ""))
        if builtin and lanes * size <= vector_bytes:
            text += f"#if __has_builtin({builtin})\n{head} {builtin}(x{further}); }}\n#else\n{halves}#endif\n"
        else:
            text += halves
        half = function
    return text


def _convert_calls(text: str, name: str, target: str) -> str:
    """``NAME(x)`` as ``__builtin_convertvector``: the library's convert_... is not inlined everywhere."""
    start = text.find(f"{name}(")
    while start >= 0:
        end, nesting = start + len(name) + 1, 1
        while nesting:
            nesting += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        inner = text[start + len(name) + 1 : end - 1]
        text = f"{text[:start]}__builtin_convertvector({inner}, {target}){text[end:]}"
        start = text.find(f"{name}(")
    return text


def prelude(capabilities: Capabilities) -> str:
    """The program's first lines, to be put before the kernels' texts."""
    vectors = capabilities.machine.flavour == "cpu"
    lines = []
    elements = list(_ELEMENTS)
    if float64 in capabilities.dtypes:
        lines.append("#pragma OPENCL EXTENSION cl_khr_fp64 : enable")
        elements.append(("double", 8))
    lines.append(definition(capabilities.machine.vector_bytes) if vectors else "#define INSTRUCTIONS")
    lines.append("#define INLINE static inline __attribute__((always_inline))")
    # Compilers ask of functions of vectors that they are compiled for what those who call them are.
    lines.append("#define VECTOR_INLINE static inline __attribute__((always_inline INSTRUCTIONS))")
    lines.append("#define NOT_INLINE static __attribute__((noinline INSTRUCTIONS))")
    if vectors:
        lines.extend(["#ifdef WITHOUT_LIBRARY", *_LIBRARY, "#endif"])
    if vectors:
        lines.extend(
            f"typedef {element} unaligned_{element}{lanes} __attribute__((ext_vector_type({lanes}), aligned({size})));"
            for element, size in elements
            for lanes in LANE_COUNTS
        )
    text = "\n".join(lines) + "\n"
    if vectors:
        text += _HINTS
        text += "".join(
            _square_roots(element, size, capabilities.machine.vector_bytes)
            for element, size in elements
            if element in ("float", "double")
        )
    for lanes in (1, *LANE_COUNTS) if vectors else (1,):
        text += _halves(lanes)
    for signed in ("int", "long"):
        text += _INTEGERS.replace("UNSIGNED", f"u{signed}").replace("SIGNED", signed)
    return text
