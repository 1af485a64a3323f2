"""Bodies that differ in buffers and numbers alone are one function."""

from __future__ import annotations

from lazygrad_opencl.sharing import share


def declare(name: str, new: str) -> str:
    return f"float* {new}" if name[0] == "b" else f"int {new}"


def shared(*bodies: list[str]):
    return share(bodies, declare)


def body(buffer: int, size: int, divisor: int = 3, offset: int = 8) -> list[str]:
    return [
        f"const long i1 = group * 16; // i0 of {size}",
        f"for (long v2 = i1; v2 < {size}; v2 += 8) {{ // {size} elements",
        f"    const long q3 = v2 / {divisor};",
        f"    b{buffer}[v2 + {offset}] = v2 < 5 ? x.s0 : b{buffer + 1}[q3];",
        "}",
    ]


def test_sizes_become_arguments_and_what_is_the_same_stays_a_literal():
    functions, calls = shared(body(0, 640), body(2, 1280))
    (function,) = functions
    assert function.parameters == ("int a0", "float* a1", "float* a2", "const long n0_size")
    assert function.lines == (
        "const long i1 = a0 * 16;",
        "for (long v2 = i1; v2 < n0_size; v2 += 8) {",
        "    const long q3 = v2 / 3;",
        "    a1[v2 + 8] = v2 < 5 ? x.s0 : a2[q3];",
        "}",
    )
    assert [call.arguments for call in calls] == [("group", "b0", "b1", "640"), ("group", "b2", "b3", "1280")]
    assert {call.number for call in calls} == {0}


def test_divisors_and_numbers_beside_elements_are_not_sizes():
    functions, calls = shared(body(0, 640), body(0, 640, divisor=7), body(0, 640, offset=16))
    assert [function.number for function in functions] == [0, 1, 2]
    assert [call.number for call in calls] == [0, 1, 2]


def test_equal_bodies_on_other_buffers_need_no_sizes():
    functions, calls = shared(body(0, 640), body(4, 640))
    assert len(functions) == 1
    assert [call.arguments for call in calls] == [("group", "b0", "b1"), ("group", "b4", "b5")]


def test_a_body_of_its_own_keeps_its_names():
    functions, calls = shared(body(3, 64))
    assert functions[0].parameters == ("int group", "float* b3", "float* b4")
    assert functions[0].lines == tuple(body(3, 64))
    assert calls[0].arguments == ("group", "b3", "b4")


def uniform(scale: str, low: str, divisor: str = "3.0f") -> list[str]:
    return [
        f"const float8 t1 = (t0 * {scale}) + {low};",
        f"const float8 t2 = t1 / {divisor} + t1 / (float8)({divisor});",
        "const float8 t3 = t2 > 0.5f ? t2 : x.s0;",
    ]


def test_values_become_arguments_and_what_is_the_same_stays_a_literal():
    functions, calls = shared(uniform("9.8e-09f", "(-0.25f)"), uniform("4.9f", "1.0f"))
    (function,) = functions
    assert function.parameters == ("const float n0_value", "const float n1_value")
    assert function.lines == (
        "const float8 t1 = (t0 * n0_value) + n1_value;",
        "const float8 t2 = t1 / 3.0f + t1 / (float8)(3.0f);",
        "const float8 t3 = t2 > 0.5f ? t2 : x.s0;",
    )
    assert [call.arguments for call in calls] == [("9.8e-09f", "(-0.25f)"), ("4.9f", "1.0f")]


def test_values_that_divide_are_no_arguments():
    functions, _ = shared(uniform("1.5f", "1.0f"), uniform("1.5f", "1.0f", divisor="7.0f"))
    assert [function.number for function in functions] == [0, 1]
