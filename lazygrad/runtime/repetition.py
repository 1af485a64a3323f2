"""Repetitions: runs of a schedule that find all memory where the last run left it, but for a few leaves and results.

In: buffers for the leaves that may be elsewhere, and numbers. Out: the results that are asked for. All other leaves and
results have their places already, and are not looked at. So a step of a training loop costs the host what is new in it,
a batch and a loss, and not what the model has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from lazygrad.ir.node import Place
from lazygrad.ir.value import Number
from lazygrad.runtime.buffer import Buffer
from lazygrad.runtime.device import CompilingDevice
from lazygrad.runtime.executable import Executable, in_memory_of
from lazygrad.runtime.watching import is_watched_by_program, watches


class Repetition:
    """Runs of an executable with the same ``donated`` leaves.

    Args:
        leaves: by slot, None for the ``moving`` ones, which may be elsewhere at each run. A result that takes the
            memory of one that is not None is that buffer itself.
        into: by slot the buffers that become results, each time the same.
        asked: the slots of results that a run is asked for.
    """

    def __init__(
        self,
        executable: Executable,
        device: CompilingDevice,
        place: Place | None,
        donated: Set[int],
        leaves: Sequence[Buffer | None],
        into: Mapping[int, Buffer],
        asked: Sequence[int],
    ) -> None:
        binding = executable.binding(device, donated)
        self._executable, self._device, self._place, self._donated = executable, device, place, donated
        self.leaves: list[Any] = list(leaves)
        self.moving = [slot for slot, leaf in enumerate(leaves) if leaf is None]
        self._into = into
        self._asked = asked
        self._fresh = [(slot, made) for slot, made in binding.fresh if slot not in into]
        self._loose = [(slot, made, donor) for slot, made, donor in binding.donated if leaves[donor] is None]
        settled = [(slot, leaves[donor]) for slot, _, donor in binding.donated]
        self._taken = [*[(slot, leaf) for slot, leaf in settled if leaf is not None], *into.items()]
        # Known from the run before: to read the environment takes as long as all launches.
        self._is_watched = False
        self._token = object()  # not this object itself: a binding stays, and would keep all buffers

    def run(
        self, moved: Sequence[Buffer], into: Mapping[int, Buffer], numbers: Sequence[Number]
    ) -> list[Buffer] | None:
        """Launches every kernel, and returns what is asked for. Exceptions are as of ``Executable.run``.

        None, and nothing has happened: the executable has to look at all leaves, or somebody watches it; so
        ``run_looking`` is to be called. What the environment says of watching counts from the next run on.

        Args:
            moved: the leaves of ``moving``. Where they are donated they become the result, if they are of its shape.
            into: by slot further buffers that nobody needs, which become results.
            numbers: the arguments.
        """
        executable, device = self._executable, self._device
        if self._is_watched or is_watched_by_program() or not executable.begin_whole(device):
            return None
        binding = executable.take_binding(self._donated)
        if binding is None:
            return None
        try:
            found = dict(zip(self.moving, moved, strict=True))
            if binding.token is self._token:
                binding.put_leaves(found.items())
                binding.put_fresh(into)
            else:
                binding.put(self._all_leaves(moved), {**self._into, **into}, self._token)
            fresh, taken = self._fresh, self._taken
            if into or self._loose:
                fresh = [entry for entry in fresh if entry[0] not in into]
                loose = [(slot, found[donor]) for slot, _, donor in self._loose]
                taken = [*taken, *loose, *into.items()]
            found.update(executable.launch(binding, device, numbers, fresh, taken, self._place, ()))
        finally:
            executable.give_back(self._donated, binding)
        self._is_watched = bool(watches(device))
        found.update(into)
        for slot, made, donor in self._loose:
            found[slot] = in_memory_of(found[donor], made, True, device, self._place)
        return [found[slot] if slot in found else self.leaves[slot] for slot in self._asked]

    def run_looking(
        self, moved: Sequence[Buffer], into: Mapping[int, Buffer], numbers: Sequence[Number]
    ) -> list[Buffer]:
        """The same by ``Executable.run``; returns the buffers of all roots, wherever they are."""
        into = {**self._into, **into}
        leaves, device, donated = self._all_leaves(moved), self._device, self._donated
        found = self._executable.run(device, leaves, numbers, self._place, donated, donated, into)
        self._is_watched = bool(watches(device))
        return found

    def _all_leaves(self, moved: Sequence[Buffer]) -> list[Buffer]:
        leaves = self.leaves.copy()
        for slot, leaf in zip(self.moving, moved, strict=True):
            leaves[slot] = leaf
        return leaves
