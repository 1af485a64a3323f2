"""What is remembered of a program beside its schedule: how it is launched, and under which names its binaries lie."""

from __future__ import annotations

from typing import Any, NamedTuple

from lazygrad.runtime import Alternative
from lazygrad_triton.generated import Launch


class Remembered(NamedTuple):
    """``aligned`` and ``unaligned`` name the entries of the launches' binaries, for offsets that are multiples of 16
    and for any; ``alternative`` is how the kernel was cut.
    """

    launches: tuple[Launch, ...]
    aligned: tuple[str, ...]
    unaligned: tuple[str, ...]
    alternative: Alternative

    def to_list(self) -> list[Any]:
        """As numbers, strings and lists."""
        launches = [[each.function, each.programs, each.warps, each.stages] for each in self.launches]
        return [launches, self.aligned, self.unaligned, self.alternative]

    @staticmethod
    def from_list(data: list[Any]) -> Remembered:
        """The inverse of ``to_list``, also when it has been through JSON."""
        launches, aligned, unaligned, alternative = data
        return Remembered(
            tuple(Launch(*each) for each in launches), tuple(aligned), tuple(unaligned), tuple(map(tuple, alternative))
        )
