"""Modules and parameters held in sequences and dictionaries, registered like attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, TypeVar, cast, overload

from lazygrad.nn.module import Module, indented
from lazygrad.nn.parameter import Parameter
from lazygrad.tensor import Tensor

Self = TypeVar("Self", bound="_ModuleSequence")


class _ModuleSequence(Module):
    """Children named by their position "0", "1", ...: what Sequential and ModuleList share."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._children())

    def _children(self) -> list[Module]:
        return cast("list[Module]", list(self._modules.values()))

    def _name_at(self, index: int) -> str:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range")
        return list(self._modules)[index % len(self)]

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self: Self, index: slice) -> Self: ...
    def __getitem__(self: Self, index: int | slice) -> Module | Self:
        if isinstance(index, slice):
            return self._made_of(dict(list(self._modules.items())[index]))
        return cast(Module, self._modules[self._name_at(index)])

    def _made_of(self: Self, children: dict[str, Module | None]) -> Self:
        """Return a container of the same class that holds `children`, numbered anew."""
        result = type(self)()
        result._renumber([child for child in children.values() if child is not None])
        return result

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._name_at(index), module)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)[index] if isinstance(index, slice) else [self._name_at(index)]
        for name in names:
            del self._modules[name]
        self._renumber(self._children())

    def _renumber(self, children: Iterable[Module]) -> None:
        self._modules.clear()
        for position, child in enumerate(children):
            self.add_module(str(position), child)

    def append(self: Self, module: Module) -> Self:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self: Self, modules: Iterable[Module]) -> Self:
        """Add several modules at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self: Self, index: int, module: Module) -> Self:
        """Add a module before the one at `index`."""
        children = self._children()
        children.insert(index, module)
        self._renumber(children)
        return self

    def pop(self, index: int = -1) -> Module:
        """Remove the module at `index` and return it."""
        module = self[index]
        del self[index]
        return module


class Sequential(_ModuleSequence):
    """Modules applied one after the other: given in order, or as an ordered dictionary with names.

    Example:
        >>> import lazygrad as lg
        >>> model = lg.nn.Sequential(lg.nn.Linear(4, 8), lg.nn.ReLU(), lg.nn.Linear(8, 2))
        >>> tuple(model(lg.ones(3, 4)).shape)
        (3, 2)
        >>> model[1]
        ReLU()
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, child in modules[0].items():
                self.add_module(name, child)
        else:
            for position, module in enumerate(modules):
                self.add_module(str(position), cast(Module, module))

    def _made_of(self, children: dict[str, Module | None]) -> Sequential:
        # torch keeps the names of a sliced Sequential, so that its state dict keys stay the same.
        return type(self)(cast("dict[str, Module]", children))

    def forward(self, input: Any) -> Any:
        """Apply all modules in order."""
        for module in self:
            input = module(input)
        return input


class ModuleList(_ModuleSequence):
    """Modules in a list, for a forward that walks or indexes them itself.

    Example:
        >>> import lazygrad as lg
        >>> lg.nn.ModuleList([lg.nn.ReLU(), lg.nn.ReLU()])
        ModuleList(
          (0-1): 2 x ReLU()
        )
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __iadd__(self, modules: Iterable[Module]) -> ModuleList:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        if not self._modules:
            return f"{self._get_name()}()"
        lines = []
        numbered = enumerate(repr(child) for child in self)
        for text, run in groupby(numbered, key=lambda entry: entry[1]):
            positions = [position for position, _ in run]
            first, last = positions[0], positions[-1]
            line = f"({first}): {text}" if first == last else f"({first}-{last}): {len(positions)} x {text}"
            lines.append(indented(line))
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


class ModuleDict(Module):
    """Modules in a dictionary, ordered as they were added.

    Example:
        >>> import lazygrad as lg
        >>> heads = lg.nn.ModuleDict({"a": lg.nn.Linear(4, 1), "b": lg.nn.Linear(4, 2)})
        >>> tuple(heads["b"](lg.ones(3, 4)).shape)
        (3, 2)
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Module:
        return cast(Module, self._modules[key])

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Remove all modules."""
        self._modules.clear()

    def pop(self, key: str) -> Module:
        """Remove the module of this name and return it."""
        return cast(Module, self._modules.pop(key))

    def keys(self) -> Iterable[str]:
        """Return the names."""
        return self._modules.keys()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Return (name, module) pairs."""
        return cast("Mapping[str, Module]", self._modules).items()

    def values(self) -> Iterable[Module]:
        """Return the modules."""
        return cast("Mapping[str, Module]", self._modules).values()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add all modules of a dictionary or of (name, module) pairs."""
        pairs = modules.items() if isinstance(modules, Mapping | ModuleDict) else modules
        for name, module in pairs:
            self.add_module(name, module)


class ParameterList(Module):
    """Parameters in a list; plain tensors become parameters when they are added.

    Example:
        >>> import lazygrad as lg
        >>> parameters = lg.nn.ParameterList([lg.zeros(2), lg.ones(3)])
        >>> [name for name, _ in parameters.named_parameters()]
        ['0', '1']
    """

    def __init__(self, values: Iterable[Tensor] | None = None) -> None:
        super().__init__()
        if values is not None:
            self.extend(values)

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(cast("list[Parameter]", list(self._parameters.values())))

    def __getitem__(self, index: int) -> Parameter:
        return cast(Parameter, self._parameters[self._name_at(index)])

    def __setitem__(self, index: int, value: Tensor) -> None:
        self._put(self._name_at(index), value)

    def append(self, value: Tensor) -> ParameterList:
        """Add a parameter at the end."""
        self._put(str(len(self)), value)
        return self

    def extend(self, values: Iterable[Tensor]) -> ParameterList:
        """Add several parameters at the end."""
        for value in list(values):
            self.append(value)
        return self

    def _put(self, name: str, value: Tensor) -> None:
        self.register_parameter(name, value if isinstance(value, Parameter) else Parameter(value))

    def _name_at(self, index: int) -> str:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range")
        return str(index % len(self))

    def extra_repr(self) -> str:
        """Show a line a parameter: class, dtype and size."""
        return "\n".join(
            f"({name}): Parameter containing: "
            f"[{parameter.dtype} of size {'x'.join(str(size) for size in parameter.shape)}]"
            for name, parameter in self.named_parameters(recurse=False)
        )
