"""What changed between two results: each row's contestants before and after, and whether that is more than noise.

Machines differ from day to day, too. Where a peer was measured in both runs, the change of the ratio to it says more
than that of the time: what slowed both down drops out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks import table
from benchmarks.results import Line, lines

COLUMNS = ("row", "contestant", "before", "after", "unit", "after/before", "ratio before", "ratio after", "change", "")
# Less is not worth a word.
NOTEWORTHY = 0.05


class Change(NamedTuple):
    """``factor`` is after over before: of ratios to the best peer where both runs have one, else of medians.

    ``is_clear``: the quartiles of the two runs do not overlap, and the change is worth a word.
    """

    before: Line
    after: Line
    factor: float
    is_clear: bool

    @property
    def verdict(self) -> str:
        """In a word."""
        if not self.is_clear:
            return ""
        return "better" if self.factor < 1 else "WORSE"


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Of whoever was measured in both, in the order of the second."""
    old = {(line.row, line.contestant): line for line in lines(before) if line.median is not None}
    found = []
    for line in lines(after):
        known = old.get((line.row, line.contestant))
        if known is not None and line.median is not None:
            found.append(_change(known, line))
    return found


def _change(before: Line, after: Line) -> Change:
    times = _known(after.median) / _known(before.median)
    factor = times if before.ratio is None or after.ratio is None else after.ratio / before.ratio
    # Ratios have the spread of the times that they come from.
    scale = factor / times
    apart = _known(after.low) * scale > _known(before.high) or _known(after.high) * scale < _known(before.low)
    return Change(before, after, factor, apart and abs(factor - 1) > NOTEWORTHY)


def _known(figure: float | None) -> float:
    """Whoever has a median has its spread."""
    assert figure is not None
    return figure


def print_comparison(before: Mapping[str, Any], after: Mapping[str, Any]) -> int:
    """Prints all changes; 1 where anything became clearly worse."""
    found = changes(before, after)
    if not found:
        print("the two results have nothing in common")
        return 1
    for name in sorted({*before["machine"].get("versions", {}), *after["machine"].get("versions", {})}):
        versions = [content["machine"].get("versions", {}).get(name, "?") for content in (before, after)]
        if versions[0] != versions[1]:
            print(f"{name}: {versions[0]} before, {versions[1]} after")
    if before["machine"].get("processor") != after["machine"].get("processor"):
        print(f"processors differ: {before['machine'].get('processor')}, {after['machine'].get('processor')}")
    table.print_rows(COLUMNS, [_cells(change) for change in found], left=2)
    print("change: of the ratio to the best peer where there is one; a verdict where quartiles do not overlap")
    return int(any(change.verdict == "WORSE" for change in found))


def _cells(change: Change) -> list[str]:
    before, after = change.before, change.after
    times = _known(after.median) / _known(before.median)
    return [
        after.row, after.contestant.name, table.number(before.median), table.number(after.median), after.unit,
        f"{times:.2f}", table.number(before.ratio, 2), table.number(after.ratio, 2),
        f"{change.factor:.2f}", change.verdict,
    ]  # fmt: skip
