"""Charts of risk: heat against its cap, how positions stack, and the matrix of correlations behind that."""

from typing import TYPE_CHECKING

import numpy as np

from portfolio_platform.render import formats
from portfolio_platform.render.axes import (
    BLACK,
    BLUE,
    DASH_DOT,
    DASHED,
    ORANGE,
    SKY,
    SOFT,
    VERMILION,
    band,
    dates,
    drawable,
    finish,
    jumpy,
    nothing_to_draw,
    numbers,
    over,
    percent_axis,
    says,
    two,
    with_last,
)
from portfolio_platform.render.chart_data import Matrix, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WRITTEN, LABELLED = 14, 40
"""Symbols up to which the value is written in each cell, and up to which each symbol is named."""
_LIMIT_LOOKS = ((ORANGE, DASHED), (VERMILION, DASH_DOT))


def heat(series: Series, figure: "Figure") -> None:
    """Draw heat against its cap, and below it which share of the risk is imputed."""
    why = nothing_to_draw(series.days, (series["heat"],))
    if why:
        says(figure, why)
        return
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    days = numbers(series.days)
    cap, over_cap = series["cap"], series["heat"] > series["cap"]
    above.fill_between(days, cap, series["heat"], where=over_cap.tolist(), step="post", facecolor=VERMILION, alpha=0.25, linewidth=0)
    jumpy(above, days, series["heat"], "Heat", BLUE)
    above.plot(
        days, cap, color=VERMILION, linewidth=1.3, linestyle=DASHED, drawstyle="steps-post", label=with_last("Cap", cap, formats.percent)
    )
    above.set_ylim(bottom=0.0)
    above.tick_params(axis="x", length=0)
    percent_axis(above)
    over(above)
    below.fill_between(
        days, np.nan_to_num(series["imputed_share"]), step="post", facecolor=ORANGE, hatch="////", edgecolor="white", linewidth=0
    )
    below.set_ylim(0.0, 1.0)
    below.set_yticks([0.0, 1.0])
    imputed = "Share of the risk that is imputed" + ("" if np.nansum(series["imputed_share"]) > 0.0 else ": none")
    below.set_title(imputed, loc="left", fontsize=8.0, color=SOFT, pad=3.0)
    percent_axis(below)
    dates(below, days)


def stack(series: Series, figure: "Figure") -> None:
    """Draw the stack ratio with its interval and the thresholds of its alert."""
    why = nothing_to_draw(series.days, (series["stack_ratio"],))
    if why:
        says(figure, why)
        return
    axes, days = figure.add_subplot(), numbers(series.days)
    band(axes, days, series["stack_ratio_low"], series["stack_ratio_high"], SKY, "its interval")
    jumpy(axes, days, series["stack_ratio"], "Stack ratio", BLUE, last=two)
    for limit, (colour, style) in zip(series.limits, _LIMIT_LOOKS, strict=False):
        axes.axhline(limit.value, color=colour, linewidth=1.2, linestyle=style, label=f"{limit.label} {limit.value:g}")
    axes.set_ylim(bottom=min(1.0, float(np.nanmin(series["stack_ratio"]))))
    finish(axes, days)


def correlation(matrix: Matrix, figure: "Figure") -> None:
    """Draw the matrix, symbols by bucket: the value in each cell, a frame around each bucket of two or more."""
    count = len(matrix.symbols)
    if matrix.day is None:
        says(figure, "No sessions yet: nothing to draw.")
        return
    if count < 2:
        held = f"only {drawable(matrix.symbols[0])} is held" if count else "nothing is held"
        says(figure, f"{matrix.why or f'{matrix.day.isoformat()}: {held}, a correlation needs two symbols'}.")
        return
    from matplotlib.colors import LinearSegmentedColormap

    axes = figure.add_subplot()
    colours = LinearSegmentedColormap.from_list("correlation", [VERMILION, "#ffffff", BLUE], N=256)
    image = axes.imshow(matrix.values, cmap=colours, vmin=-1.0, vmax=1.0, aspect="auto", interpolation="nearest")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    _names(axes, matrix.symbols)
    if count <= WRITTEN:
        size = 8.5 if count <= 8 else 6.5
        for row in range(count):
            for column in range(count):
                value = float(matrix.values[row, column])
                colour = "white" if abs(value) > 0.6 else BLACK
                axes.text(column, row, formats.number(value, 2), ha="center", va="center", fontsize=size, color=colour)
    _frames(axes, matrix)
    bar = figure.colorbar(image, ax=axes, ticks=[-1.0, 0.0, 1.0], shrink=0.9, pad=0.02, aspect=28)
    bar.outline.set_visible(False)
    bar.ax.set_yticklabels(["−1", "0", "1"])


def _names(axes: "Axes", symbols: tuple[str, ...]) -> None:
    step = 1 if len(symbols) <= LABELLED else len(symbols) // LABELLED + 1
    places = list(range(0, len(symbols), step))
    labels = [drawable(symbols[place]) for place in places]
    turned = 0 if sum(len(label) for label in labels) <= 60 else 90
    size = 8.5 if len(places) <= WRITTEN else 6.0
    axes.set_xticks(places, labels, rotation=turned, fontsize=size)
    axes.set_yticks(places, labels, fontsize=size)
    axes.tick_params(length=0)


def _frames(axes: "Axes", matrix: Matrix) -> None:
    from matplotlib.patches import Rectangle

    start = 0
    for bucket in matrix.buckets:
        if len(bucket) > 1:
            size = float(len(bucket))
            axes.add_patch(Rectangle((start - 0.5, start - 0.5), size, size, fill=False, edgecolor=BLACK, linewidth=2.2, clip_on=False))
        start += len(bucket)
