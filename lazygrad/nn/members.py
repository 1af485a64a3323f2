"""The registry inside every Module: what its attributes are, and how they are listed.

In: attribute assignments and `register_*` calls. Out: parameters, buffers and child modules under dotted
names. Holds afterwards: a Parameter, Buffer or Module assigned to an attribute is found under the
attribute's name in exactly one of `_parameters`, `_buffers` and `_modules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from lazygrad.nn.parameter import Buffer, Parameter
from lazygrad.tensor import Tensor

if TYPE_CHECKING:
    from lazygrad.nn.module import Module

Member = TypeVar("Member")


class Members:
    """The part of Module that registers and lists; Module is its one subclass."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _non_persistent_buffers_set: set[str]
    _modules: dict[str, Module | None]
    _has_pending_state: bool

    def __init__(self) -> None:
        # Past __setattr__: the registries it consults are made here.
        attributes = self.__dict__
        attributes["_parameters"] = {}
        attributes["_buffers"] = {}
        attributes["_non_persistent_buffers_set"] = set()
        attributes["_modules"] = {}
        attributes["_has_pending_state"] = True

    def _state_is_pending(self) -> None:
        """Note that a parameter or buffer may still be graph rather than a realised buffer."""
        self.__dict__["_has_pending_state"] = True

    # ---- registration --------------------------------------------------------------------------

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under `name`; None keeps the name for a parameter that is absent."""
        self._check_name("parameter", name, self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type(param).__name__}' object to parameter '{name}' "
                "(lazygrad.nn.Parameter or None required)"
            )
        if param is not None and not param.is_leaf:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created "
                "explicitly. To express one Tensor as a function of another, compute it in forward()."
            )
        self._parameters[name] = param
        self._state_is_pending()

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but is not trained; `persistent` puts it into `state_dict()`."""
        self._check_name("buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' (Tensor or None required)"
            )
        self._buffers[name] = tensor
        self._non_persistent_buffers_set.discard(name)
        if not persistent:
            self._non_persistent_buffers_set.add(name)
        self._state_is_pending()

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module under `name`; None keeps the name for a child that is absent."""
        if module is not None and not isinstance(module, Members):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._check_name("module", name, self._modules)
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """The same as `add_module`."""
        self.add_module(name, module)

    def _check_name(self, kind: str, name: str, registry: Mapping[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string "", got: {name}')
        if hasattr(self, name) and name not in registry:
            raise KeyError(f"attribute '{name}' already exists")

    def __setattr__(self, name: str, value: Any) -> None:
        registries = self.__dict__
        match value:
            case Parameter() | Buffer() | Members() if "_parameters" not in registries:
                kind = "module" if isinstance(value, Members) else type(value).__name__.lower()
                raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
            case Parameter():
                self._forget_except(self._parameters, name)
                self.register_parameter(name, value)
            case Members():
                self._forget_except(self._modules, name)
                self.add_module(name, cast("Module", value))
            case Buffer():
                self._forget_except(self._buffers, name)
                self.register_buffer(name, value, value.persistent)
            case _ if name in registries.get("_parameters", ()):
                self._replace_by_plain(self._parameters, "parameter", "lazygrad.nn.Parameter", name, value)
            case _ if name in registries.get("_modules", ()):
                self._replace_by_plain(self._modules, "child module", "lazygrad.nn.Module", name, value)
            case _ if name in registries.get("_buffers", ()):
                if value is not None and not isinstance(value, Tensor):
                    raise TypeError(
                        f"cannot assign '{type(value).__name__}' as buffer '{name}' (lazygrad.Tensor or None expected)"
                    )
                self._buffers[name] = value
                self._state_is_pending()
            case _:
                super().__setattr__(name, value)

    def _replace_by_plain(self, registry: dict[str, Any], kind: str, expected: str, name: str, value: Any) -> None:
        if value is not None:
            raise TypeError(f"cannot assign '{type(value).__name__}' as {kind} '{name}' ({expected} or None expected)")
        registry[name] = None

    def _forget_except(self, kept: Mapping[str, Any], name: str) -> None:
        """Remove `name` from all but `kept`, where a new value takes the old one's place in order."""
        for registry in (self.__dict__, self._parameters, self._buffers, self._modules):
            if registry is not kept:
                registry.pop(name, None)
        if kept is not self._buffers:
            self._non_persistent_buffers_set.discard(name)

    def __getattr__(self, name: str) -> Any:
        for registry in ("_parameters", "_buffers", "_modules"):
            members = self.__dict__.get(registry, {})
            if name in members:
                return members[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        for registry in (self._parameters, self._buffers, self._modules):
            if name in registry:
                del registry[name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[0].isdigit())

    # ---- listing -------------------------------------------------------------------------------

    def _named_members(
        self,
        members_of: Callable[[Members], Mapping[str, Member | None]],
        prefix: str,
        recurse: bool,
        remove_duplicate: bool,
    ) -> Iterator[tuple[str, Member]]:
        modules: Iterable[tuple[str, Members]] = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        )
        seen: set[int] = set()
        for module_name, module in modules:
            for name, member in members_of(module).items():
                if member is None or (remove_duplicate and id(member) in seen):
                    continue
                seen.add(id(member))
                yield (f"{module_name}.{name}" if module_name else name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield (dotted name, parameter), own ones first; a shared one once unless told otherwise."""
        yield from self._named_members(lambda m: m._parameters, prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield each parameter once: what an optimizer takes."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield (dotted name, buffer), own ones first."""
        yield from self._named_members(lambda m: m._buffers, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield each buffer once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield (name, child) of the direct children, each child once."""
        seen: set[int] = set()
        for name, child in self.named_children_with_duplicates():
            if id(child) not in seen:
                seen.add(id(child))
                yield name, child

    def named_children_with_duplicates(self) -> Iterator[tuple[str, Module]]:
        """Yield (name, child) for each name of a direct child, also when two names share one."""
        for name, child in self._modules.items():
            if child is not None:
                yield name, child

    def children(self) -> Iterator[Module]:
        """Yield the direct children."""
        for _, child in self.named_children():
            yield child

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield (dotted name, module) for this module (named "") and all below it, parents first."""
        seen = set() if memo is None else memo
        module = cast("Module", self)
        if module in seen:
            return
        if remove_duplicate:
            seen.add(module)
        yield prefix, module
        for name, child in self.named_children_with_duplicates():
            path = f"{prefix}.{name}" if prefix else name
            yield from child.named_modules(seen, path, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """Yield this module and all below it, each once."""
        for _, module in self.named_modules():
            yield module

    def get_submodule(self, target: str) -> Module:
        """Return the module at the dotted path `target`; AttributeError names the step that failed."""
        module = cast("Module", self)
        for name in target.split(".") if target else ():
            child = getattr(module, name, None)
            if not isinstance(child, Members):
                raise AttributeError(f"{type(module).__name__} has no child module `{name}`")
            module = cast("Module", child)
        return module

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter at the dotted path `target`."""
        path, _, name = target.rpartition(".")
        parameter = self.get_submodule(path)._parameters.get(name)
        if parameter is None:
            raise AttributeError(f"{type(self).__name__} has no parameter `{target}`")
        return parameter

    def get_buffer(self, target: str) -> Tensor:
        """Return the buffer at the dotted path `target`."""
        path, _, name = target.rpartition(".")
        buffer = self.get_submodule(path)._buffers.get(name)
        if buffer is None:
            raise AttributeError(f"{type(self).__name__} has no buffer `{target}`")
        return buffer
