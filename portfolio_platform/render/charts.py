"""The charts of a report: equity, underwater, exposure, concentration; each of all the sessions of a history.

Colours are Okabe and Ito's, told apart by the colour-blind; in grey print, line styles and hatches tell them apart.
No text from outside is drawn.
"""

import math
from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from portfolio_platform.render import formats
from portfolio_platform.render import svg as drawing
from portfolio_platform.render.series import NORMAL, Floats, History
from portfolio_platform.render.words import REGIMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ChartName = Literal["equity", "underwater", "exposure", "concentration"]
NAMES: tuple[ChartName, ...] = ("equity", "underwater", "exposure", "concentration")
TITLES: dict[ChartName, str] = {
    "equity": "Equity and high-water mark",
    "underwater": "Under water, and the drawdown regime",
    "exposure": "Gross and net exposure",
    "concentration": "Concentration",
}
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION = "#1b1e23", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00"
REGIME_LOOKS = {"defensive": (ORANGE, "////"), "risk_off": (VERMILION, "xxxx"), "probation": (SKY, "||||")}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120)
_DAY_STEPS = (1, 2, 7, 14)
_MOST_TICKS = 9
SMOOTHED = 20
"""Sessions of the trailing median that is drawn over a jumpy series; the series itself is drawn too, in full."""
MANY = 6 * SMOOTHED

_EPOCH = date(1970, 1, 1).toordinal()


def equity(history: History) -> str:
    """Return equity with its high-water mark in money, and the flows, as SVG."""
    return chart("equity", history)


def underwater(history: History) -> str:
    """Return the drawdown with the sessions that were not in the normal regime, as SVG."""
    return chart("underwater", history)


def exposure(history: History) -> str:
    """Return gross and net exposure over equity as SVG."""
    return chart("exposure", history)


def concentration(history: History) -> str:
    """Return the effective number of symbols and the shares of the largest symbol and template as SVG."""
    return chart("concentration", history)


def chart(name: ChartName, history: History) -> str:
    """Return a chart as an SVG element; where there is nothing to draw it says so."""
    return drawing.svg(lambda figure: draw(name, history, figure), name, TITLES[name])


def png(name: ChartName, history: History) -> bytes:
    """Return a chart as a PNG of 900 by 320 pixels."""
    return drawing.png(lambda figure: draw(name, history, figure), name)


def draw(name: ChartName, history: History, figure: "Figure") -> None:
    """Draw a chart on an empty figure."""
    series = {
        "equity": (history.equity,),
        "underwater": (history.drawdown,),
        "exposure": (history.gross_exposure_pct, history.net_exposure_pct),
        "concentration": (history.effective_symbols, history.top_symbol_share, history.top_template_share),
    }[name]
    why = nothing_to_draw(history, series)
    if why:
        figure.text(0.5, 0.5, why, ha="center", va="center", color="#4a4f57", fontsize=10)
        return
    {"equity": _equity, "underwater": _underwater, "exposure": _exposure, "concentration": _concentration}[name](history, figure)


def nothing_to_draw(history: History, series: Sequence[Floats]) -> str:
    """Return why there is no line to draw, empty where there is one."""
    if not len(history):
        return "No sessions yet: nothing to draw."
    if len(history) == 1:
        return f"One session so far ({history.days[0].isoformat()}): a line needs two."
    known = max(int(np.isfinite(values).sum()) for values in series)
    return "" if known > 1 else f"Fewer than two of {len(history):,} sessions have a value: nothing to draw."


def _equity(history: History, figure: "Figure") -> None:
    axes = figure.add_subplot()
    days, mark = _numbers(history), history.high_water_equity
    named = _last("High-water mark", mark, short_money)
    axes.plot(days, mark, color=ORANGE, linewidth=1.3, linestyle=(0, (4, 1.5)), drawstyle="steps-post", label=named)
    axes.fill_between(days, history.equity, mark, where=np.isfinite(mark).tolist(), color=ORANGE, alpha=0.12, linewidth=0)
    axes.plot(days, history.equity, color=BLUE, linewidth=1.3, label=_last("Equity", history.equity, short_money))
    moved = np.flatnonzero(np.isfinite(history.net_flow) & (history.net_flow != 0.0))
    for sign, marker, label in ((1.0, "^", "Money in"), (-1.0, "v", "Money out")):
        places = moved[history.net_flow[moved] * sign > 0.0]
        if places.size:
            style: dict[str, Any] = {"marker": marker, "linestyle": "none", "markersize": 6, "clip_on": False, "zorder": 5}
            axes.plot(days[places], history.equity[places], color=BLACK, markerfacecolor="white", label=label, **style)
    axes.yaxis.set_major_formatter(lambda amount, _: short_money(amount))
    _finish(axes, days)


def _underwater(history: History, figure: "Figure") -> None:
    from matplotlib.patches import Patch

    axes, ribbon = figure.subplots(2, 1, sharex=True, height_ratios=[8, 1])
    days, below = _numbers(history), -history.drawdown
    axes.fill_between(days, below, 0.0, where=np.isfinite(below).tolist(), color=BLACK, alpha=0.10, linewidth=0)
    axes.plot(days, below, color=BLACK, linewidth=1.0)
    worst = int(np.nanargmin(below))
    axes.plot(days[worst], below[worst], "o", color=BLACK, markersize=4, markerfacecolor="white")
    right = days[worst] > (days[0] + days[-1]) / 2
    axes.annotate(
        f"deepest {short_percent(below[worst])}, {history.days[worst].isoformat()}",
        (days[worst], below[worst]),
        xytext=(-7 if right else 7, -1),
        textcoords="offset points",
        ha="right" if right else "left",
        va="center",
        fontsize=8,
    )
    seen = []
    for regime, first, last in history.stretches():
        if regime in REGIME_LOOKS:
            colour, hatch = REGIME_LOOKS[regime]
            until = days[min(last + 1, len(days) - 1)] if last > first else days[last] + 1.0
            ribbon.axvspan(days[first], until, facecolor=colour, edgecolor="white", hatch=hatch, linewidth=0)
            axes.axvspan(days[first], until, facecolor=colour, alpha=0.13, linewidth=0)
            seen.append(regime)
    ribbon.set(yticks=[], ylim=(0, 1))
    ribbon.grid(visible=False)
    ribbon.set_ylabel("regime", rotation=0, ha="right", va="center", color="#4a4f57")
    axes.yaxis.set_major_formatter(lambda share, _: short_percent(share))
    axes.set_ylim(top=0.0)
    axes.tick_params(axis="x", length=0)
    patches = [Patch(facecolor="white", edgecolor="#8a8f98", label=REGIMES[NORMAL])]
    patches += [
        Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=REGIMES[name])
        for name, (colour, hatch) in REGIME_LOOKS.items()
        if name in seen
    ]
    _dates(ribbon, days)
    figure.legend(handles=patches, loc="outside upper left", ncols=4)


def _exposure(history: History, figure: "Figure") -> None:
    axes, days = figure.add_subplot(), _numbers(history)
    axes.axhline(0.0, color="#8a8f98", linewidth=0.8)
    _jumpy(axes, days, history.gross_exposure_pct, "Gross", BLUE)
    _jumpy(axes, days, history.net_exposure_pct, "Net", VERMILION, (0, (4, 1)))
    axes.yaxis.set_major_formatter(lambda share, _: short_percent(share))
    _finish(axes, days)


def _concentration(history: History, figure: "Figure") -> None:
    above, below = figure.subplots(2, 1, sharex=True)
    days = _numbers(history)
    _jumpy(above, days, history.effective_symbols, "Effective number of symbols", GREEN, last=lambda held: f"{held:.2f}")
    above.set_ylim(bottom=0.0)
    above.tick_params(axis="x", length=0)
    above.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=1)
    _jumpy(below, days, history.top_template_share, "Largest template, of gross", ORANGE, (0, (4, 1)))
    _jumpy(below, days, history.top_symbol_share, "Largest symbol", BLUE)
    below.set_ylim(0.0, 1.05)
    below.yaxis.set_major_formatter(lambda share, _: short_percent(share))
    _finish(below, days)


def _jumpy(
    axes: "Axes",
    days: Floats,
    values: Floats,
    label: str,
    colour: str,
    style: str | tuple[int, tuple[float, ...]] = "-",
    last: Callable[[float], str] | None = None,
) -> None:
    """Draw every session as a thin step line, and where there are many their trailing median as a thick one."""
    many = len(values) > MANY
    named = _last(label, values, last or formats.percent)
    thin: dict[str, Any] = {"linewidth": 0.5, "alpha": 0.45} if many else {"linewidth": 1.3, "linestyle": style, "label": named}
    axes.plot(days, values, color=colour, drawstyle="steps-post", **thin)
    if many:
        axes.plot(days, trailing_median(values, SMOOTHED), color=colour, linewidth=1.6, linestyle=style, label=named)


def trailing_median(values: Floats, window: int) -> Floats:
    """Return the median of the known values among each and the ones before it, NaN where fewer than half are known."""
    padded = np.concatenate([np.full(window - 1, math.nan), values])
    ordered = np.sort(np.lib.stride_tricks.sliding_window_view(padded, window), axis=1)  # NaN sorts last
    known = np.isfinite(ordered).sum(axis=1)
    row = np.arange(len(values))
    middle = (ordered[row, np.maximum(known - 1, 0) // 2] + ordered[row, np.minimum(known // 2, window - 1)]) / 2.0
    return np.where(known * 2 >= window, middle, math.nan)


def _last(label: str, values: Floats, spelled: Callable[[float], str]) -> str:
    """Return a legend's label with the series' last value."""
    return f"{label}: {spelled(float(values[-1]))}" if math.isfinite(values[-1]) else f"{label}: last not known"


def _finish(axes: "Axes", days: Floats) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4)
    _dates(axes, days)


def _dates(axes: "Axes", days: Floats) -> None:
    places, labels = date_ticks(_day(days[0]), _day(days[-1]))
    margin = max(0.5, (days[-1] - days[0]) * 0.01)
    axes.set_xticks([place.toordinal() - _EPOCH for place in places], labels)
    axes.set_xlim(days[0] - margin, days[-1] + margin)


def _numbers(history: History) -> Floats:
    return np.array(history.days, dtype="datetime64[D]").astype(np.int64).astype(np.float64)


def _day(number: float) -> date:
    return date.fromordinal(int(number) + _EPOCH)


def date_ticks(first: date, last: date) -> tuple[list[date], list[str]]:
    """Return at most nine days between two, at starts of months where the range has two of them, and their labels."""
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    for step in _MONTH_STEPS:
        starts = [date(month // 12, month % 12 + 1, 1) for month in months if month % step == 0]
        starts = [start for start in starts if first <= start <= last]
        if len(starts) < 2:
            break
        if len(starts) <= _MOST_TICKS:
            return starts, [_month_label(start, step, place == 0) for place, start in enumerate(starts)]
    span = last.toordinal() - first.toordinal()
    step = next((step for step in _DAY_STEPS if span / step < _MOST_TICKS), _DAY_STEPS[-1])
    days = [date.fromordinal(number) for number in range(first.toordinal(), last.toordinal() + 1, step)]
    return days, [f"{day.day} {_MONTHS[day.month - 1]}" + (f"\n{day.year}" if not place else "") for place, day in enumerate(days)]


def _month_label(start: date, step: int, first: bool) -> str:
    if step >= 12:
        return str(start.year)
    return _MONTHS[start.month - 1] + (f"\n{start.year}" if first or start.month == 1 else "")


def short_money(amount: float) -> str:
    """Return an amount for an axis: 1.2M, 350k."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(amount) >= size:
            return f"{amount / size:.4g}{letter}".replace("-", "−")
    return f"{amount:.4g}".replace("-", "−")


def short_percent(share: float) -> str:
    """Return a fraction for an axis, with a decimal only where it has one."""
    text = f"{share * 100.0:.1f}".removesuffix(".0")
    return ("0" if text in ("-0", "0") else text.replace("-", "−")) + " %" if math.isfinite(share) else ""
