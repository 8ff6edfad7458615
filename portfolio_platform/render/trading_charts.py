"""Charts of trading: turnover, execution, idle capital, failures; and how far stated confidence and samples carry."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from portfolio_platform.render import formats
from portfolio_platform.render.axes import (
    BLACK,
    BLUE,
    DASH_DOT,
    DASHED,
    DOTTED,
    GREEN,
    LINE,
    ORANGE,
    SKY,
    SOFT,
    VERMILION,
    Style,
    band,
    drawable,
    finish,
    jumpy,
    nothing_to_draw,
    numbers,
    over,
    percent_axis,
    says,
    with_last,
)
from portfolio_platform.render.chart_data import Failures, Series
from portfolio_platform.render.series import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_MODES, FEWEST_BARS = 9, 4
_GATE_LOOKS: dict[str, tuple[str, Style]] = {
    "census": (BLUE, "-"),
    "estimated": (VERMILION, DASHED),
    "capital": (GREEN, DASH_DOT),
    "skill": (BLACK, DOTTED),
}


def turnover(series: Series, figure: "Figure") -> None:
    """Draw turnover of 20 sessions against its baseline, and the fills against theirs."""
    why = nothing_to_draw(series.days, (series["turnover_20"], series["fills_20"]))
    if why:
        says(figure, why)
        return
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    days = numbers(series.days)
    _against(above, days, series["turnover_20"], series["turnover_baseline"], "Turnover, 20 sessions", formats.percent)
    percent_axis(above)
    above.tick_params(axis="x", length=0)
    over(above)
    _against(below, days, series["fills_20"], series["fills_usual"], "Fills, 20 sessions", lambda held: formats.number(held, 0))
    finish(below, days)


def _against(axes: "Axes", days: Floats, values: Floats, usual: Floats, label: str, spelled: Callable[[float], str]) -> None:
    axes.plot(days, values, color=BLUE, linewidth=1.0, drawstyle="steps-post", label=with_last(label, values, spelled))
    axes.plot(days, usual, color=ORANGE, linewidth=1.5, linestyle=DASHED, label=with_last("usual", usual, spelled))
    axes.set_ylim(bottom=0.0)


def execution(series: Series, figure: "Figure") -> None:
    """Draw the realised median of slippage with its interval against what playbooks expect, all playbooks together."""
    why = nothing_to_draw(series.days, (series["realised"],))
    if why:
        says(figure, why)
        return
    axes, days = figure.add_subplot(), numbers(series.days)
    axes.axhline(0.0, color=LINE, linewidth=0.8)
    band(axes, days, series["low"], series["high"], SKY, "95 % interval")
    axes.plot(
        days,
        series["realised"],
        color=BLUE,
        linewidth=1.1,
        drawstyle="steps-post",
        label=with_last("Realised median", series["realised"], _bps),
    )
    axes.plot(
        days, series["expected"], color=VERMILION, linewidth=1.3, linestyle=DASHED, label=with_last("Expected", series["expected"], _bps)
    )
    axes.yaxis.set_major_formatter(lambda held, _: f"{held:g} bps".replace("-", "−"))
    finish(axes, days)


def _bps(held: float) -> str:
    return f"{formats.number(held, 1)} bps"


def idle(series: Series, figure: "Figure") -> None:
    """Draw the idle share of the heat cap, the share of setups missed for capacity, and the share of intents rejected."""
    why = nothing_to_draw(series.days, (series["idle"], series["missed_rate"], series["rejection_rate"]))
    if why:
        says(figure, why)
        return
    axes, days = figure.add_subplot(), numbers(series.days)
    jumpy(axes, days, series["idle"], "Idle share of the cap", BLUE)
    jumpy(axes, days, series["missed_rate"], "Setups missed", ORANGE, DASHED)
    jumpy(axes, days, series["rejection_rate"], "Intents rejected", VERMILION, DOTTED)
    axes.set_ylim(0.0, 1.02)
    percent_axis(axes)
    finish(axes, days)


def failures(found: Failures, figure: "Figure") -> None:
    """Draw the losing trades of the newest window by how they failed; those of keys that come back are hatched."""
    if found.day is None:
        says(figure, "No sessions yet: nothing to draw.")
        return
    if not found.modes:
        says(figure, f"{found.day.isoformat()}: no losing trade in the last 60 sessions.")
        return
    from matplotlib.ticker import MaxNLocator

    axes = figure.add_subplot()
    shown = found.modes[:MOST_MODES]
    places = np.arange(len(shown))
    once = [float(mode.cases - mode.recurring) for mode in shown]
    again = [float(mode.recurring) for mode in shown]
    axes.barh(places, once, color=SKY, edgecolor=BLUE, linewidth=0.6, label="cases")
    if any(again):
        axes.barh(
            places, again, left=once, color=VERMILION, edgecolor="white", hatch="////", linewidth=0.6, label="of a failure that comes back"
        )
    for place, mode in enumerate(shown):
        axes.text(mode.cases, place, f" {mode.cases}", va="center", fontsize=8.5, color=SOFT)
    axes.set_yticks(places, [drawable(mode.mode.replace("_", " "), 40) for mode in shown])
    axes.set_ylim(max(len(shown), FEWEST_BARS) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(0.0, max(mode.cases for mode in shown) * 1.08)
    rest = len(found.modes) - len(shown)
    axes.set_title(f"60 sessions up to {found.day.isoformat()}" + (f"; {rest} more modes" if rest else ""), loc="right", color=SOFT)
    over(axes, 2)


def calibration(series: Series, figure: "Figure") -> None:
    """Draw the stated confidence against the share that came true, with its interval."""
    why = nothing_to_draw(series.days, (series["hit_rate"],))
    if why:
        says(figure, why)
        return
    axes, days = figure.add_subplot(), numbers(series.days)
    band(axes, days, series["hit_low"], series["hit_high"], SKY, "95 % interval")
    axes.plot(
        days,
        series["hit_rate"],
        color=BLUE,
        linewidth=1.1,
        drawstyle="steps-post",
        label=with_last("Came true", series["hit_rate"], formats.percent),
    )
    axes.plot(
        days,
        series["confidence"],
        color=VERMILION,
        linewidth=1.3,
        linestyle=DASHED,
        label=with_last("Stated", series["confidence"], formats.percent),
    )
    axes.set_ylim(0.0, 1.0)
    percent_axis(axes)
    finish(axes, days)


def gates(series: Series, figure: "Figure") -> None:
    """Draw the share of gates that passed, by their class."""
    why = nothing_to_draw(series.days, list(series.columns.values()))
    if why:
        says(figure, why)
        return
    axes, days = figure.add_subplot(), numbers(series.days)
    for name, values in series.columns.items():
        colour, style = _GATE_LOOKS.get(name, (SOFT, "-"))
        jumpy(axes, days, values, drawable(name.capitalize()), colour, style, lambda held: formats.percent(held, 0))
    axes.set_ylim(-0.02, 1.05)
    percent_axis(axes)
    finish(axes, days)
