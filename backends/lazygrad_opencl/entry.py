"""One kernel for all functions of a program, which is told at launch which of them to run.

PoCL takes 45 ms for each kernel before it has looked at a statement: passes over a module, a linker's process, a file,
and at a warm start another file to load. It is paid once for a program when its functions are called by one kernel.

In: the texts of functions, each a ``__kernel`` of its own with the signature that says how it is called. Out: the text
of the program, in which they are ordinary functions and the last is the entry; and where each function is to be found.
The entry's arguments are the function's number, then as many pointers as any function takes, then as many words of 8
bytes. Those a function does not take are null and 0.

Beside the entry stands a *runner*, which runs one work-group of a function whose arguments lie in memory. The entry
puts its own there, in the function's order, and calls it; there is one of it, but PoCL compiles three copies of an
entry. For numbers from ``IN_MEMORY`` on it calls it for the function whose number is what is above, with arguments
where the first pointer points. Asked for ``ADDRESS`` instead of a function, it writes the runner's address there, so
that a team can call it (``team_text.py``). On machines for which that is not written down, nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

# How a kernel for one item per work-group begins.
KERNEL = "__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void "
# What such a kernel is for the runner, which alone calls it: a function that is told its work-group.
_FUNCTION = "INLINE void {name}(const int work_group, "
_GROUP = "get_group_id(0)"
IN_MEMORY = 2**63
ADDRESS = 2**64 - 1
# The C expression for an argument of a type that is handed over in a word; integers are converted.
_FROM_WORD = {"float": "as_float((uint){word})", "double": "as_double({word})"}
_NAME_DIGITS = 16
# PoCL has other machine code for launches of more work-items than these. Kernels that want more are their own.
MOST_ITEMS = 65_534
# Of 8 bytes each: the 1,024 bytes that every device takes.
MOST_ARGUMENTS = 128


class Signature(NamedTuple):
    """A function's arguments, in order: buffers, numbers of C types, and scratch memory if it wants any."""

    buffers: int
    numbers: tuple[str, ...]
    has_scratch: bool


class Function(NamedTuple):
    """One kernel function with a name that no other source has. Same text, same name, in every process.

    ``signature`` is None where no entry may call it: it is a kernel for itself.
    """

    name: str
    text: str
    signature: Signature | None = None


class Home(NamedTuple):
    """Where a function is: its program, the kernel in it, and how that is told.

    ``number`` is None where the kernel is the function itself.
    """

    program: str
    kernel: str
    number: int | None = None
    pointers: int = 0
    words: int = 0

    @property
    def first_pointer(self) -> int:
        """The position of the function's first pointer among the kernel's arguments."""
        return 0 if self.number is None else 1

    def first_word(self, pointers: int) -> int:
        """That of its first number, for a function that takes so many pointers before its numbers."""
        return pointers if self.number is None else 1 + self.pointers


class Merged(NamedTuple):
    """A program: its text, the text of one with the same entry that computes nothing, and the entry."""

    text: str
    stub: str
    kernel: str
    pointers: int
    words: int


def can_enter(signatures: Sequence[Signature]) -> bool:
    """Whether one entry has arguments enough for functions of all these signatures."""
    pointers, words = _sizes(signatures)
    return 1 + pointers + words <= MOST_ARGUMENTS


def _sizes(signatures: Sequence[Signature]) -> tuple[int, int]:
    """Pointers and words of an entry."""
    pointers = max(signature.buffers + signature.has_scratch for signature in signatures)
    return pointers, max(len(signature.numbers) for signature in signatures)


def program_text(prelude: str, group: Sequence[Function]) -> str:
    """The text of a program in which each function is a kernel."""
    return "\n".join([prelude, *(function.text for function in group)])


def merge(prelude: str, group: Sequence[Function]) -> Merged | None:
    """The program of functions behind one entry; None where one of them cannot be called by another kernel."""
    signatures = [function.signature for function in group if function.signature is not None]
    if len(signatures) < len(group) or not can_enter(signatures):
        return None
    pointers, words = _sizes(signatures)
    digits = sha256(program_text(prelude, group).encode()).hexdigest()[:_NAME_DIGITS]
    kernel, runner = f"entry_{digits}", f"runner_{digits}"
    parameters = [f"__global void* p{number}" for number in range(pointers)]
    parameters += [f"const ulong w{number}" for number in range(words)]
    head = f"{KERNEL}{kernel}(\n    " + ",\n    ".join(["const ulong number", *parameters]) + ") {"
    entry = [
        *_numbers_of_arguments(kernel, signatures),
        head,
        *_address_of(runner),
        f"    if (number >= {IN_MEMORY}ul) {{",
        f"        {runner}(number - {IN_MEMORY}ul, (__global const ulong*)p0, (int){_GROUP});",
        "        return;",
        "    }",
        *_in_order(kernel, pointers, words),
        f"    {runner}(number, (__global const ulong*)(ulong)words, (int){_GROUP});",
        "}\n",
    ]
    # Launched without buffers it does nothing, as the functions. That it is launched otherwise must not happen.
    stub = [head, "    if (p0) __builtin_trap();", "}\n"]
    texts = [prelude, *map(_as_function, group), *_runner(runner, group), *entry]
    return Merged("\n".join(texts), "\n".join(stub), kernel, pointers, words)


def _as_function(function: Function) -> str:
    head = _FUNCTION.format(name=function.name)
    return function.text.replace(f"{KERNEL}{function.name}(", head, 1).replace(_GROUP, "work_group")


def _runner(name: str, group: Sequence[Function]) -> list[str]:
    """A function's arguments are its buffers' addresses, its numbers, and the address of scratch memory."""
    lines = [
        f"NOT_INLINE void {name}(",
        "    const ulong number, __global const ulong* words, const int group) {",
        "    switch (number) {",
    ]
    for number, function in enumerate(group):
        assert function.signature is not None
        buffers, numbers, has_scratch = function.signature
        arguments = ["group", *(_pointer(position) for position in range(buffers))]
        for position, c_type in enumerate(numbers, buffers):
            text = _FROM_WORD.get(c_type, f"({c_type}){{word}}")
            arguments.append(text.format(word=f"words[{position}]"))
        arguments += [_pointer(buffers + len(numbers))] * has_scratch
        lines.append(f"        case {number}: {function.name}({', '.join(arguments)}); return;")
    return [*lines, "    }", "}"]


def _pointer(position: int) -> str:
    return f"(__global void*)words[{position}]"


def _address_of(function: str) -> list[str]:
    """OpenCL C has no address of a function."""
    return [
        "#if defined(__x86_64__)",
        f"    if (number == {ADDRESS}ul && p0) {{",
        "        ulong address;",
        f'        __asm__("leaq {function}(%%rip), %0" : "=r"(address));',
        "        *(__global ulong*)p0 = address;",
        "        return;",
        "    }",
        "#endif",
    ]


def _numbers_of_arguments(kernel: str, signatures: Sequence[Signature]) -> list[str]:
    """How many buffers each function takes, and how many numbers."""
    buffers = ", ".join(str(signature.buffers) for signature in signatures)
    numbers = ", ".join(str(len(signature.numbers)) for signature in signatures)
    return [
        f"__constant uchar {kernel}_buffers[] = {{{buffers}}};",
        f"__constant uchar {kernel}_numbers[] = {{{numbers}}};",
    ]


def _in_order(kernel: str, pointers: int, words: int) -> list[str]:
    """Puts the entry's arguments where a runner finds those of the function."""
    lines = [f"    ulong words[{pointers + words + 1}];"]
    lines += [f"    words[{number}] = (ulong)p{number};" for number in range(pointers)]
    lines += [
        f"    words[{pointers}] = 0;",
        f"    const int buffers = {kernel}_buffers[number];",
        "    const ulong scratch = words[buffers];",
    ]
    lines += [f"    words[buffers + {number}] = w{number};" for number in range(words)]
    return [*lines, f"    words[buffers + {kernel}_numbers[number]] = scratch;"]
