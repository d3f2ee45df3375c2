"""Charts as SVG. Whatever comes from a value is escaped."""

from __future__ import annotations

from markupsafe import Markup

from include.s3_xcom.admin.look.shown import Bars, Plot

_WIDTH, _HEIGHT = 120, 32
_PLOT_WIDTH, _PLOT_HEIGHT = 480, 160
_MAP_SIDE = 320
_SHADES = 9


def histogram(bars: Bars) -> Markup:
    """How the values of a column spread: a bar for each range of them."""
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
    """Numbers as a line, or as a map of shades."""
    return _line(plot) if len(plot.rows) == 1 else _map(plot)


def _line(plot: Plot) -> Markup:
    known = [number for number in plot.rows[0] if number == number and abs(number) != float("inf")]
    least, most = (min(known), max(known)) if known else (0, 0)
    step = _PLOT_WIDTH / max(1, len(plot.rows[0]) - 1)
    span = (most - least) or 1
    points = " ".join(
        f"{number * step:.1f},{_PLOT_HEIGHT - (value - least) / span * _PLOT_HEIGHT:.1f}"
        for number, value in enumerate(plot.rows[0])
        if value == value and abs(value) != float("inf")
    )
    words = f"{plot.words}, from {least:g} to {most:g}"
    return _svg("line", _PLOT_WIDTH, _PLOT_HEIGHT, words, [Markup('<polyline points="{}"/>').format(points)])


def _map(plot: Plot) -> Markup:
    known = [x for row in plot.rows for x in row if x == x and abs(x) != float("inf")]
    least, most = (min(known), max(known)) if known else (0, 0)
    span = (most - least) or 1
    width, height = _MAP_SIDE / len(plot.rows[0]), _MAP_SIDE / len(plot.rows)
    drawn = []
    for y, row in enumerate(plot.rows):
        for x, value in enumerate(row):
            if value == value and abs(value) != float("inf"):
                shade = min(_SHADES - 1, int((value - least) / span * _SHADES))
                drawn.append(
                    Markup('<rect class="shade{}" x="{}" y="{}" width="{}" height="{}"/>').format(
                        shade, *(round(n, 2) for n in (x * width, y * height, width, height))
                    )
                )
    return _svg("map", _MAP_SIDE, _MAP_SIDE, f"{plot.words}, from {least:g} to {most:g}", drawn)


def _svg(kind: str, width: int, height: int, words: str, drawn: list[Markup]) -> Markup:
    head = Markup('<svg class="{}" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">')
    return head.format(kind, width, height, width, height, words) + Markup("").join(drawn) + Markup("</svg>")
