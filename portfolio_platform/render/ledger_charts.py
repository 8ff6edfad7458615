"""Charts of the account: equity, under water, exposure, concentration, P&L by strategy."""

from typing import TYPE_CHECKING, Any

import numpy as np

from portfolio_platform.render.axes import (
    BLACK,
    BLUE,
    DASH_DOT,
    DASHED,
    DOTTED,
    GREEN,
    LINE,
    ORANGE,
    PURPLE,
    SKY,
    SOFT,
    VERMILION,
    Style,
    dates,
    drawable,
    finish,
    jumpy,
    nothing_to_draw,
    numbers,
    over,
    percent_axis,
    says,
    short_money,
    short_percent,
    two,
    with_last,
)
from portfolio_platform.render.chart_data import Series
from portfolio_platform.render.series import NORMAL, History
from portfolio_platform.render.words import REGIMES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REGIME_LOOKS = {"defensive": (ORANGE, "////"), "risk_off": (VERMILION, "xxxx"), "probation": (SKY, "||||")}
LOOKS: tuple[tuple[str, Style], ...] = (
    (BLUE, "-"),
    (VERMILION, DASHED),
    (GREEN, DASH_DOT),
    (ORANGE, DOTTED),
    (PURPLE, "-"),
    (BLACK, DASHED),
)
"""Colour and line style of the first lines; as many strategies are drawn, the others together as the last."""


def equity(history: History, figure: "Figure") -> None:
    """Draw equity with its high-water mark in money, and the flows."""
    why = nothing_to_draw(history.days, (history.equity,))
    if why:
        says(figure, why)
        return
    axes = figure.add_subplot()
    days, mark = numbers(history.days), history.high_water_equity
    named = with_last("High-water mark", mark, short_money)
    axes.plot(days, mark, color=ORANGE, linewidth=1.3, linestyle=DASHED, drawstyle="steps-post", label=named)
    axes.fill_between(days, history.equity, mark, where=np.isfinite(mark).tolist(), color=ORANGE, alpha=0.12, linewidth=0)
    axes.plot(days, history.equity, color=BLUE, linewidth=1.3, label=with_last("Equity", history.equity, short_money))
    moved = np.flatnonzero(np.isfinite(history.net_flow) & (history.net_flow != 0.0))
    for sign, marker, label in ((1.0, "^", "Money in"), (-1.0, "v", "Money out")):
        places = moved[history.net_flow[moved] * sign > 0.0]
        if places.size:
            style: dict[str, Any] = {"marker": marker, "linestyle": "none", "markersize": 6, "clip_on": False, "zorder": 5}
            axes.plot(days[places], history.equity[places], color=BLACK, markerfacecolor="white", label=label, **style)
    axes.yaxis.set_major_formatter(lambda amount, _: short_money(amount))
    finish(axes, days)


def underwater(history: History, figure: "Figure") -> None:
    """Draw the drawdown, and the sessions that were not in the normal regime."""
    why = nothing_to_draw(history.days, (history.drawdown,))
    if why:
        says(figure, why)
        return
    from matplotlib.patches import Patch

    axes, ribbon = figure.subplots(2, 1, sharex=True, height_ratios=[8, 1])
    days, below = numbers(history.days), -history.drawdown
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
    ribbon.set_ylabel("regime", rotation=0, ha="right", va="center", color=SOFT)
    percent_axis(axes)
    axes.set_ylim(top=0.0)
    axes.tick_params(axis="x", length=0)
    patches = [Patch(facecolor="white", edgecolor=LINE, label=REGIMES[NORMAL])]
    patches += [
        Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=REGIMES[name])
        for name, (colour, hatch) in REGIME_LOOKS.items()
        if name in seen
    ]
    dates(ribbon, days)
    figure.legend(handles=patches, loc="outside upper left", ncols=4)


def exposure(history: History, figure: "Figure") -> None:
    """Draw gross and net exposure over equity."""
    why = nothing_to_draw(history.days, (history.gross_exposure_pct, history.net_exposure_pct))
    if why:
        says(figure, why)
        return
    axes, days = figure.add_subplot(), numbers(history.days)
    axes.axhline(0.0, color=LINE, linewidth=0.8)
    jumpy(axes, days, history.gross_exposure_pct, "Gross", BLUE)
    jumpy(axes, days, history.net_exposure_pct, "Net", VERMILION, DASHED)
    percent_axis(axes)
    finish(axes, days)


def concentration(history: History, figure: "Figure") -> None:
    """Draw the effective number of symbols and the shares of the largest symbol and template."""
    why = nothing_to_draw(history.days, (history.effective_symbols, history.top_symbol_share, history.top_template_share))
    if why:
        says(figure, why)
        return
    above, below = figure.subplots(2, 1, sharex=True)
    days = numbers(history.days)
    jumpy(above, days, history.effective_symbols, "Effective number of symbols", GREEN, last=two)
    above.set_ylim(bottom=0.0)
    above.tick_params(axis="x", length=0)
    over(above, 1)
    jumpy(below, days, history.top_template_share, "Largest template, of gross", ORANGE, DASHED)
    jumpy(below, days, history.top_symbol_share, "Largest symbol", BLUE)
    below.set_ylim(0.0, 1.05)
    percent_axis(below)
    finish(below, days)


def pnl(series: Series, figure: "Figure") -> None:
    """Draw cumulative P&L of each strategy, those that made or lost most first, the others together."""
    why = nothing_to_draw(series.days, list(series.columns.values()))
    if why:
        says(figure, why if len(series) < 2 or series.columns else "No P&L is attributed yet: nothing to draw.")
        return
    axes, days = figure.add_subplot(), numbers(series.days)
    axes.axhline(0.0, color=LINE, linewidth=0.8)
    order = sorted(series.columns, key=lambda name: (-abs(float(np.nan_to_num(series[name][-1]))), name))
    alone = order if len(order) <= len(LOOKS) else order[: len(LOOKS) - 1]
    lines = [(drawable(name) if name else "no position (cash)", series[name]) for name in alone]
    if len(order) > len(alone):
        lines.append((f"{len(order) - len(alone)} others", np.sum([series[name] for name in order[len(alone) :]], axis=0)))
    for (label, values), (colour, style) in zip(lines, LOOKS, strict=False):
        axes.plot(days, values, color=colour, linestyle=style, linewidth=1.3, label=with_last(label, values, short_money))
    axes.yaxis.set_major_formatter(lambda amount, _: short_money(amount))
    finish(axes, days, 3)
