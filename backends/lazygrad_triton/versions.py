"""Everything that differs between the versions of Triton that are served, 3.2 to 3.9.

What is asked for here that needs Triton imports it; ``installed_version`` and what reads metadata do not, so that a
warm start loads no compiler.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

OLDEST = (3, 2)
_VERSION = re.compile(r"^__version__ *= *['\"]([^'\"]+)['\"]", re.MULTILINE)


@lru_cache(maxsize=1)
def installed_version() -> str | None:
    """The version of the Triton that an import would find, without importing it; None when there is none."""
    found = _package()
    match = _VERSION.search((found / "__init__.py").read_text()) if found is not None else None
    return match[1] if match is not None else None


def _package() -> Path | None:
    """Triton's folder."""
    found = importlib.util.find_spec("triton")
    return None if found is None or found.origin is None else Path(found.origin).parent


def numbers(version: str) -> tuple[int, int]:
    """A version's first two numbers.

    >>> numbers("3.10.1+git") > OLDEST, numbers("3.1.0") > OLDEST
    (True, False)
    """
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match is not None else (0, 0)


# ---- compiling


def ast_source(function: Any, signature: Mapping[str, str], divisible: Sequence[int]) -> Any:
    """The function with its parameters' types; those numbered in ``divisible`` are multiples of 16."""
    from triton.compiler import ASTSource

    try:
        from triton.backends.compiler import AttrsDescriptor
    except ImportError:
        attributes: Any = {(number,): [["tt.divisibility", 16]] for number in divisible}
    else:
        properties = {"arg_properties": {"tt.divisibility": list(divisible)}, "cls": "AttrsDescriptor"}
        attributes = AttrsDescriptor.from_dict(properties)
    return ASTSource(function, signature=dict(signature), attrs=attributes)


def skip_hash_of_compiler() -> None:
    """Keeps Triton from hashing its own library, a second of work that only its own cache needs."""
    import triton.compiler.compiler
    import triton.runtime.cache

    for module in (triton.compiler.compiler, triton.runtime.cache):
        if hasattr(module, "triton_key"):
            module.triton_key = lambda: ""


def scratch_areas(metadata: Mapping[str, Any]) -> tuple[int, ...]:
    """Bytes for each program of the areas whose pointers follow the arguments: 3.2 has none, 3.3 one, 3.5 two."""
    return tuple(int(metadata[name]) for name in ("global_scratch_size", "profile_scratch_size") if name in metadata)


def assembler(architecture: int) -> tuple[str, ...]:
    """The command of NVIDIA's assembler inside Triton as it uses it: one or two of them, with or without an option."""
    folder, version = _package(), installed_version()
    if folder is None or version is None:
        raise RuntimeError("Triton is not installed, and the assembler with it; pip install 'lazygrad[triton]'")
    tools = folder / "backends" / "nvidia" / "bin"
    newer = tools / "ptxas-blackwell"
    takes_newer = architecture >= (90 if numbers(version) >= (3, 9) else 100)
    command = str(newer if takes_newer and newer.exists() else tools / "ptxas")
    return (command, "--regAllocOptLevel=2") if numbers(version) >= (3, 7) else (command,)


# ---- interpreting


def language_argument(builder: Any) -> tuple[str, Any]:
    """The keyword argument by which a function of the language learns what it builds on."""
    try:
        from triton.language.semantic import TritonSemantic
    except ImportError:
        return "_builder", builder
    return "_semantic", TritonSemantic(builder)


def to_tensor(builder: Any) -> Callable[[Any], Any]:
    """What turns an assigned Python number into a tensor and leaves everything else as it is."""
    keyword, argument = language_argument(builder)
    if keyword == "_semantic":
        return lambda value: argument.to_tensor(value, False)
    from triton.language import semantic

    return lambda value: semantic.to_tensor(value, builder, False)


def patch_language(function: Any) -> None:
    """Puts what the interpreter needs in place of parts of the language that ``function`` sees."""
    from triton.runtime import interpreter

    interpreter._patch_lang(function)  # newer versions return what takes it back; it is taken back by other means


def splat_arguments(first: Any, second: Any) -> tuple[Any, Sequence[int]]:
    """The value and the shape of a splat: given in this order up to 3.2, later as type and value."""
    return (second, first.shape) if hasattr(first, "shape") else (first, second)
