"""Results as one HTML page that needs nothing else: plots as inline SVG, the table, what it was measured on."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.results import Line, lines, speed_ups

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; color: #1b1f24; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-size: 13px; } td, th { padding: .2rem .55rem; text-align: right; }
td:first-child, th:first-child, td:nth-child(2), th:nth-child(2) { text-align: left; }
th { border-bottom: 1px solid #999; } tr.first td { border-top: 1px solid #ddd; }
tr.wrong { background: #fde2e1; } figure { margin: 1rem 0; overflow-x: auto; } svg { max-width: 100%; height: auto; }
.met { color: #0a6b2d; } .missed { color: #b42318; } dl { font-size: 13px; } dt { font-weight: 600; }
"""
OURS, PEERS, TARGET = "#1f6feb", "#8c959f", "#b42318"
# Inches; a bar's thickness follows from the second.
WIDTH, ROW_HEIGHT, MARGIN = 10.0, 0.28, 1.1


def write_page(content: Mapping[str, Any], path: Path) -> None:
    """Writes the page of a result; needs matplotlib."""
    found = list(lines(content))
    parts = [
        f"<h1>lazygrad beside its peers</h1><p><code>{html.escape(content['command'])}</code>, {content['date']}"
        + ("" if content["complete"] else ", <strong>cut short</strong>")
        + "</p>",
        _section("Ratio to the best of torch", _ratios(found), "Left of 1 lazygrad is faster, or takes less."),
        _section("Rounds", _rounds(content, found), "Every round of every contestant, over the best peer's median."),
        _section(
            "What the machine can do", _roofline(content, found),
            "Arithmetic reached, over how much of it there is for each byte moved; lines are a large matrix product "
            "and a large copy in the same run.",
        ),
        "<h2>Figures</h2>", _table(found), _cores(content), "<h2>Measured on</h2>", _machine(content),
    ]  # fmt: skip
    path.write_text(
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>lazygrad benchmarks</title>"
        f"<meta name='viewport' content='width=device-width'><style>{STYLE}</style>{''.join(parts)}</html>\n"
    )


def _section(title: str, figure: str, caption: str) -> str:
    if not figure:
        return ""
    return f"<h2>{title}</h2><figure>{figure}<figcaption>{caption}</figcaption></figure>"


def _axes(rows: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, rows * ROW_HEIGHT + MARGIN), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Any) -> str:
    written = StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    text = written.getvalue()
    return text[text.index("<svg") :]


def _ratios(found: Sequence[Line]) -> str:
    shown = [line for line in found if line.ratio is not None][::-1]
    if not shown:
        return ""
    figure, axes = _axes(len(shown))
    axes.barh(range(len(shown)), [line.ratio for line in shown], color=OURS, height=0.7)
    of_ratio = [(i, line.target) for i, line in enumerate(shown) if line.target is not None and line.unit == "ms"]
    marked = [(i, target) for i, target in of_ratio if "/" not in shown[i].row]
    if marked:
        axes.plot([t for _, t in marked], [i for i, _ in marked], "|", color=TARGET, markersize=12, label="target")
        axes.legend(frameon=False)
    _name_ratios(axes, shown, "lazygrad / best of torch")
    return _svg(figure)


def _rounds(content: Mapping[str, Any], found: Sequence[Line]) -> str:
    measured = [line for line in found if line.median]
    best: dict[str, float] = {}
    for line in measured:
        if not line.contestant.is_lazygrad and line.median:
            best[line.row] = min(best.get(line.row, line.median), line.median)
    shown = [line for line in measured if line.row in best][::-1]
    if not shown:
        return ""
    figure, axes = _axes(len(shown))
    for position, line in enumerate(shown):
        rounds = content["rows"][line.row]["contestants"][line.contestant.name]["rounds"]
        color = OURS if line.contestant.is_lazygrad else PEERS
        axes.plot([r / best[line.row] for r in rounds], [position] * len(rounds), "o", ms=3.5, alpha=0.6, color=color)
        axes.plot([line.median / best[line.row]], [position], "|", ms=12, color=color)  # type: ignore[operator]
    _name_ratios(axes, shown, "over the best peer's median")
    return _svg(figure)


def _name_ratios(axes: Any, shown: Sequence[Line], what: str) -> None:
    """A line of the plot for each of ``shown``, and ratios along it, of which 1 is marked."""
    axes.axvline(1.0, color="#1b1f24", linewidth=0.8)
    axes.set_yticks(range(len(shown)), [f"{line.row}  {line.contestant.name}" for line in shown], fontsize=8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(what)


def _roofline(content: Mapping[str, Any], found: Sequence[Line]) -> str:
    shown = [line for line in found if line.gflops and line.gb_per_second]
    ceilings: Mapping[str, float] = next(iter(content["ceilings"].values()), {})
    peak, bandwidth = ceilings.get("highest_gflops"), ceilings.get("copy_gb_per_second")
    if not shown or not peak or not bandwidth:
        return ""
    figure, axes = _axes(14)
    intensities = [line.gflops / line.gb_per_second for line in shown]  # type: ignore[operator]
    for is_ours, color, label in ((True, OURS, "lazygrad"), (False, PEERS, "peers")):
        points = [
            (intensity, line.gflops)
            for intensity, line in zip(intensities, shown, strict=True)
            if line.contestant.is_lazygrad == is_ours
        ]
        if points:
            axes.plot(*zip(*points, strict=True), "o", ms=4, alpha=0.7, color=color, label=label)
    ends = [min(*intensities, peak / bandwidth) / 2, max(*intensities, peak / bandwidth) * 2]
    corner = sorted({*ends, peak / bandwidth})
    axes.plot(corner, [min(peak, bandwidth * i) for i in corner], color="#1b1f24", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("floating-point operations per byte")
    axes.set_ylabel("GFLOP/s")
    axes.legend(frameon=False)
    return _svg(figure)


def _table(found: Sequence[Line]) -> str:
    texts = [table.cells(line) for line in found]
    used = [i for i in range(len(table.COLUMNS)) if any(row[i] for row in texts)]
    head = "".join(f"<th>{html.escape(table.COLUMNS[i])}</th>" for i in used)
    body, last = [], ""
    for line, row in zip(found, texts, strict=True):
        is_wrong = bool(line.error) or (line.check or 0) > 1
        names = " ".join(name for name, holds in (("first", line.row != last), ("wrong", is_wrong)) if holds)
        body.append(f"<tr class='{names}'>{''.join(_cell(i, row[i], line, last) for i in used)}</tr>")
        last = line.row
    return (
        f"<div style='overflow-x:auto'><table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        "</div>"
        f"<pre>{html.escape(table.LEGEND)}</pre>"
    )


def _cell(column: int, text: str, line: Line, last: str) -> str:
    if column == 0 and line.row == last:
        text = ""
    kind = ""
    if table.COLUMNS[column] == "target" and line.meets_target is not None:
        kind = f" class='{'met' if line.meets_target else 'missed'}'"
    return f"<td{kind}>{html.escape(text)}</td>"


def _cores(content: Mapping[str, Any]) -> str:
    found = speed_ups(content)
    if not found:
        return ""
    items = "".join(
        f"<tr><td>{html.escape(row)}</td><td>{html.escape(name)}</td><td>{up:.2f}</td></tr>"
        for row, of_row in found.items()
        for name, up in of_row.items()
    )
    return f"<h2>Speed-up by cores</h2><table>{items}</table>"


def _machine(content: Mapping[str, Any]) -> str:
    items = []
    for name, value in {**content["machine"], "ceilings": content["ceilings"], **_missing(content)}.items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)
        items.append(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>")
    return f"<dl>{''.join(items)}</dl>"


def _missing(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"not available": content["not_available"]} if content["not_available"] else {}
