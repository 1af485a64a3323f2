"""Files of results: what was measured, on what, with which command, and every round; and what follows from it.

One JSON file for each run, written anew after each change, so that a run that is cut short leaves what it found. All
views (tables, pages, comparisons) start from such a file's content.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean, median, quantiles
from threading import RLock
from typing import Any, NamedTuple

from benchmarks.contestants import Contestant, parse

FORMAT = 1
ROOT = Path(__file__).parents[1]
# Beside the benchmarks in a checkout; where they are installed, in the user's folder.
RESULTS = (ROOT if (ROOT / "pyproject.toml").exists() else Path.cwd()) / "benchmarks" / "results"


class Results:
    """``content`` is what the file holds; threads change it through ``note``.

    ``path`` is None where nothing is to be written.
    """

    def __init__(self, path: Path | None, command: str) -> None:
        self.path = path
        self._begin = time.monotonic()
        self._lock = RLock()
        self.content: dict[str, Any] = {
            "format": FORMAT, "command": command, "date": time.strftime("%Y-%m-%d %H:%M:%S"), "machine": {},
            "not_available": {}, "ceilings": {}, "rows": {}, "problems": [], "left_out": [], "seconds": 0.0,
            "complete": False,
        }  # fmt: skip

    def note(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Changes the content, and replaces the file as a whole."""
        with self._lock:
            change(self.content)
            self.content["seconds"] = round(time.monotonic() - self._begin, 1)
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                unfinished = self.path.with_suffix(".unfinished")
                unfinished.write_text(json.dumps(self.content, indent=1) + "\n")
                unfinished.replace(self.path)

    def move(self, path: Path) -> None:
        """Goes on in another file."""
        with self._lock:
            if self.path is not None and self.path != path:
                self.path.unlink(missing_ok=True)
            self.path = path

    def problem(self, what: str, error: object) -> None:
        """Something that could not be done."""
        print(f"{what}: {error}", flush=True)
        self.note(lambda content: content["problems"].append({"what": what, "error": str(error)}))


def file_name(text: str) -> str:
    """A text as a part of file names."""
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")


def read(path: Path) -> dict[str, Any]:
    """A file's content; ValueError where it is none of these files."""
    content: dict[str, Any] = json.loads(path.read_text())
    if content.get("format") != FORMAT:
        raise ValueError(f"{path} is no result of this version's runner")
    return content


class Line(NamedTuple):
    """One contestant on one row. A figure that was not found, or says nothing there, is None.

    ``ratio`` is to the best of torch, or to the best other peer where torch did not take part; below 1 is faster or
    less. ``fastest_ratio`` is that of the fastest rounds. ``target`` is a ratio for steps, and a figure in the row's
    unit for costs.
    """

    row: str
    contestant: Contestant
    unit: str
    median: float | None = None
    low: float | None = None
    high: float | None = None
    fastest: float | None = None
    ratio: float | None = None
    fastest_ratio: float | None = None
    target: float | None = None
    meets_target: bool | None = None
    gflops: float | None = None
    of_product: float | None = None
    gb_per_second: float | None = None
    of_copy: float | None = None
    first_seconds: float | None = None
    peak_mib: float | None = None
    launches: float | None = None
    check: float | None = None
    others_cores: float | None = None
    stolen_cores: float | None = None
    handover: tuple[float, float] | None = None
    worst: str = ""
    error: str = ""


def lines(content: Mapping[str, Any]) -> Iterator[Line]:
    """What follows from a file's content: all rows in order, with their contestants in order."""
    for name, row in content["rows"].items():
        yield from row_lines(name, row, content["ceilings"])


def row_lines(name: str, row: Mapping[str, Any], ceilings: Mapping[str, Mapping[str, float]]) -> Iterator[Line]:
    """One row's lines."""
    contestants = {parse(label): found for label, found in row["contestants"].items()}
    medians = {c: median(found["rounds"]) for c, found in contestants.items() if found["rounds"]}
    fastests = {c: min(found["rounds"]) for c, found in contestants.items() if found["rounds"]}
    for contestant, found in contestants.items():
        value = medians.get(contestant)
        line = Line(
            name, contestant, row["unit"], error=found.get("error", ""), first_seconds=found.get("first_seconds"),
            peak_mib=found.get("peak_mib"), launches=found.get("launches"), check=found.get("check"),
            worst=found.get("worst", ""),
        )  # fmt: skip
        if value is not None:
            low, high = spread(found["rounds"])
            best = None if not contestant.is_lazygrad else _best_peer(contestant, medians)
            ratio = value / best if best else None
            fastest = min(found["rounds"])
            best = None if not contestant.is_lazygrad else _best_peer(contestant, fastests)
            line = line._replace(median=value, low=low, high=high, fastest=fastest, ratio=ratio)
            line = line._replace(fastest_ratio=fastest / best if best else None)
            for who in ("others_cores", "stolen_cores"):
                by_round = found.get("others", {}).get(who)
                line = line._replace(**{who: mean(by_round) if by_round else None})
            rates = found.get("others", {}).get("handover_gb_per_second")
            line = line._replace(handover=(min(rates), max(rates)) if rates else None)
            line = _with_target(line, row, found)
            line = _with_rates(line, row, value, ceilings.get(str(contestant.cores), {}))
        yield line


def spread(rounds: list[float]) -> tuple[float, float]:
    """The quartiles; of few rounds, the extremes."""
    if len(rounds) < 4:
        return min(rounds), max(rounds)
    low, _, high = quantiles(rounds, n=4, method="inclusive")
    return low, high


def _best_peer(contestant: Contestant, medians: Mapping[Contestant, float]) -> float | None:
    """The least figure of torch on as many cores, or of other peers where there is no torch."""
    peers = {c: value for c, value in medians.items() if not c.is_lazygrad and c.cores == contestant.cores}
    torch = [value for c, value in peers.items() if c.kind == "torch"]
    return min(torch or peers.values(), default=None)


def _with_target(line: Line, row: Mapping[str, Any], found: Mapping[str, Any]) -> Line:
    if not line.contestant.is_lazygrad:
        return line
    if "target" in found:
        return line._replace(target=found["target"], meets_target=(line.median or 0.0) <= found["target"])
    if "target" in row and line.contestant.kind == "opencl":
        met = None if line.ratio is None else line.ratio <= row["target"]
        return line._replace(target=row["target"], meets_target=met)
    return line


def _with_rates(line: Line, row: Mapping[str, Any], ms: float, ceilings: Mapping[str, float]) -> Line:
    flops, moved = row.get("flops"), row.get("bytes")
    gflops = flops / ms / 1e6 if flops else None
    gigabytes = moved / ms / 1e6 if moved else None
    return line._replace(
        gflops=gflops,
        of_product=_fraction(gflops, ceilings.get(f"{row.get('precision')}_gflops")),
        gb_per_second=gigabytes,
        of_copy=_fraction(gigabytes, ceilings.get("copy_gb_per_second")),
    )


def _fraction(reached: float | None, ceiling: float | None) -> float | None:
    return reached / ceiling if reached and ceiling else None


def speed_ups(content: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """By row and contestant, how many times as fast the most cores are as the fewest, where it ran on several."""
    found: dict[str, dict[str, float]] = {}
    by_cores: dict[tuple[str, str], dict[int, float]] = {}
    for line in lines(content):
        if line.median and line.contestant.cores:
            key = line.row, replace(line.contestant, cores=0).name
            by_cores.setdefault(key, {})[line.contestant.cores] = line.median
    for (row, name), medians in by_cores.items():
        if len(medians) > 1:
            found.setdefault(row, {})[name] = medians[min(medians)] / medians[max(medians)]
    return found
