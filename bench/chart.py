"""A chart of a run as SVG: panels of bars, one bar per implementation, with spread and ratio.

The SVG is written without a library, because it has only rectangles and text. Its colours follow
the reader's light or dark scheme. `report` calls this module, which gets its data from `results`.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from results import Report, Summary

COLUMNS = 3
PANEL_WIDTH, MARGIN, TOP = 316, 20, 96
BAR, GAP, HEAD = 15, 8, 54
NAMES, VALUES = 92, 112
"""The width of a panel to the left of its bars and to the right."""

LIGHT = {
    "ground": "#ffffff", "ink": "#1f2328", "soft": "#59636e", "line": "#d1d9e0",
    "ours": "#0969da", "also": "#80b4f0", "other": "#b6bfc8",
}  # fmt: skip
DARK = {
    "ground": "#0d1117", "ink": "#f0f6fc", "soft": "#9198a1", "line": "#3d444d",
    "ours": "#4493f8", "also": "#23548f", "other": "#59636e",
}  # fmt: skip
FORM = """
text { font-family: system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; font-size: 12px; }
.title { font-size: 17px; font-weight: 600; }
.head { font-size: 13px; font-weight: 600; }
.soft { font-size: 11px; }
.ratio { font-weight: 600; }
"""


@dataclass(frozen=True)
class Panel:
    """A figure, its title, its unit and the scale to that unit."""

    title: str
    measure: str
    figure: str
    unit: str
    scale: float = 1.0
    more_is_better: bool = False
    """For figures that are not rates."""

    @property
    def longer_is_better(self) -> bool:
        return self.more_is_better or self.figure.endswith("/s")


PANELS = [
    Panel("TCP, 1 stream", "TCP, 1 stream", "Mbit/s", "Gbit/s", 1e-3),
    Panel("TCP, 4 streams", "TCP, 4 streams", "Mbit/s", "Gbit/s", 1e-3),
    Panel("TCP over IPv6", "TCP over IPv6, 1 stream", "Mbit/s", "Gbit/s", 1e-3),
    Panel("CPU for TCP, 1 stream", "TCP, 1 stream", "CPU s/GB", "seconds a GB"),
    Panel("CPU for TCP, 4 streams", "TCP, 4 streams", "CPU s/GB", "seconds a GB"),
    Panel("CPU for TCP over IPv6", "TCP over IPv6, 1 stream", "CPU s/GB", "seconds a GB"),
    Panel("UDP, 64 bytes", "UDP, 64 bytes", "packets passed on/s", "thousand a second", 1e-3),
    Panel("UDP, 1300 bytes", "UDP, 1300 bytes", "packets passed on/s", "thousand a second", 1e-3),
    Panel("Round trip, idle, median", "latency", "idle median ms", "µs", 1e3),
    Panel("CPU for UDP, 64 bytes", "UDP, 64 bytes", "CPU us/packet", "µs a packet"),
    Panel("CPU for UDP, 1300 bytes", "UDP, 1300 bytes", "CPU us/packet", "µs a packet"),
    Panel("Round trip, idle, 99 %", "latency", "idle 99 % ms", "µs", 1e3),
    Panel("First ping to a new peer", "first handshake", "median ms", "ms"),
    Panel("Handshakes answered", "handshakes", "answers/s", "a second"),
    Panel("Round trip beside TCP, 99 %", "latency", "loaded 99 % ms", "ms"),
    Panel("10,000 peers: setconf", "10000 peers", "setconf ms", "ms"),
    Panel("10,000 peers: dump", "10000 peers", "dump ms", "ms"),
    Panel("10,000 peers: memory", "10000 peers", "MiB", "MiB"),
    Panel("An idle tunnel: wakes", "idle", "context switches a second", "a second"),
    Panel("An idle tunnel: memory", "idle", "MiB", "MiB"),
    Panel("Memory after traffic, peak", "memory after traffic", "peak MiB", "MiB"),
]


@dataclass(frozen=True)
class Chart:
    """The panels of a chart, who shares the machine's processors, and a note on the figures."""

    panels: list[Panel]
    shared: str
    note: str


DEVICES = Chart(PANELS, "shared by both tunnel ends and the load", "CPU is that of both ends.")


def draw(report: Report, chart: Chart = DEVICES) -> str:
    """Return the chart as SVG."""
    run = report.run
    measured = {measure for measure, _ in run.figures()}
    shown = [panel for panel in chart.panels if panel.measure in measured]
    panel_height = HEAD + len(run.implementations) * (BAR + GAP) + 14
    width = 2 * MARGIN + COLUMNS * PANEL_WIDTH
    height = TOP + -(-len(shown) // COLUMNS) * panel_height + MARGIN
    pieces = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        f' width="{width}" height="{height}" role="img" aria-label="{escape(_title(report))}">',
        f"<style>{style()}</style>",
        f'<rect class="ground" width="{width}" height="{height}" rx="8"/>',
        *_head(report, chart),
    ]
    for number, panel in enumerate(shown):
        row, column = divmod(number, COLUMNS)
        x, y = MARGIN + column * PANEL_WIDTH, TOP + row * panel_height
        pieces.append(f'<g transform="translate({x} {y})">')
        pieces.extend(_panel(report, panel))
        pieces.append("</g>")
    return "\n".join([*pieces, "</svg>"]) + "\n"


def style(*, dark: bool = False) -> str:
    """Return the chart's CSS: light or dark as the reader prefers, or always dark."""
    if dark:
        return FORM + _colours(DARK)
    return f"{FORM}{_colours(LIGHT)}@media (prefers-color-scheme: dark) {{\n{_colours(DARK)}}}\n"


def _colours(colours: dict[str, str]) -> str:
    # Rules for each class instead of CSS variables, which not every SVG renderer supports.
    rules = [f".{name} {{ fill: {colours[name]}; }}"
             for name in ("ground", "ours", "also", "other", "soft")]  # fmt: skip
    rules.insert(0, f"text {{ fill: {colours['ink']}; }}")
    rules.append(f".line {{ stroke: {colours['line']}; }}")
    rules.append(f".spread {{ stroke: {colours['ink']}; fill: none; }}")
    return "\n".join(rules) + "\n"


def _title(report: Report) -> str:
    return ", ".join(report.run.implementations)


def _head(report: Report, chart: Chart) -> Iterator[str]:
    rounds = report.run.number()
    of_one = f"Medians of {rounds} interleaved rounds" if rounds > 1 else "One round"
    lines = (
        f"{report.machine()}, {chart.shared}. {report.about['date']}.",
        f"{of_one}; the thin line is the spread. {chart.note}".rstrip()
        + f" Bold: how many times better {report.run.implementations[0]} is (under 1: worse).",
    )
    yield f'<text class="title" x="{MARGIN}" y="34">{escape(_title(report))}</text>'
    for number, line in enumerate(lines):
        yield f'<text class="soft" x="{MARGIN}" y="{56 + 17 * number}">{escape(line)}</text>'


def _panel(report: Report, panel: Panel) -> Iterator[str]:
    run = report.run
    found = {name: run.summary(name, panel.measure, panel.figure) for name in run.implementations}
    longest = max((summary.greatest for summary in found.values() if summary), default=0) or 1
    room = PANEL_WIDTH - NAMES - VALUES - 12
    better = "longer" if panel.longer_is_better else "shorter"
    yield f'<line class="line" x1="0" x2="{PANEL_WIDTH - 20}" y1="6" y2="6"/>'
    yield f'<text class="head" x="0" y="25">{escape(panel.title)}</text>'
    yield f'<text class="soft" x="0" y="41">{panel.unit}, {better} is better</text>'
    for number, (name, summary) in enumerate(found.items()):
        ratio = run.ratio(name, panel.measure, panel.figure) if number else None
        yield f'<g transform="translate(0 {HEAD + number * (BAR + GAP)})">'
        yield f'<text class="soft" x="0" y="12">{escape(_short(name))}</text>'
        if summary is None:
            yield f'<text class="soft" x="{NAMES}" y="12">no figure</text>'
        else:
            yield from _bar(name, summary, room / longest)
            yield from _words(panel, summary, ratio, NAMES + summary.greatest / longest * room)
        yield "</g>"


def _bar(name: str, summary: Summary, each: float) -> Iterator[str]:
    kind = {"holloway": "ours"}.get(name, "also" if name.startswith("holloway") else "other")
    least, greatest = (NAMES + each * end for end in (summary.least, summary.greatest))
    yield f'<rect class="{kind}" x="{NAMES}" width="{each * summary.median:.1f}" height="{BAR}"/>'
    if summary.greatest > summary.least:
        middle = BAR / 2
        yield f'<path class="spread" d="M{least:.1f} {middle}H{greatest:.1f}M{least:.1f} 4v7'
        yield f'M{greatest:.1f} 4v7"/>'


def _words(panel: Panel, summary: Summary, ratio: float | None, end: float) -> Iterator[str]:
    value = f"{summary.median * panel.scale:.3g}"
    shown = f"{float(value):,.0f}" if "e" in value or float(value) >= 100 else value
    times = _times(ratio if panel.longer_is_better else 1 / ratio) if ratio else ""
    bold = f'<tspan class="ratio" dx="7">{times}</tspan>' if times else ""
    yield f'<text x="{end + 6:.1f}" y="12">{shown}{bold}</text>'


def _times(ratio: float) -> str:
    digits = 2 if ratio < 0.995 else 1 if ratio < 9.95 else 0
    return f"{ratio:.{digits}f}\N{MULTIPLICATION SIGN}"


def _short(name: str) -> str:
    return name.replace("holloway with ", "… with ")
