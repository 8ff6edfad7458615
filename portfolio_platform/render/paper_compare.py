"""Two paper runs over the same bars and seeds, side by side: page, Markdown and a table for a terminal."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from portfolio_platform.render import formats
from portfolio_platform.render import paper_blocks as blocks
from portfolio_platform.render import svg as drawing
from portfolio_platform.render.axes import (
    BLUE,
    DASH_DOT,
    DASHED,
    LINE,
    SOFT,
    VERMILION,
    Style,
    drawable,
    finish,
    nothing_to_draw,
    numbers,
    over,
    percent_axis,
    says,
    short_money,
    trailing_median,
    with_last,
)
from portfolio_platform.render.blocks import Cell, Grid, columns
from portfolio_platform.render.paper_page import Card, filled, picture
from portfolio_platform.render.paper_shown import PaperShown, interval, limits_that_bit, summary
from portfolio_platform.render.series import Floats
from portfolio_platform.render.text import markdown_text as md

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

YEAR = 252
BLOCK, DRAWS, SEED = 20, 2_000, 11
"""Sessions of a block, draws and seed of the bootstrap of the difference."""
MANY = 120
MOST_RULES = 9
LOOKS: tuple[tuple[str, Style], ...] = ((BLUE, "-"), (VERMILION, DASHED))
TITLES = {
    "equity": "Equity",
    "drawdown": "Drawdown",
    "heat": "Heat",
    "symbol_share": "Largest symbol",
    "cohort_share": "Largest cohort",
    "held": "Open positions",
    "limits": "What limits refused or made smaller",
}
SENTENCES = {
    "equity": "Closing equity of each session.",
    "drawdown": "Distance from the highest equity so far.",
    "heat": "Open and reserved risk over equity, with the cap of the first.",
    "symbol_share": "Gross exposure of the largest symbol over equity.",
    "cohort_share": "Gross exposure of the largest cohort over equity.",
    "held": "Positions at each session's end.",
    "limits": "Activations that each limit refused (full) or made smaller (hatched).",
}


@dataclass(frozen=True)
class Compared:
    """Two runs.

    Attributes:
        labels: what each is called.
        runs: both, over the same days.
        hash: of both records.
    """

    labels: tuple[str, str]
    runs: tuple[PaperShown, PaperShown]
    hash: str


def sentences(found: Compared) -> list[str]:
    """Return what differs, in plain words, the most important first."""
    (a, b), (one, two) = found.labels, (summary(run) for run in found.runs)
    money = found.runs[0].currency
    out = [
        f"Drawdown: at most {formats.percent(one.max_drawdown)} with {a}, {formats.percent(two.max_drawdown)} with {b}; "
        f"{_points(one.max_drawdown - two.max_drawdown)} with {a}.",
        f"Heat: {formats.percent(one.mean_heat)} on average and {formats.percent(one.max_heat)} at most with {a}, "
        f"{formats.percent(two.mean_heat)} and {formats.percent(two.max_heat)} with {b}; above the cap in {one.over_cap:,} and "
        f"{two.over_cap:,} sessions.",
        f"Concentration: the largest symbol at most {formats.percent(one.max_symbol, 0)} of equity with {a} and "
        f"{formats.percent(two.max_symbol, 0)} with {b}; the largest cohort {formats.percent(one.max_cohort, 0)} and "
        f"{formats.percent(two.max_cohort, 0)}.",
        f"Result: {formats.percent(one.total_return)} with {a} and {formats.percent(two.total_return)} with {b}: "
        f"{formats.money(abs(one.pnl - two.pnl), money)} {'more' if one.pnl >= two.pnl else 'less'} with {a}. {_sure(found)}",
        _taken(found, 0),
        _taken(found, 1),
    ]
    return [line for line in out if line]


def _points(difference: float) -> str:
    size = formats.number(abs(difference) * 100.0, 1)
    return "the same" if size == "0.0" else f"{size} points {'more' if difference > 0 else 'less'}"


def _sure(found: Compared) -> str:
    """Say how far the difference of the results is to be trusted."""
    between = difference(*found.runs)
    if between is None:
        return "The runs are too short to say whether that is more than chance."
    low, high = (formats.percent(one) for one in between)
    said = f"a year's difference lies between {low} and {high} with 95 % (blocks of {BLOCK} sessions drawn again)"
    return f"{said[0].upper()}{said[1:]}" + ("; that is not told apart from chance." if between[0] <= 0.0 <= between[1] else ".")


def _taken(found: Compared, place: int) -> str:
    run, label = found.runs[place], found.labels[place]
    what, bit = summary(run), limits_that_bit(run)
    if not bit:
        return f"With {label} no limit took anything of {what.activations:,} activations."
    names = [f"{name} ({refused + smaller:,})" for name, (refused, smaller, _) in list(bit.items())[:3]]
    return (
        f"With {label}, {what.refused:,} of {what.activations:,} activations were refused and {what.smaller:,} made smaller; most by "
        f"{', '.join(names)}."
    )


def difference(one: PaperShown, two: PaperShown) -> tuple[float, float] | None:
    """Return the 95 % interval of the difference of the yearly log returns, None below 120 common sessions.

    Daily differences are drawn again in blocks, which keeps what hangs together within one (Kunsch 1989); seeded.
    """
    first, second = dict(zip(one.days, one.line("equity"), strict=True)), dict(zip(two.days, two.line("equity"), strict=True))
    days = sorted(first.keys() & second.keys())
    if len(days) <= MANY:
        return None
    values = np.array([[first[day], second[day]] for day in days], np.float64)
    if (values <= 0.0).any():
        return None
    steps = np.diff(np.log(values), axis=0)
    daily = steps[:, 0] - steps[:, 1]
    generator = np.random.default_rng(SEED)
    count = -(-len(daily) // BLOCK)
    begins = generator.integers(0, len(daily) - BLOCK + 1, (DRAWS, count))
    drawn = daily[begins[:, :, None] + np.arange(BLOCK)].reshape(DRAWS, -1)[:, : len(daily)]
    low, high = np.quantile(drawn.mean(axis=1) * YEAR, [0.025, 0.975])
    return float(low), float(high)


def table(found: Compared) -> Grid:
    """Return every figure of both runs and what differs."""
    one, two = (summary(run) for run in found.runs)
    rows = []
    for label, name, unit in blocks.FIGURES:
        values = (float(getattr(one, name)), float(getattr(two, name)))
        texts = [blocks.told(value, unit, found.runs[0].currency) for value in values]
        rows.append(
            (Cell(label), Cell(texts[0]), Cell(texts[1]), Cell(blocks.changed(values[0] - values[1], unit, found.runs[0].currency)))
        )
    for place, label in enumerate(("lower", "upper")):
        both = [interval([trade.r for trade in run.trades]) for run in found.runs]
        texts = [formats.NULL if one is None else f"{formats.number(one[place], 2)} R" for one in both]
        rows.append((Cell(f"Mean R, {label} 95 % bound"), Cell(texts[0]), Cell(texts[1]), Cell("")))
    return Grid("Both runs, and the first less the second", columns("<Figure", *found.labels, "difference"), tuple(rows))


def limits(found: Compared) -> Grid:
    """Return what each limit took in both runs."""
    both = [limits_that_bit(run) for run in found.runs]
    rows = []
    for name in _limit_names(found):
        cells = [one.get(name, (0, 0, 0.0)) for one in both]
        rows.append(
            (
                Cell(name),
                *(Cell(text) for refused, smaller, risk in cells for text in (f"{refused:,}", f"{smaller:,}", formats.number(risk, 0))),
            )
        )
    heads = [f"{label}: {what}" for label in found.labels for what in ("refused", "smaller", "risk taken")]
    return Grid(f"Limits that bit, in {found.runs[0].currency}", columns("<Limit", *heads), tuple(rows))


def symbols(found: Compared) -> Grid:
    """Return trades and results by symbol in both runs."""
    names = sorted({one.symbol for run in found.runs for one in run.symbols})
    rows = []
    for name in names:
        cells = [Cell(name)]
        for run in found.runs:
            mine = [one for one in run.trades if one.symbol == name]
            r = formats.number(sum(one.r for one in mine), 2)
            cells += [Cell(f"{len(mine):,}"), Cell(r), Cell(formats.number(sum(one.pnl for one in mine), 0))]
        rows.append(tuple(cells))
    heads = [f"{label}: {what}" for label in found.labels for what in ("trades", "sum of R", "P&L")]
    return Grid(f"Symbols, closed trades, in {found.runs[0].currency}", columns("<Symbol", *heads), tuple(rows))


def notes(found: Compared) -> list[str]:
    """Return what the comparison cannot say."""
    days = found.runs[0].days
    span = f"{days[0]} to {days[-1]}" if days else "no session"
    return [
        *blocks.NOTES,
        "Both runs share bars, seeds and playbooks. After the first decision that differs they hold other positions, so that a later "
        "difference is not that decision's alone.",
        f"The playbooks' own expectations may rest on bars of the same history; over {span} nothing here is out of sample for them unless "
        "their file says so.",
    ]


def page(found: Compared) -> bytes:
    """Return the page; equal input gives equal bytes."""
    a, b = found.labels
    drawn = {name: picture(TITLES[name], SENTENCES[name], chart(name, found)) for name in TITLES}
    one, two = (summary(run) for run in found.runs)
    return filled(
        title=f"{a} against {b}",
        subtitle=blocks.subtitle(found.runs[0]).partition(";")[0],
        heading="What the envelopes did" if found.runs[1].control != "on" else "What differs",
        sentences=sentences(found),
        cards=(
            Card("Maximum drawdown", formats.percent(one.max_drawdown), f"{formats.percent(two.max_drawdown)} with {b}"),
            Card("Largest heat", formats.percent(one.max_heat), f"{formats.percent(two.max_heat)} with {b}"),
            Card("Largest cohort", formats.percent(one.max_cohort, 0), f"{formats.percent(two.max_cohort, 0)} with {b}"),
            Card("Return", formats.percent(one.total_return), f"{formats.percent(two.total_return)} with {b}"),
        ),
        wide=[drawn["equity"]],
        pictures=[one for name, one in drawn.items() if name != "equity"],
        grids=[table(found), limits(found)],
        folded=[("Symbols", symbols(found))],
        notes=notes(found),
        hashes=[(f"record of {label}", run.hash) for label, run in zip(found.labels, found.runs, strict=True)],
    )


def markdown(found: Compared) -> str:
    """Return the same as Markdown, without pictures."""
    a, b = found.labels
    parts = [f"# {md(a)} against {md(b)}", "", md(blocks.subtitle(found.runs[0]).partition(";")[0]), ""]
    parts += [f"- {md(line)}" for line in sentences(found)]
    for grid in (table(found), limits(found), symbols(found)):
        parts += ["", grid_markdown(grid)]
    parts += ["", "How far to trust it:", "", *(f"- {md(line)}" for line in notes(found)), ""]
    return "\n".join(parts)


def grid_markdown(grid: Grid) -> str:
    """Return a table in Markdown, with its caption before it."""
    heads = " | ".join(md(column.head) for column in grid.columns)
    aligns = " | ".join("---:" if column.number else "---" for column in grid.columns)
    rows = [f"| {' | '.join(md(cell.text) for cell in row)} |" for row in grid.rows]
    return "\n".join([f"{md(grid.caption)}:", "", f"| {heads} |", f"| {aligns} |", *rows])


def document(found: Compared) -> dict[str, Any]:
    """Return the figures for programs: exact, not rounded for reading; NaN is null."""
    both = [{name: _plain(value) for name, value in vars(summary(run)).items()} for run in found.runs]
    between = difference(*found.runs)
    return {
        "labels": list(found.labels),
        "hash": found.hash,
        "first": found.runs[0].days[0].isoformat() if found.runs[0].days else None,
        "last": found.runs[0].days[-1].isoformat() if found.runs[0].days else None,
        "runs": both,
        "limits": [{name: list(taken) for name, taken in limits_that_bit(run).items()} for run in found.runs],
        "yearly_difference_95": list(between) if between else None,
        "mean_r_95": [interval([one.r for one in run.trades]) for run in found.runs],
        "sentences": sentences(found),
    }


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


# --- charts


def chart(name: str, found: Compared) -> str:
    """Return a chart as an SVG element; where there is nothing to draw it says so."""
    size = (11.8, 2.9) if name == "equity" else drawing.SVG_SIZE
    return drawing.svg(lambda figure: _draw(name, found, figure), f"compare-{name.replace('_', '-')}", TITLES[name], size)


def png(name: str, found: Compared) -> bytes:
    """Return a chart as a PNG."""
    return drawing.png(lambda figure: _draw(name, found, figure), name)


def _draw(name: str, found: Compared, figure: "Figure") -> None:
    if name == "limits":
        _limits(found, figure)
        return
    if why := nothing_to_draw(found.runs[0].days, [run.line("equity") for run in found.runs]):
        says(figure, why)
        return
    axes = figure.add_subplot()
    spelled: Callable[[float], str] = {"equity": short_money, "held": lambda count: f"{count:.0f}"}.get(name, formats.percent)
    for run, label, (colour, style) in zip(found.runs, found.labels, LOOKS, strict=True):
        values = run.line(name)
        if name == "drawdown":
            text = f"{drawable(label)}: worst {formats.percent(float(np.nanmax(values)))}"
            axes.plot(numbers(run.days), -values, color=colour, linestyle=style, linewidth=1.3, label=text)
        elif name == "equity":
            axes.plot(
                numbers(run.days), values, color=colour, linestyle=style, linewidth=1.4, label=with_last(drawable(label), values, spelled)
            )
        else:
            _often(axes, numbers(run.days), values, f"{drawable(label)}: mean {spelled_mean(values, name)}", (colour, style))
    if name == "heat":
        cap = found.runs[0].line("cap")
        axes.plot(numbers(found.runs[0].days), cap, color=SOFT, linewidth=1.1, linestyle=DASH_DOT, label=f"Cap: {formats.percent(cap[-1])}")
    if name == "equity":
        axes.axhline(found.runs[0].cash, color=LINE, linewidth=0.8)
        axes.yaxis.set_major_formatter(lambda amount, _: short_money(amount))
    elif name != "held":
        percent_axis(axes)
    if name not in ("equity", "drawdown"):
        axes.set_ylim(bottom=0.0)
    finish(axes, numbers(found.runs[0].days))


def spelled_mean(values: Floats, name: str) -> str:
    """Return the mean of a line as a person reads it."""
    mean = float(np.nanmean(values))
    return formats.number(mean, 1) if name == "held" else formats.percent(mean)


def _often(axes: "Axes", x: Floats, values: Floats, label: str, look: tuple[str, Style]) -> None:
    """Draw every session thinly and, where there are many, a trailing median of twenty over it."""
    colour, style = look
    many = len(values) > MANY
    thin: dict[str, Any] = {"linewidth": 0.45, "alpha": 0.35} if many else {"linewidth": 1.2, "linestyle": style, "label": label}
    axes.plot(x, values, color=colour, drawstyle="steps-post", **thin)
    if many:
        axes.plot(x, trailing_median(values, 20), color=colour, linewidth=1.5, linestyle=style, label=label)


def _limit_names(found: Compared) -> Sequence[str]:
    totals: dict[str, int] = {}
    for run in found.runs:
        for name, (refused, smaller, _) in limits_that_bit(run).items():
            totals[name] = totals.get(name, 0) + refused + smaller
    return sorted(totals, key=lambda name: (-totals[name], name))


def _limits(found: Compared, figure: "Figure") -> None:
    names = list(_limit_names(found))[:MOST_RULES][::-1]
    if not names:
        says(figure, "No limit refused anything or made it smaller.")
        return
    axes, places = figure.add_subplot(), np.arange(len(names))
    for run, label, (colour, _), shift in zip(found.runs, found.labels, LOOKS, (0.2, -0.2), strict=True):
        bit = limits_that_bit(run)
        refused = np.array([bit.get(name, (0, 0, 0.0))[0] for name in names], np.float64)
        smaller = np.array([bit.get(name, (0, 0, 0.0))[1] for name in names], np.float64)
        axes.barh(places + shift, refused, 0.36, color=colour, label=f"{drawable(label)}: refused")
        axes.barh(
            places + shift,
            smaller,
            0.36,
            refused,
            color=colour,
            alpha=0.45,
            hatch="////",
            edgecolor="white",
            linewidth=0.3,
            label=f"{drawable(label)}: smaller",
        )
    axes.set_yticks(places, [drawable(name) for name in names])
    axes.grid(visible=False, axis="y")
    over(axes, 2)
