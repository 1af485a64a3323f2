"""``lazygrad.compile``: functions that are captured once for each kind of call, and replayed.

In: a function over tensors, such as a whole training step. Out: a callable that does the same with less Python: the
first call of a kind runs the function's code to learn its graph, later ones submit the program.
"""

from __future__ import annotations

import functools
import gc
import inspect
import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from operator import attrgetter
from threading import RLock
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from lazygrad.capture.explain import Explanation, MemoryReport, VariantReport
from lazygrad.capture.guards import MODES, modes
from lazygrad.capture.surroundings import watch_surroundings
from lazygrad.capture.trace import TRACING, Trace
from lazygrad.capture.trees import flatten, form_of_tensors, names_of, rebuild
from lazygrad.capture.variant import NeedsHistory, Variant
from lazygrad.runtime import forking
from lazygrad.runtime.memory_size import parse_size
from lazygrad.tensor import Tensor, anomaly
from lazygrad.tensor.cells import Cell, live_cells
from lazygrad.tensor.grad_mode import SWITCH
from lazygrad.tensor.recording import RECORDING

_CELL = attrgetter("_cell")
_HISTORY = attrgetter("_cell.history")
_NODE = attrgetter("node")
_TRAITS = attrgetter("shape", "dtype", "device")
_REQUIRES_GRAD = attrgetter("_requires_grad")
P = ParamSpec("P")
R = TypeVar("R")
logger = logging.getLogger("lazygrad")

_ONLY_TENSORS = {Tensor}
# Programs that one function keeps; the least recently used goes first.
MOST_VARIANTS = 32
# After this many captures the user is told why it was captured again.
CAPTURES_BEFORE_WARNING = 8
# Why a call is not captured.
ARGUMENT_HAS_HISTORY = "an argument has autograd history, which a captured function would cut off"
RESULT_HAS_HISTORY = "its result has autograd history: compile the whole step with backward(), or call it in no_grad()"


class CompiledFunction(Generic[P, R]):
    """A function under ``lazygrad.compile``."""

    def __init__(self, function: Callable[P, R], memory_budget: int | None = None) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._memory_budget = memory_budget
        self._name = getattr(function, "__qualname__", repr(function))
        self._variants: OrderedDict[Hashable, list[Variant]] = OrderedDict()
        self._reports: list[VariantReport] = []
        self._captures = 0
        self._lock = RLock()
        self._plain: str | None = None
        self._last_key: Hashable = None  # of the call that found its variant last
        self._last_variant: Any = None
        forking.hold(self._lock)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """A method: each object has captures of its own."""
        return self if instance is None else functools.partial(self, instance)  # type: ignore[arg-type]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The function's result."""
        if RECORDING.recorder is not None or anomaly.is_enabled():
            return self._function(*args, **kwargs)  # a part of what is being captured; or checked step by step
        with self._lock:
            tensors: list[Tensor] = []
            others: list[Any] = []
            form = _form(args, kwargs, tensors, others)
            if True in map(_HISTORY, tensors):
                if SWITCH.enabled:
                    self._say_plain(ARGUMENT_HAS_HISTORY)
                    return self._function(*args, **kwargs)
                args, kwargs = rebuild((args, kwargs), _bare)
                tensors = []
                _form(args, kwargs, tensors, [])
            key = form, modes(), _signature(tensors)
            with TRACING:
                if key == self._last_key and self._last_variant.difference(tensors) is None:
                    result: R = self._last_variant.replay(tensors)
                    return result
                variant, why = self._find(key, tensors)
                if variant is not None:
                    result = variant.replay(tensors)
                    return result
            return self._capture(args, kwargs, tensors, others, key, why)

    def _find(self, key: Hashable, tensors: list[Tensor]) -> tuple[Variant | None, str]:
        """The variant for a call, or None and why there is none."""
        why = ""
        for variant in self._variants.get(key, ()):
            difference = variant.difference(tensors)
            if difference is None:
                self._variants.move_to_end(key)
                self._last_key, self._last_variant = key, variant
                return variant, ""
            why = difference
        return None, why or self._new_key(key)

    def memory(self, *args: P.args, **kwargs: P.kwargs) -> MemoryReport:
        """What a call with these arguments will need; nothing is computed and nothing changes.

        The first time, the function is captured (and its kernels compiled) for it. On a device without a pool, as the
        NumPy reference, everything is 0.

        Raises:
            RuntimeError: such a call is not captured; the message says why.
        """
        with self._lock:
            tensors: list[Tensor] = []
            others: list[Any] = []
            form = _form(args, kwargs, tensors, others)
            if any(tensor._cell.history for tensor in tensors):
                raise RuntimeError(f"memory: {self._name} is called without being captured: {ARGUMENT_HAS_HISTORY}")
            key = form, modes(), _signature(tensors)
            with TRACING:
                variant, why = self._find(key, tensors)
            if variant is None:
                try:
                    variant, trace, left = self._traced(args, kwargs, tensors, others)
                except NeedsHistory:
                    message = f"memory: {self._name} is called without being captured: {RESULT_HAS_HISTORY}"
                    raise RuntimeError(message) from None
                trace.undo()
                trace.retire()
                self._keep(key, variant, why, not left)
            with TRACING:
                return variant.memory()

    # ---- capturing

    def _capture(self, args: Any, kwargs: Any, tensors: list[Tensor], others: list[Any], key: Hashable, why: str) -> R:
        self._captures += 1
        if self._captures == CAPTURES_BEFORE_WARNING:
            logger.warning(
                "%s has been captured %d times, the last time because %s; each capture costs what an ordinary call "
                "does. See its explain()",
                self._name,
                self._captures,
                why,
            )
        try:
            variant, trace, left = self._traced(args, kwargs, tensors, others)
        except NeedsHistory:
            self._say_plain(RESULT_HAS_HISTORY)
            return self._function(*args, **kwargs)
        with TRACING:
            answer: R = variant.replay(tensors, acted=True)
        trace.retire()
        self._keep(key, variant, why, not left)
        return answer

    def _traced(
        self, args: Any, kwargs: Any, tensors: list[Tensor], others: list[Any]
    ) -> tuple[Variant, Trace, list[Cell]]:
        """A new variant, ready to be replayed, and the values that the function leaves behind."""
        with TRACING:
            trace = Trace(self._name, tensors)
            for other in others:
                trace.watch(f"a {type(other).__name__}", other)
            watch_surroundings(trace, self._function)
            result: Any = trace.run(lambda: self._function(*args, **kwargs))
            try:
                if inspect.isawaitable(result) or inspect.isgenerator(result):
                    raise TypeError(
                        f"{self._name} returns a {type(result).__name__}, which runs later; compile what it calls"
                    )
                left = _left_behind(trace, result)
                variant = Variant(trace, tensors, result, left)
            except BaseException:
                trace.undo()
                raise
            trace.restore()
        try:
            variant.build(self._memory_budget)
        except BaseException:
            trace.undo()
            raise
        for cell in left:
            cell.history, cell.depth = False, 0
        variant.keep(others)
        return variant, trace, left

    def _keep(self, key: Hashable, variant: Variant, why: str, kept: bool) -> None:
        self._reports.append(variant.report(why, kept))
        if kept:
            self._variants.setdefault(key, []).append(variant)
            self._variants.move_to_end(key)
            if sum(map(len, self._variants.values())) > MOST_VARIANTS:
                self._variants.popitem(last=False)
                self._last_key = self._last_variant = None

    def _say_plain(self, why: str) -> None:
        if self._plain is None:
            self._plain = why
            logger.warning("%s is called without being captured: %s", self._name, why)

    def _new_key(self, key: Any) -> str:
        """Why no variant has this key: what the nearest of them has in another way."""
        if not self._variants:
            return "it is the first call" if not self._captures else "it left tensors behind at the last call"
        form, now, signature = key
        for other in reversed(self._variants):
            other_form, other_modes, other_signature = cast("tuple[Any, Any, Any]", other)
            if other_form != form:
                continue
            if other_modes != now:
                changed = [name for name, a, b in zip(MODES, now, other_modes, strict=True) if a != b]
                return f"a mode changed: {', '.join(changed)}"
            names = [*names_of(form[0], "argument"), *names_of(form[1], "keyword")]
            ours, theirs = (list(zip(*of[:2], strict=True)) for of in (signature, other_signature))
            for name, now, before in zip(names, ours, theirs, strict=True):
                if now != before:
                    return f"{name} is {_described(*now)}, it was {_described(*before)}"
            return "other arguments are the same tensor"
        return "the arguments are of another form, or plain values among them are others"

    # ---- reports

    def explain(self) -> Explanation:
        """What was captured, when and why, and what each capture launches."""
        return Explanation(self._name, tuple(self._reports), self._plain)

    def reset(self) -> None:
        """Forgets all captures."""
        with self._lock:
            self._variants.clear()
            self._last_key = self._last_variant = None
            self._captures = 0
            self._plain = None
            self._reports.clear()


def _form(args: Any, kwargs: Any, tensors: list[Tensor], others: list[Any]) -> tuple[Any, Any]:
    if not kwargs and args and set(map(type, args)) == _ONLY_TENSORS:  # nearly always
        tensors += args
        return form_of_tensors(len(args)), ()
    return flatten(args, tensors, others), flatten(kwargs, tensors, others) if kwargs else ()


def _signature(tensors: Sequence[Tensor]) -> tuple[tuple[Any, ...], tuple[bool, ...], tuple[int, ...]]:
    """What each tensor is, whether it requires grad, and which of them are the same."""
    cells = list(map(_CELL, tensors))
    numbers = list(map(id, cells))
    same = () if len(set(numbers)) == len(numbers) else tuple(map(numbers.index, numbers))
    return tuple(map(_TRAITS, map(_NODE, cells))), tuple(map(_REQUIRES_GRAD, tensors)), same


def _described(traits: Any, requires_grad: bool) -> str:
    shape, dtype, device = traits
    return f"{dtype.name}{list(shape)} on {device}{', requires grad' if requires_grad else ''}"


def _bare(tensor: Tensor) -> Tensor:
    if not tensor._cell.history:
        return tensor
    bare = tensor.detach()
    bare._cell = tensor._cell.without_history()
    return bare


def _left_behind(trace: Trace, result: Any) -> list[Cell]:
    """Values that the function made and somebody still holds, who is not given them by a replay."""
    returned: list[Tensor] = []
    flatten(result, returned, [])
    known = {id(tensor._cell) for tensor in returned}
    for tensor, _ in trace.gradients.values():
        if tensor._grad is not None:
            known.add(id(tensor._grad._cell))

    def left() -> list[Cell]:
        return [cell for cell in live_cells() if trace.is_inside(cell) and id(cell) not in known]

    if not left():
        return []
    gc.collect()  # those that only cycles hold
    return left()


@overload
def compile(
    function: Callable[P, R], *, disable: bool = ..., memory_budget: int | str | None = ...
) -> CompiledFunction[P, R]: ...
@overload
def compile(
    function: None = ..., *, disable: bool = ..., memory_budget: int | str | None = ...
) -> Callable[[Callable[P, R]], CompiledFunction[P, R]]: ...


def compile(function: Any = None, *, disable: bool = False, memory_budget: int | str | None = None) -> Any:
    """A function that does what ``function`` does, with its Python code run once for each kind of call.

    The first call runs the code without computing anything, and keeps its graph as one program: forward, backward,
    optimizer step. Later calls bind their arguments and submit it. A call is of another kind, and captured anew, when
    shapes, dtypes or devices of tensors, plain values among the arguments, modes, ``train()``/``eval()``, or plain
    attributes and tensors of modules and objects that it reaches have changed; ``explain()`` tells why.

    Parameters, optimizer state, running statistics, learning rates and random counters are read and written as they
    are at each call. Results are new tensors at each call, and have no autograd history. Reading an element inside
    (``item()``, ``if tensor``) raises ``CaptureError``.

    Args:
        function: what to compile; without it a decorator is returned.
        disable: return the function as it is.
        memory_budget: the most bytes that the program may need for state, arguments, results and all between, as a
            number or as text such as ``"500M"``. Where it would need more, values are computed again instead of kept:
            results are the same to the last bit, and it takes longer. Devices without programs know no budget.

    Returns:
        A :class:`CompiledFunction`.

    Raises:
        TypeError: ``function`` cannot be called, or is a generator or coroutine function.
        ValueError: ``memory_budget`` is no size.
        MemoryBudgetError: (when called) the program needs more than the budget; its ``minimum`` would do.

    >>> import lazygrad as lg
    >>> weight = lg.ones(3, requires_grad=True)
    >>> optimizer = lg.optim.SGD([weight], lr=0.5)
    >>> @lg.compile
    ... def step(x):
    ...     optimizer.zero_grad()
    ...     loss = (weight * x).sum()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> step(lg.ones(3)), step(lg.ones(3))
    (tensor(3.), tensor(1.5000))
    >>> len(step.explain().variants)
    1
    """
    if function is None:
        return functools.partial(compile, disable=disable, memory_budget=memory_budget)
    if disable:
        return function
    if not callable(function):
        raise TypeError(f"compile: {type(function).__name__} is not callable")
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        raise TypeError(
            f"compile: {function.__qualname__} is a generator or coroutine function, which stops in the middle; "
            "compile the functions that it calls"
        )
    budget = None if memory_budget is None else parse_size(memory_budget)
    if budget == 0:
        raise ValueError("compile: memory_budget is a size of memory above 0; None is no budget")
    return CompiledFunction(function, budget)
