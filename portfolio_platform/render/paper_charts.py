"""Charts of a paper run: its account, its risk, what every symbol's workflow was doing, and what envelopes left to each."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from portfolio_platform.render import formats
from portfolio_platform.render import svg as drawing
from portfolio_platform.render.axes import (
    BLACK,
    BLUE,
    DASH_DOT,
    DASHED,
    GREEN,
    LINE,
    ORANGE,
    PURPLE,
    SKY,
    SOFT,
    VERMILION,
    dates,
    drawable,
    finish,
    jumpy,
    nothing_to_draw,
    numbers,
    percent_axis,
    says,
    short_money,
    with_last,
)
from portfolio_platform.render.ledger_charts import REGIME_LOOKS
from portfolio_platform.render.paper_shown import PaperShown, SymbolShown
from portfolio_platform.render.series import NORMAL
from portfolio_platform.render.words import REGIMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = {
    "equity": "Equity, and when the monitor was called",
    "drawdown": "Drawdown, and the regime that it calls for",
    "phases": "What every symbol's workflow was doing",
    "heat": "Heat against its cap",
    "concentration": "Largest symbol and largest cohort",
    "room": "New risk that the envelopes allowed",
}
SENTENCES = {
    "equity": "Closing equity of each session; a mark where a breach called the monitor before its time.",
    "drawdown": "Distance from the highest equity so far; the strip below shows the regime of each session.",
    "phases": "One row for each workflow: armed, in a position, in cooldown or being flattened; white is idle, and the line ends where it "
    "stopped.",
    "heat": "Open and reserved risk over equity, and the policy's cap.",
    "concentration": "Gross exposure of the largest symbol and of the largest cohort over equity.",
    "room": "Of equity, as each symbol's envelope said it; nothing where the mode forbids anything new.",
}
WIDE = ("phases", "room")
"""Charts that want the whole width of a page."""
PHASE_LOOKS = {
    "thesis_armed": (SKY, "", "armed"),
    "position_open": (BLUE, "", "position open"),
    "cooldown": ("#c9cdd3", "", "cooldown"),
    "invalidated": (PURPLE, "....", "invalidated"),
    "flattening": (VERMILION, "xxxx", "flattening"),
}
MOST = 24
"""Symbols in a chart of all of them, those that did most first; the table has all."""
MULTIPLES = 12
"""Small multiples on one chart."""


def chart(name: str, run: PaperShown, prefix: str = "paper") -> str:
    """Return a chart as an SVG element; where there is nothing to draw it says so."""
    return drawing.svg(lambda figure: _DRAW[name](run, figure), f"{prefix}-{name}", TITLES[name], _size(name, run))


def png(name: str, run: PaperShown) -> bytes:
    """Return a chart as a PNG."""
    return drawing.png(lambda figure: _DRAW[name](run, figure), name, (9.0, _size(name, run)[1]) if name in WIDE else drawing.PNG_SIZE)


def _size(name: str, run: PaperShown) -> tuple[float, float]:
    rows = len(busiest(run, MOST))
    if name == "phases":
        return 11.8, 1.0 + 0.24 * max(rows, 3)
    if name == "room":
        return 11.8, 0.9 + 1.0 * max(1, -(-min(rows, MULTIPLES) // 4))
    return drawing.SVG_SIZE


def busiest(run: PaperShown, most: int) -> list[SymbolShown]:
    """Return the symbols that did most, by name."""
    found = sorted(run.symbols, key=lambda one: (-len(one.phases), one.symbol))[:most]
    return sorted(found, key=lambda one: one.symbol)


def equity(run: PaperShown, figure: "Figure") -> None:
    """Draw equity, and a mark at every breach."""
    values, days = run.line("equity"), run.days
    if _says_nothing(run, figure):
        return
    axes, x = figure.add_subplot(), numbers(days)
    axes.axhline(run.cash, color=LINE, linewidth=0.8)
    axes.plot(x, values, color=BLUE, linewidth=1.4, label=with_last("Equity", values, short_money))
    place = {day: index for index, day in enumerate(days)}
    at = [place[one.day] for one in run.events if one.kind == "breach" and one.day in place]
    if at:
        axes.plot(
            x[at],
            values[at],
            linestyle="none",
            marker="v",
            color=VERMILION,
            markersize=5,
            zorder=3,
            label=f"Breach: monitor ran ({len(at)})",
        )
    axes.yaxis.set_major_formatter(lambda amount, _: short_money(amount))
    finish(axes, x)


def drawdown(run: PaperShown, figure: "Figure") -> None:
    """Draw the drawdown and a strip of its regime."""
    if _says_nothing(run, figure):
        return
    axes, ribbon = figure.subplots(2, 1, sharex=True, height_ratios=[8, 1])
    x, values = numbers(run.days), run.line("drawdown")
    axes.fill_between(x, -values, 0.0, facecolor=BLUE, alpha=0.25, linewidth=0)
    axes.plot(x, -values, color=BLUE, linewidth=1.2, label=f"Worst {formats.percent(float(np.nanmax(values)))}")
    percent_axis(axes)
    axes.tick_params(axis="x", length=0)
    regime_strip(ribbon, x, [one.regime for one in run.sessions])
    from matplotlib.patches import Patch

    seen = dict.fromkeys(one.regime for one in run.sessions if one.regime in REGIME_LOOKS)
    patches = [Patch(facecolor=REGIME_LOOKS[name][0], hatch=REGIME_LOOKS[name][1], edgecolor="white", label=REGIMES[name]) for name in seen]
    axes.legend(handles=[*axes.get_legend_handles_labels()[0], *patches], loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4)
    dates(ribbon, x)


def regime_strip(ribbon: "Axes", x: "np.ndarray[tuple[int], np.dtype[np.float64]]", regimes: Sequence[str]) -> None:
    """Draw the regime of each session as a strip."""
    for regime in dict.fromkeys(one for one in regimes if one in REGIME_LOOKS and one != NORMAL):
        colour, hatch = REGIME_LOOKS[regime]
        where = [one == regime for one in regimes]
        ribbon.fill_between(x, 0.0, 1.0, where=where, step="post", facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0)
    ribbon.set_ylim(0.0, 1.0)
    ribbon.set_yticks([])
    ribbon.grid(visible=False)


def phases(run: PaperShown, figure: "Figure") -> None:
    """Draw what every workflow was doing, a row for each."""
    shown = busiest(run, MOST)
    if not shown or _says_nothing(run, figure):
        if not shown:
            says(figure, "No workflow was started yet.")
        return
    from matplotlib.patches import Patch

    axes, end = figure.add_subplot(), float(numbers([run.days[-1]])[0]) + 1.0
    for row, one in enumerate(shown):
        for phase, begin, width in spells(one, end):
            if phase in PHASE_LOOKS:
                colour, hatch, _ = PHASE_LOOKS[phase]
                axes.broken_barh([(begin, width)], (row - 0.36, 0.72), facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0.2)
            elif phase == "idle":
                axes.plot([begin, begin + width], [row, row], color=LINE, linewidth=0.7, zorder=0)
    axes.set_yticks(range(len(shown)), [drawable(one.symbol, 12) for one in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    handles = [Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=label) for colour, hatch, label in PHASE_LOOKS.values()]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5)
    dates(axes, numbers([run.days[0], run.days[-1]]))


def spells(one: SymbolShown, end: float) -> list[tuple[str, float, float]]:
    """Return the phases of a workflow, each with its beginning and its length in days; the last one goes on to the end."""
    begins = [float(number) for number in numbers([day for day, _ in one.phases])]
    found = []
    for place, (_, phase) in enumerate(one.phases):
        until = begins[place + 1] if place + 1 < len(begins) else end
        if until > begins[place]:
            found.append((phase, begins[place], until - begins[place]))
    return found


def heat(run: PaperShown, figure: "Figure") -> None:
    """Draw heat against its cap."""
    if _says_nothing(run, figure):
        return
    axes, x = figure.add_subplot(), numbers(run.days)
    cap = run.line("cap")
    jumpy(axes, x, run.line("heat"), "Heat", BLUE)
    axes.plot(
        x, cap, color=VERMILION, linewidth=1.2, linestyle=DASH_DOT, drawstyle="steps-post", label=with_last("Cap", cap, formats.percent)
    )
    axes.set_ylim(bottom=0.0)
    percent_axis(axes)
    finish(axes, x)


def concentration(run: PaperShown, figure: "Figure") -> None:
    """Draw the exposure of the largest symbol and of the largest cohort."""
    if _says_nothing(run, figure):
        return
    axes, x = figure.add_subplot(), numbers(run.days)
    jumpy(axes, x, run.line("cohort_share"), "Largest cohort", ORANGE, DASHED)
    jumpy(axes, x, run.line("symbol_share"), "Largest symbol", BLUE)
    axes.set_ylim(bottom=0.0)
    percent_axis(axes)
    finish(axes, x)


def room(run: PaperShown, figure: "Figure") -> None:
    """Draw the new risk that each symbol's envelope allowed, a small chart for each."""
    shown = [one for one in busiest(run, MULTIPLES) if one.room]
    if not shown or _says_nothing(run, figure):
        if not shown:
            says(figure, "No envelope was told: the control plane was off, or nothing was started.")
        return
    rows = -(-len(shown) // 4)
    grid = figure.subplots(rows, min(4, len(shown)), sharex=True, sharey=True, squeeze=False)
    most = max(share for one in shown for _, share in one.room) or 1e-3
    x = numbers(run.days)
    for place, axes in enumerate(grid.flat):
        if place >= len(shown):
            axes.set_visible(False)
            continue
        one = shown[place]
        days = [*(day for day, _ in one.room), run.days[-1]]
        shares = np.array([*(share for _, share in one.room), one.room[-1][1]])
        axes.fill_between(numbers(days), 0.0, shares, step="post", facecolor=GREEN, alpha=0.25, linewidth=0)
        axes.plot(numbers(days), shares, color=GREEN, linewidth=0.9, drawstyle="steps-post")
        axes.text(0.02, 0.96, drawable(one.symbol, 14), transform=axes.transAxes, va="top", color=BLACK, fontsize=8.5)
        axes.set_ylim(0.0, most * 1.35)
        percent_axis(axes)
        few_dates(axes, run.days[0], run.days[-1])
        axes.set_xlim(x[0] - 1, x[-1] + 1)


def few_dates(axes: "Axes", first: date, last: date) -> None:
    """Put two or three years, or the two ends, along the foot of a small chart."""
    years = [date(year, 1, 1) for year in range(first.year, last.year + 1) if first <= date(year, 1, 1) <= last]
    step = max(1, -(-len(years) // 4))
    places = years[::step] if len(years) > 1 else [first, last]
    labels = [str(day.year) if len(years) > 1 else f"{day:%Y-%m}" for day in places]
    axes.set_xticks(list(numbers(places)), labels, color=SOFT)


def _says_nothing(run: PaperShown, figure: "Figure") -> bool:
    why = nothing_to_draw(run.days, (run.line("equity"),))
    if why:
        says(figure, why)
    return bool(why)


_DRAW: dict[str, Callable[[PaperShown, "Figure"], None]] = {
    "equity": equity,
    "drawdown": drawdown,
    "phases": phases,
    "heat": heat,
    "concentration": concentration,
    "room": room,
}
