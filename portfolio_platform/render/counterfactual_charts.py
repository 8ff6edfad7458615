"""Charts of a counterfactual and of a calibration: what was beside what would have been. Dashed is what was; solid what would be."""

import math
from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from portfolio_platform.control.counterfactual.calibrate import Calibration, Judged, Point
from portfolio_platform.control.counterfactual.model import Counterfactual
from portfolio_platform.control.counterfactual.outcome import shares
from portfolio_platform.days import day_number, to_date
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
    finish,
    jumpy,
    nothing_to_draw,
    numbers,
    over,
    percent_axis,
    says,
    short_money,
    with_last,
)
from portfolio_platform.render.ledger_charts import REGIME_LOOKS
from portfolio_platform.render.series import NORMAL, Floats
from portfolio_platform.render.words import REGIMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RULE_LOOKS = (
    (BLUE, ""),
    (VERMILION, "////"),
    (GREEN, "...."),
    (ORANGE, "xxxx"),
    (PURPLE, "----"),
    (SKY, "||||"),
    (LINE, ""),
)
"""Colour and hatch of the first rules; the rest are drawn together as the last."""
TITLES = {
    "equity": "Equity, as it was and as it would have been",
    "drawdown": "Drawdown, and the regime that it calls for",
    "heat": "Heat against its cap",
    "concentration": "Concentration: the largest cohort",
    "refusals": "Risk refused, by rule and quarter",
    "pnl": "Losses avoided and gains missed, by rule",
}
SENTENCES = {
    "equity": "Dashed: recorded. Solid: with the scaled trades; deposits and withdrawals are in both.",
    "drawdown": "Below the high-water mark of the unit value. The strip names the regime of the counterfactual path.",
    "heat": "Active risk over equity. A cap binds what is new: heat goes above it when a stop falls behind the price.",
    "concentration": "Its gross exposure over equity.",
    "refusals": "Share of the quarter's requested risk; mode is the drawdown regime's smaller size.",
    "pnl": "What the refused shares of trades made. The mark is the net: right of zero it paid to refuse.",
}
SIZES: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {"drawdown": ((5.8, 3.1), (9.0, 3.8)), "pnl": ((5.8, 3.1), (9.0, 3.8))}


def rule_name(rule: str) -> str:
    """Return a rule's name for reading."""
    return rule.replace("_", " ")


def series(found: Counterfactual, name: str) -> Floats:
    """Return a figure of every session, NaN where there is none."""
    return np.array([math.nan if value is None else value for value in (getattr(day, name) for day in found.days)], dtype=np.float64)


def chart(name: str, found: Counterfactual, prefix: str) -> str:
    """Return a chart as an SVG element; ``prefix`` keeps the charts of several portfolios on one page apart."""
    size = SIZES.get(name, (drawing.SVG_SIZE,))[0]
    return drawing.svg(lambda figure: _DRAW[name](found, figure), f"{prefix}-{name}", TITLES[name], size)


def png(name: str, found: Counterfactual) -> bytes:
    """Return a chart as a PNG."""
    size = SIZES[name][1] if name in SIZES else drawing.PNG_SIZE
    return drawing.png(lambda figure: _DRAW[name](found, figure), name, size)


def equity(found: Counterfactual, figure: "Figure") -> None:
    """Draw both equity paths."""
    then, now, days = series(found, "equity_then"), series(found, "equity"), [day.day for day in found.days]
    why = nothing_to_draw(days, (then, now))
    if why:
        says(figure, why)
        return
    axes, x = figure.add_subplot(), numbers(days)
    axes.plot(x, then, color=SOFT, linewidth=1.2, linestyle=DASHED, label=with_last("Recorded", then, short_money))
    axes.plot(x, now, color=BLUE, linewidth=1.4, label=with_last("Counterfactual", now, short_money))
    axes.yaxis.set_major_formatter(lambda amount, _: short_money(amount))
    finish(axes, x)


def drawdown(found: Counterfactual, figure: "Figure") -> None:
    """Draw both drawdowns, the level of risk-off, and a strip of the counterfactual regime."""
    then, now, days = series(found, "drawdown_then"), series(found, "drawdown"), [day.day for day in found.days]
    why = nothing_to_draw(days, (then, now))
    if why:
        says(figure, why)
        return
    from matplotlib.patches import Patch

    axes, ribbon = figure.subplots(2, 1, sharex=True, height_ratios=[8, 1])
    x = numbers(days)
    axes.plot(x, -then, color=SOFT, linewidth=1.1, linestyle=DASHED, label=f"Recorded: worst {formats.percent(float(np.nanmax(then)))}")
    axes.plot(x, -now, color=BLUE, linewidth=1.4, label=f"Counterfactual: worst {formats.percent(float(np.nanmax(now)))}")
    if found.risk_off < 1.0:
        axes.axhline(
            -found.risk_off, color=VERMILION, linewidth=1.1, linestyle=DASH_DOT, label=f"Risk-off from {formats.percent(found.risk_off, 0)}"
        )
    percent_axis(axes)
    axes.tick_params(axis="x", length=0)
    seen = dict.fromkeys(day.regime for day in found.days if day.regime != NORMAL)
    for regime in seen:
        colour, hatch = REGIME_LOOKS[regime]
        where = [day.regime == regime for day in found.days]
        ribbon.fill_between(x, 0.0, 1.0, where=where, step="post", facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0)
    ribbon.set_ylim(0.0, 1.0)
    ribbon.set_yticks([])
    ribbon.grid(visible=False)
    looks = {regime: REGIME_LOOKS[regime] for regime in seen}
    patches = [Patch(facecolor=one[0], hatch=one[1], edgecolor="white", label=REGIMES.get(name, name)) for name, one in looks.items()]
    axes.legend(handles=[*axes.get_legend_handles_labels()[0], *patches], loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3)
    dates(ribbon, x)


def heat(found: Counterfactual, figure: "Figure") -> None:
    """Draw both heats against the cap."""
    then, now, days = series(found, "heat_then"), series(found, "heat"), [day.day for day in found.days]
    why = nothing_to_draw(days, (then, now))
    if why:
        says(figure, why)
        return
    axes, x = figure.add_subplot(), numbers(days)
    jumpy(axes, x, then, "Recorded", SOFT, DASHED)
    jumpy(axes, x, now, "Counterfactual", BLUE)
    axes.axhline(found.heat_cap, color=VERMILION, linewidth=1.2, linestyle=DASH_DOT, label=f"Cap: {formats.percent(found.heat_cap)}")
    axes.set_ylim(bottom=0.0)
    percent_axis(axes)
    finish(axes, x)


def concentration(found: Counterfactual, figure: "Figure") -> None:
    """Draw the exposure of the largest cohort on both paths."""
    then, now, days = series(found, "cohort_exposure_then"), series(found, "cohort_exposure"), [day.day for day in found.days]
    why = nothing_to_draw(days, (then, now))
    if why:
        says(figure, why)
        return
    axes, x = figure.add_subplot(), numbers(days)
    jumpy(axes, x, then, "Recorded", SOFT, DASHED)
    jumpy(axes, x, now, "Counterfactual", BLUE)
    axes.set_ylim(bottom=0.0)
    percent_axis(axes)
    finish(axes, x)


def refused_by_quarter(found: Counterfactual) -> tuple[list[date], dict[str, Floats]]:
    """Return the first day of each quarter, and by rule the share of its requested risk that the rule refused, the most first."""
    begin = [_quarter(day.day) for day in found.days]
    quarters = sorted(set(begin))
    place = {quarter: number for number, quarter in enumerate(quarters)}
    asked = np.zeros(len(quarters))
    lost = {rule.rule: np.zeros(len(quarters)) for rule in found.rules}
    for one in found.outcomes:
        at = place.get(_quarter(to_date(day_number(one.decision.at))), len(quarters) - 1)
        asked[at] += one.decision.requested_risk
        for rule, amount in shares(one.decision).items():
            lost[rule][at] += amount
    return quarters, {
        rule: np.divide(amounts, asked, out=np.zeros(len(quarters)), where=asked > 0.0) for rule, amounts in lost.items() if amounts.any()
    }


def refusals(found: Counterfactual, figure: "Figure") -> None:
    """Draw for each quarter which share of the requested risk each rule refused, stacked."""
    quarters, by_rule = refused_by_quarter(found)
    if not by_rule:
        says(figure, "Nothing was refused or clipped.")
        return
    axes = figure.add_subplot()
    names, base = list(by_rule), np.zeros(len(quarters))
    own = names if len(names) <= len(RULE_LOOKS) else names[: len(RULE_LOOKS) - 1]
    rest = [name for name in names if name not in own]
    drawn = [(rule_name(name), by_rule[name]) for name in own]
    if rest:
        drawn.append((f"{len(rest)} others", np.sum([by_rule[name] for name in rest], axis=0)))
    for (label, amounts), (colour, hatch) in zip(drawn, RULE_LOOKS, strict=False):
        axes.bar(range(len(quarters)), amounts, 0.8, base, color=colour, hatch=hatch, edgecolor="white", linewidth=0.3, label=label)
        base = base + amounts
    step = max(1, math.ceil(len(quarters) / 9))
    places = list(range(0, len(quarters), step))
    axes.set_xticks(places, [_quarter_label(quarters[at], at == 0) for at in places])
    axes.grid(visible=False, axis="x")
    percent_axis(axes)
    over(axes, 4)


def pnl(found: Counterfactual, figure: "Figure") -> None:
    """Draw for each rule the losses that it avoided, the gains that it missed, and the net of both."""
    rules = [rule for rule in found.rules if rule.avoided or rule.missed][::-1]
    if not rules:
        says(figure, "No trade was refused or clipped.")
        return
    axes, places = figure.add_subplot(), np.arange(len(rules))
    net = [rule.avoided - rule.missed for rule in rules]
    axes.barh(places, [rule.avoided for rule in rules], 0.62, color=BLUE, label="Losses avoided")
    axes.barh(
        places, [-rule.missed for rule in rules], 0.62, color=ORANGE, hatch="////", edgecolor="white", linewidth=0.3, label="Gains missed"
    )
    axes.plot(net, places, linestyle="none", marker="D", color=BLACK, markerfacecolor="white", markersize=5, label="Net")
    axes.axvline(0.0, color=SOFT, linewidth=0.9)
    axes.set_yticks(places, [rule_name(rule.rule) for rule in rules])
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(lambda amount, _: short_money(amount))
    over(axes, 3)


def trade_off(found: Calibration, figure: "Figure") -> None:
    """Draw both windows: each candidate's maximum drawdown against the P&L that it forgoes, with the best ones as a curve."""
    left, right = figure.subplots(1, 2, sharey=True)
    _window(left, found, found.choice.seen, "Choosing")
    _window(right, found, found.judged, "Judging")
    left.set_ylabel("Maximum drawdown")
    seen = (*found.choice.seen.points, *found.judged.points, found.choice.seen.then, found.judged.then)
    left.set_ylim(0.0, 1.06 * max(found.ceiling if found.ceiling < 1.0 else 0.0, *(point.max_drawdown for point in seen)) or 1.0)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)


def frontier(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other beats on both maximum drawdown and P&L, by drawdown."""
    best: list[Point] = []
    for point in sorted(points, key=lambda one: (one.max_drawdown, -one.pnl)):
        if not best or point.pnl > best[-1].pnl:
            best.append(point)
    return best


def _window(axes: "Axes", found: Calibration, window: Judged, title: str) -> None:
    points = window.points
    curve = frontier(points)
    dots: dict[str, Any] = {"linestyle": "none", "zorder": 3}
    axes.plot([one.forgone for one in points], [one.max_drawdown for one in points], "o", color=SKY, markersize=4, **dots)
    axes.plot(
        [one.forgone for one in curve], [one.max_drawdown for one in curve], color=BLUE, linewidth=1.3, label="Best of what was tried"
    )
    axes.axhline(found.ceiling, color=VERMILION, linewidth=1.1, linestyle=DASH_DOT, label=f"Ceiling: {formats.percent(found.ceiling)}")
    for name, marker, colour, label in (
        ("as it is", "D", BLACK, "Policy as it is"),
        (found.choice.chosen, "*", VERMILION, "Chosen on the first window"),
    ):
        point, size = window.of(name), 13 if marker == "*" else 7
        axes.plot(point.forgone, point.max_drawdown, marker, color=colour, markersize=size, markerfacecolor="white", label=label, **dots)
    axes.plot(0.0, window.then.max_drawdown, "s", color=SOFT, markersize=6, label="Recorded", **dots)
    axes.set_title(f"{title}: {window.first} to {window.last}", loc="left")
    axes.set_xlabel(f"P&L forgone, {found.currency}")
    axes.xaxis.set_major_formatter(lambda amount, _: short_money(amount))
    percent_axis(axes)


def trade_off_svg(found: Calibration, prefix: str) -> str:
    """Return the trade-off as an SVG element."""
    return drawing.svg(lambda figure: trade_off(found, figure), f"{prefix}-trade-off", "Maximum drawdown against P&L forgone", (11.8, 4.2))


def trade_off_png(found: Calibration) -> bytes:
    """Return the trade-off as a PNG."""
    return drawing.png(lambda figure: trade_off(found, figure), "trade-off", (9.0, 4.2))


def _quarter(day: date) -> date:
    return date(day.year, 3 * ((day.month - 1) // 3) + 1, 1)


def _quarter_label(begin: date, first: bool) -> str:
    quarter = f"Q{(begin.month + 2) // 3}"
    return f"{quarter}\n{begin.year}" if first or begin.month == 1 else quarter


_DRAW: dict[str, Callable[[Counterfactual, "Figure"], None]] = {
    "equity": equity,
    "drawdown": drawdown,
    "heat": heat,
    "concentration": concentration,
    "refusals": refusals,
    "pnl": pnl,
}
