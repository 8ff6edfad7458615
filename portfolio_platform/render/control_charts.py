"""Charts of the control plane: how much of the limits is used, session by session, and how intents were answered, week by week."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.control.model import APPROVED_CLIPPED, APPROVED_FULL, CODES
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.render import svg as drawing
from portfolio_platform.render.axes import (
    BLUE,
    DASHED,
    GREEN,
    LINE,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    dates,
    drawable,
    finish,
    jumpy,
    nothing_to_draw,
    numbers,
    over,
    percent_axis,
    says,
)
from portfolio_platform.render.chart_data import Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUPED = ("symbol", "cohort", "template", "playbook", "bucket")
"""Rules whose most used group is drawn beside heat."""
CODE_LOOKS = ((BLUE, ""), (SKY, "////"), (VERMILION, "xxxx"), (ORANGE, "...."), (PURPLE, "----"), (LINE, "||||"))
"""Colour and hatch of the first codes in their order; the rest are drawn together as the last."""
NO_DECISION = "No intent was decided yet: `portfolio control decide` asks for one."


def use_of_limits(home: Home, portfolio: str) -> Series:
    """Return how much of heat's cap a portfolio used at each session, and of the most used group of any other rule on risk."""
    where = (pc.field("portfolio") == portfolio) & (pc.field("basis") == "risk")
    rows = home.lake.read(derived.LIMIT_UTILISATION, ["day", "rule", "use"], where)
    most = rows.group_by(["day", "rule"]).aggregate([("use", "max")])
    days = sorted(set(most["day"].to_pylist()))
    heat = _at(most.filter(pc.field("rule") == "heat"), days)
    groups = [_at(most.filter(pc.field("rule") == rule), days) for rule in GROUPED]
    tightest = np.fmax.reduce(groups) if days else heat
    return Series(portfolio, days, {"heat": heat, "group": tightest})


def _at(rows: pa.Table, days: Sequence[date]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    known = dict(zip(rows["day"].to_pylist(), rows["use_max"].to_pylist(), strict=True))
    return np.array([np.nan if known.get(day) is None else known[day] for day in days], np.float64)


def limits_png(series: Series) -> bytes:
    """Return the use of limits as a PNG; where there is nothing to draw it says so."""

    def draw(figure: "Figure") -> None:
        why = nothing_to_draw(series.days, (series["heat"],))
        if why:
            says(figure, why)
            return
        axes, days = figure.add_subplot(), numbers(series.days)
        beyond = series["heat"] > 1.0
        axes.fill_between(days, 1.0, series["heat"], where=beyond.tolist(), step="post", facecolor=VERMILION, alpha=0.25, linewidth=0)
        jumpy(axes, days, series["group"], "Most used group of any other rule", ORANGE)
        jumpy(axes, days, series["heat"], "Heat", BLUE)
        axes.axhline(1.0, color=VERMILION, linewidth=1.3, linestyle=DASHED, label="cap")
        axes.set_ylim(bottom=0.0)
        percent_axis(axes)
        finish(axes, days)

    return drawing.png(draw, "limits")


def decisions_png(home: Home, portfolio: str) -> bytes:
    """Return how many intents of each week were answered with each code, as a PNG; where there is none it says so."""
    rows = home.lake.read(derived.ALLOCATION_DECISIONS, ["day", "code"], pc.field("portfolio") == portfolio).to_pylist()
    counts: dict[date, dict[str, int]] = {}
    for row in rows:
        week = row["day"] - timedelta(days=row["day"].weekday())
        counts.setdefault(week, {})[row["code"]] = counts.get(week, {}).get(row["code"], 0) + 1

    def draw(figure: "Figure") -> None:
        if not counts:
            says(figure, NO_DECISION)
            return
        axes, weeks = figure.add_subplot(), sorted(counts)
        days, below = numbers(weeks), np.zeros(len(weeks))
        for label, codes, (colour, hatch) in _kinds(rows):
            height = np.array([sum(counts[week].get(code, 0) for code in codes) for week in weeks], np.float64)
            axes.bar(days, height, 6.0, below, align="edge", color=colour, hatch=hatch, edgecolor="white", label=drawable(label, 30))
            below += height
        axes.set_ylabel("intents a week")
        over(axes)
        dates(axes, np.array([days[0], days[-1] + 7.0]))

    return drawing.png(draw, "decisions")


def _kinds(rows: Sequence[dict[str, str]]) -> list[tuple[str, tuple[str, ...], tuple[str, str]]]:
    """Return the codes that occur with their looks: what was granted first, then what was refused, the most frequent first."""
    often = {code: sum(row["code"] == code for row in rows) for code in CODES}
    granted = [code for code in (APPROVED_FULL, APPROVED_CLIPPED) if often[code]]
    refused = sorted((code for code in CODES if often[code] and code not in granted), key=lambda code: (-often[code], code))
    looks = {APPROVED_FULL: (GREEN, ""), APPROVED_CLIPPED: CODE_LOOKS[0]}
    kinds = [(code, (code,), looks[code]) for code in granted]
    kinds += [(code, (code,), look) for code, look in zip(refused[:4], CODE_LOOKS[1:], strict=False)]
    return [*kinds, *([("other refusals", tuple(refused[4:]), CODE_LOOKS[-1])] if refused[4:] else [])]
