"""Charts as SVG. Everything that comes from a value is escaped."""

from __future__ import annotations

import math

from markupsafe import Markup

from include.s3_xcom.admin.look.shown import Bars, Plot

_WIDTH, _HEIGHT = 120, 32
_PLOT_WIDTH, _PLOT_HEIGHT = 480, 160
_MAP_SIDE = 320
_SHADES = 9


def histogram(bars: Bars) -> Markup:
    """Draw a bar for each range of a column's values."""
    most = max(count for _, count in bars.bars)
    width = _WIDTH / len(bars.bars)
    drawn = []
    for number, (label, count) in enumerate(bars.bars):
        height = round(count / most * _HEIGHT, 1)
        drawn.append(
            Markup('<rect x="{}" y="{}" width="{}" height="{}"><title>{}: {}</title></rect>').format(
                round(number * width, 1), _HEIGHT - height, round(width - 1, 1), height, label, f"{count:,}"
            )
        )
    words = ", ".join(f"{label}: {count:,}" for label, count in bars.bars if count)
    return _svg("histogram", _WIDTH, _HEIGHT, words, drawn)


def plot(plot: Plot) -> Markup:
    """Draw numbers as a line, or as a map of shades."""
    return _line(plot) if len(plot.rows) == 1 else _map(plot)


def _line(plot: Plot) -> Markup:
    [row], (least, most) = plot.rows, _limits(plot)
    step = _PLOT_WIDTH / max(1, len(row) - 1)
    points = " ".join(
        f"{number * step:.1f},{_PLOT_HEIGHT * (1 - _share(value, least, most)):.1f}"
        for number, value in enumerate(row)
        if math.isfinite(value)
    )
    words = f"{plot.words}, from {least:g} to {most:g}"
    return _svg("line", _PLOT_WIDTH, _PLOT_HEIGHT, words, [Markup('<polyline points="{}"/>').format(points)])


def _map(plot: Plot) -> Markup:
    least, most = _limits(plot)
    width, height = _MAP_SIDE / len(plot.rows[0]), _MAP_SIDE / len(plot.rows)
    drawn = []
    for y, row in enumerate(plot.rows):
        for x, value in enumerate(row):
            if math.isfinite(value):
                shade = min(_SHADES - 1, int(_share(value, least, most) * _SHADES))
                drawn.append(
                    Markup('<rect class="shade{}" x="{}" y="{}" width="{}" height="{}"/>').format(
                        shade, *(round(n, 2) for n in (x * width, y * height, width, height))
                    )
                )
    return _svg("map", _MAP_SIDE, _MAP_SIDE, f"{plot.words}, from {least:g} to {most:g}", drawn)


def _limits(plot: Plot) -> tuple[float, float]:
    known = [value for row in plot.rows for value in row if math.isfinite(value)]
    return (min(known), max(known)) if known else (0.0, 0.0)


def _share(value: float, least: float, most: float) -> float:
    """Return the position of a value from least (0) to most (1). Halves keep the span a finite number."""
    span = most / 2 - least / 2
    return (value / 2 - least / 2) / span if span else 0.0


def _svg(kind: str, width: int, height: int, words: str, drawn: list[Markup]) -> Markup:
    head = Markup('<svg class="{}" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">')
    return head.format(kind, width, height, width, height, words) + Markup("").join(drawn) + Markup("</svg>")
