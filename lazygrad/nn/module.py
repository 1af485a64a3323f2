"""Module: a named tree of parameters, buffers and child modules with a `forward`.

In: a user's subclass. Out: a call that runs hooks around `forward`, and state that can be switched between
modes, moved, saved and loaded; `members.py` holds how it is registered and listed.

A model is built lazily: its initial values are graph until its first call, which realises all of them
in one submission. So the first training step already sees plain buffers, and has the same graph (and the
same compiled kernels) as every later step.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar, overload

import lazygrad
from lazygrad.ir.node import ORIGIN, is_own, user_place
from lazygrad.nn.common_types import DeviceLike, DTypeLike
from lazygrad.nn.conversion import convert_module, device_and_dtype
from lazygrad.nn.hooks import Hook
from lazygrad.nn.members import Members
from lazygrad.nn.state_dict import IncompatibleKeys, load
from lazygrad.tensor import Tensor
from lazygrad.tensor.gradient import clear_gradients
from lazygrad.tensor.hooks import RemovableHandle
from lazygrad.tensor.recording import RECORDING

Self = TypeVar("Self", bound="Module")


class Module(Members):
    """Base class of all layers and models.

    Example:
        >>> import lazygrad as lg
        >>> class Scale(lg.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.factor = lg.nn.Parameter(lg.full((1,), 3.0))
        ...     def forward(self, x):
        ...         return x * self.factor
        >>> print(Scale()(lg.ones(2)).detach())
        tensor([3., 3.])
        >>> [name for name, _ in Scale().named_parameters()]
        ['factor']
    """

    _version: ClassVar[int] = 1
    _shown: ClassVar[tuple[str, ...]] = ()
    # What may change without a captured function having to be captured again (see lazygrad.capture.guards).
    _unguarded: ClassVar[frozenset[str]] = frozenset({"_has_pending_state"})

    training: bool
    _forward_hooks: dict[int, Hook]
    _forward_pre_hooks: dict[int, Hook]

    def __init__(self) -> None:
        super().__init__()
        self.training = True
        self._forward_hooks = {}
        self._forward_pre_hooks = {}

    # ---- calling -------------------------------------------------------------------------------

    def _forward_unimplemented(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    forward: Callable[..., Any] = _forward_unimplemented

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the forward pre-hooks, `forward` and the forward hooks."""
        if self._has_pending_state:
            self._realize_state()
        if RECORDING.recorder is not None:
            RECORDING.recorder.watch(f"a {type(self).__name__}", self)
        outer = ORIGIN.place
        # All that the library's own layers compute belongs to the line that called them; looking for it once is enough.
        ORIGIN.place = (outer or user_place()) if is_own(type(self).__module__) else None
        try:
            for hook in list(self._forward_pre_hooks.values()):
                args, kwargs = hook.before(self, args, kwargs)
            output = self.forward(*args, **kwargs)
            for hook in list(self._forward_hooks.values()):
                output = hook.after(self, args, kwargs, output)
        finally:
            ORIGIN.place = outer
        return output

    def _realize_state(self) -> None:
        lazygrad.realize([*self.parameters(), *self.buffers()])
        for module in self.modules():
            module.__dict__["_has_pending_state"] = False

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before each forward; what it returns replaces the arguments.

        With `with_kwargs` the hook is `hook(module, args, kwargs)` and returns None or both.
        """
        return RemovableHandle(self._forward_pre_hooks, Hook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after each forward; what it returns replaces the output.

        With `with_kwargs` the hook is `hook(module, args, kwargs, output)`.
        """
        return RemovableHandle(self._forward_hooks, Hook(hook, with_kwargs), prepend)

    # ---- modes, gradients, moving --------------------------------------------------------------

    def train(self: Self, mode: bool = True) -> Self:
        """Switch this module and its children to training (or evaluation) behaviour."""
        if not isinstance(mode, bool):
            raise ValueError(f"training mode is expected to be boolean, got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """Switch to evaluation: dropout passes through, batch norm uses its running statistics."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Make all parameters trainable, or freeze them."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop all gradients, or with `set_to_none=False` fill them with zeros."""
        clear_gradients(self.parameters(), set_to_none)

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on each child, and on this module last."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def _apply(self: Self, convert: Callable[[Tensor], Tensor]) -> Self:
        """Replace the values of all parameters, gradients and buffers by `convert(values)`."""
        for module in self.modules():
            convert_module(module, convert)
        return self

    @overload
    def to(self: Self, device: DeviceLike = ..., dtype: DTypeLike = ..., non_blocking: bool = ...) -> Self: ...
    @overload
    def to(self: Self, dtype: lazygrad.dtype, non_blocking: bool = ...) -> Self: ...
    @overload
    def to(self: Self, tensor: Tensor, non_blocking: bool = ...) -> Self: ...
    def to(self: Self, *args: Any, **kwargs: Any) -> Self:
        """Move to a device, convert to a floating dtype, or both; changes the module in place.

        Accepts `to(device)`, `to(dtype)`, `to(device, dtype)` and `to(tensor)`, as keywords too. A dtype
        is applied to floating-point parameters and buffers only. `non_blocking` changes nothing: a
        transfer is submitted and never waited for.
        """
        device, dtype = device_and_dtype(args, kwargs)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"nn.Module.to only accepts floating point dtypes, but got desired dtype={dtype}")

        def convert(tensor: Tensor) -> Tensor:
            wanted = dtype if tensor.is_floating_point() else None
            return tensor.to(
                device=tensor.device if device is None else device,
                dtype=tensor.dtype if wanted is None else wanted,
            )

        return self._apply(convert)

    def float(self: Self) -> Self:
        """Convert floating-point parameters and buffers to float32."""
        return self.to(lazygrad.float32)

    def double(self: Self) -> Self:
        """Convert floating-point parameters and buffers to float64."""
        return self.to(lazygrad.float64)

    def half(self: Self) -> Self:
        """Convert floating-point parameters and buffers to float16."""
        return self.to(lazygrad.float16)

    def bfloat16(self: Self) -> Self:
        """Convert floating-point parameters and buffers to bfloat16."""
        return self.to(lazygrad.bfloat16)

    def cpu(self: Self) -> Self:
        """Move to the device named "cpu"."""
        return self.to("cpu")

    # ---- saving and loading --------------------------------------------------------------------

    def _persistent_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Yield (name, tensor) of this module's own entries in a state dict."""
        for name, parameter in self._parameters.items():
            if parameter is not None:
                yield name, parameter
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                yield name, buffer

    def _upgrade_state_dict(self, entries: dict[str, Any], prefix: str, version: int | None) -> None:
        """Adapt this module's entries (`prefix` + name) when they were saved by an older version."""

    def state_dict(
        self,
        *,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """Return an ordered dictionary from dotted names to parameters and persistent buffers.

        Args:
            destination: a dictionary to add to, rather than a new one.
            prefix: put before each name.
            keep_vars: give the parameters themselves rather than detached handles, which follow the
                parameter's later updates too (clone one to keep its present value).
        """
        result: Any = OrderedDict() if destination is None else destination
        if destination is None:
            result._metadata = OrderedDict()
        if hasattr(result, "_metadata"):
            result._metadata[prefix.removesuffix(".")] = {"version": self._version}
        for name, tensor in self._persistent_tensors():
            result[prefix + name] = tensor if keep_vars else tensor.detach()
        for name, child in self.named_children_with_duplicates():
            child.state_dict(destination=result, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        entries: dict[str, Any] = result
        return entries

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy the tensors of `state_dict` into this module; dtypes and devices are converted.

        Args:
            state_dict: what `state_dict()` gave, or a checkpoint that was read.
            strict: refuse keys that are missing here or there. Shapes must agree in any case.
            assign: put the given tensors in place of the module's own, rather than copying values.

        Returns:
            `(missing_keys, unexpected_keys)`.

        Raises:
            RuntimeError: lists all mismatches; then no value has been changed.
        """
        return load(self, state_dict, strict, assign)

    # ---- printing ------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """Return what is printed inside the parentheses of this module's repr: the settings named in `_shown`."""
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)

    def __repr__(self) -> str:
        shown = self.extra_repr()
        extra = shown.split("\n") if shown else []
        children = [f"({name}): {indented(repr(child))}" for name, child in self._modules.items()]
        if len(extra) == 1 and not children:
            return f"{self._get_name()}({extra[0]})"
        lines = extra + children
        return f"{self._get_name()}(" + ("\n  " + "\n  ".join(lines) + "\n" if lines else "") + ")"


def indented(text: str) -> str:
    """Return `text` with all lines after the first moved in by two columns."""
    return text.replace("\n", "\n  ")
