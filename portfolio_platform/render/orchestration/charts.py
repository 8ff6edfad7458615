"""Two charts of a plan: sectors before, after and aimed at, under their caps; and the cash after every trade over its buffer."""

from typing import TYPE_CHECKING

import numpy as np

from portfolio_platform.orchestrator.amounts import of_whole
from portfolio_platform.orchestrator.papers import PlanPapers
from portfolio_platform.orchestrator.planned import CASH, Plan, SectorRow
from portfolio_platform.orchestrator.profile import ppm
from portfolio_platform.render import svg as drawing
from portfolio_platform.render.axes import (
    BLACK,
    BLUE,
    DASHED,
    DOTTED,
    GREEN,
    LINE,
    ORANGE,
    SOFT,
    VERMILION,
    drawable,
    says,
    short_money,
    short_percent,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_SECTORS = 14
"""Sectors that are drawn: those that change, then the largest; the table has all."""
MOST_NAMES = 24
"""Trades whose ids stand under the cash path; of more, every second, third, ... one."""
LEGEND = ("before", "after", "target", "cap", "as planned", "worst case", "healthy", "floor")
"""The order of a legend's entries, by how they begin."""
TITLES = {"sectors": "Sectors before and after", "cash_path": "Cash after every trade"}


def sentences(papers: PlanPapers) -> dict[str, str]:
    """Return what each chart shows, in a sentence."""
    rows = len(papers.plan.dry_run.sectors)
    cut = f" {MOST_SECTORS} of {rows} sectors." if rows > MOST_SECTORS else ""
    worst = f"{papers.profile.worst_case.slippage_bps:f} basis points against every trade and the highest fees"
    return {
        "sectors": f"Share of the portfolio. {'Diamond: target. ' if papers.plan.targets else ''}Upright line: cap.{cut}",
        "cash_path": f"{papers.plan.currency}. Dashed: with {worst}.",
    }


def sectors_svg(papers: PlanPapers) -> str:
    """Return the sectors before and after as an SVG element."""
    return drawing.svg(lambda figure: _sectors(figure, papers.plan), "sectors", TITLES["sectors"], (5.8, _height(papers.plan)))


def sectors_png(papers: PlanPapers) -> bytes:
    """Return the same as a PNG."""
    return drawing.png(lambda figure: _sectors(figure, papers.plan), "sectors")


def cash_path_svg(papers: PlanPapers) -> str:
    """Return the cash path as an SVG element."""
    return drawing.svg(lambda figure: _cash_path(figure, papers), "cash_path", TITLES["cash_path"], (5.8, _height(papers.plan)))


def cash_path_png(papers: PlanPapers) -> bytes:
    """Return the same as a PNG."""
    return drawing.png(lambda figure: _cash_path(figure, papers), "cash_path")


def _height(plan: Plan) -> float:
    """Return the height of both charts in inches: they stand beside each other."""
    return min(5.2, max(2.6, 0.8 + 0.34 * len(_drawn(plan))))


def _drawn(plan: Plan) -> list[SectorRow]:
    """Return the sectors that are drawn, in the order of the table; cash is always one of them."""
    rows = list(plan.dry_run.sectors)
    chosen = sorted(rows, key=lambda row: (row.sector != CASH, row.before_minor == row.after_minor, -max(row.before_ppm, row.after_ppm)))
    kept = {row.sector for row in chosen[:MOST_SECTORS]}
    return [row for row in rows if row.sector in kept]


def _sectors(figure: "Figure", plan: Plan) -> None:
    rows = _drawn(plan)
    axes = figure.add_subplot()
    places = np.arange(len(rows), dtype=np.float64)[::-1]
    axes.barh(places + 0.19, [row.before_ppm / 1e6 for row in rows], 0.34, color=LINE, hatch="////", edgecolor="white", label="before")
    axes.barh(places - 0.19, [row.after_ppm / 1e6 for row in rows], 0.34, color=BLUE, label="after")
    caps = [(row.cap_ppm / 1e6, place) for row, place in zip(rows, places, strict=True) if row.cap_ppm is not None]
    axes.vlines(
        [cap for cap, _ in caps], [at - 0.42 for _, at in caps], [at + 0.42 for _, at in caps], VERMILION, linewidth=1.6, label="cap"
    )
    aims = [(row.target_ppm / 1e6, place) for row, place in zip(rows, places, strict=True) if row.target_ppm is not None]
    if aims:
        axes.plot(
            [aim for aim, _ in aims], [at for _, at in aims], "D", color=ORANGE, markeredgecolor=BLACK, markersize=5.5, label="target"
        )
    axes.set_yticks(places, [drawable(row.sector) for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(left=0.0)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(lambda share, _: short_percent(share))
    _legend(figure, axes)


def _cash_path(figure: "Figure", papers: PlanPapers) -> None:
    plan = papers.plan
    if not plan.path:
        says(figure, "No trade: the cash stays as it is.")
        return
    unit = 10.0**plan.digits
    axes = figure.add_subplot()
    places = np.arange(len(plan.path) + 1, dtype=np.float64)
    planned = [plan.dry_run.cash_before_minor, *(step.cash_after_minor for step in plan.path)]
    worst = [plan.dry_run.cash_before_minor, *(step.worst_cash_after_minor for step in plan.path)]
    buffer, equity = papers.profile.buffer, plan.dry_run.equity_before_minor
    healthy, floor = (of_whole(ppm(share), equity, up=True) / unit for share in (buffer.healthy_pct, buffer.floor_pct))
    axes.fill_between(places, 0.0, floor, color=VERMILION, alpha=0.10, linewidth=0)
    axes.axhline(healthy, color=GREEN, linewidth=1.1, linestyle=DOTTED, label=f"healthy {buffer.healthy_pct:f} %")
    axes.axhline(floor, color=VERMILION, linewidth=1.3, linestyle=DASHED, label=f"floor {buffer.floor_pct:f} %")
    axes.plot(places, [one / unit for one in planned], color=BLUE, marker="o", markersize=3.2, linewidth=1.6, label="as planned")
    axes.plot(places, [one / unit for one in worst], color=SOFT, linewidth=1.1, linestyle=DASHED, label="worst case")
    every = -(-len(plan.path) // MOST_NAMES)
    axes.set_xticks(places[::every], [drawable(name, 10) for name in ("start", *(step.trade_id for step in plan.path))][::every])
    axes.tick_params(axis="x", labelrotation=90 if len(plan.path) > 12 else 45 if len(plan.path) > 8 else 0)
    axes.set_xlim(-0.2, len(plan.path) + 0.2)
    low = min(0, *planned, *worst) / unit
    axes.set_ylim(bottom=low * 1.1 if low < 0 else 0.0)
    axes.yaxis.set_major_formatter(lambda amount, _: short_money(amount))
    _legend(figure, axes)


def _legend(figure: "Figure", axes: "Axes") -> None:
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda place: next(at for at, name in enumerate(LEGEND) if labels[place].startswith(name)))
    figure.legend([handles[one] for one in order], [labels[one] for one in order], loc="outside upper left", ncols=len(labels))
