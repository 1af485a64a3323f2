"""What a package lists in ``__all__`` is there, once; a function on tensors is listed, or a method, or both."""

import importlib
from types import FunctionType

import pytest

import lazygrad

PACKAGES = [
    "lazygrad",
    "lazygrad.amp",
    "lazygrad.autograd",
    "lazygrad.nn",
    "lazygrad.nn.functional",
    "lazygrad.nn.utils",
    "lazygrad.ops",
    "lazygrad.optim",
    "lazygrad.optim.lr_scheduler",
    "lazygrad.vision.models",
]
SUBJECTS = [
    "arithmetic",
    "comparison",
    "extrema",
    "gathering",
    "joining",
    "linalg",
    "mathematics",
    "reduction",
    "statistics",
]


@pytest.mark.parametrize("package", PACKAGES)
def test_listed_names_exist_once(package):
    module = importlib.import_module(package)
    assert len(set(module.__all__)) == len(module.__all__)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_functions_on_tensors_are_public(subject):
    module = importlib.import_module(f"lazygrad.tensor.{subject}")
    functions = [
        name
        for name, value in vars(module).items()
        if isinstance(value, FunctionType)
        and value.__module__ == module.__name__
        and value.__annotations__.get("return") == "Tensor"
        and not name.startswith("_")
    ]
    assert functions
    assert [n for n in functions if n not in lazygrad.__all__ and not hasattr(lazygrad.Tensor, n)] == []
