"""What every chart shares: colours, dates along the foot, lines over jumpy series, numbers on an axis, names from outside.

Colours are Okabe and Ito's, told apart by the colour-blind; in grey print, line styles and hatches tell them apart.
"""

import math
from collections.abc import Callable, Sequence
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from portfolio_platform.render import formats
from portfolio_platform.render.series import Floats
from portfolio_platform.render.text import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION = "#1b1e23", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00"
PURPLE, SOFT, LINE = "#CC79A7", "#4a4f57", "#8a8f98"
DASHED, DOTTED, DASH_DOT = (0, (4.0, 1.5)), (0, (1.0, 1.5)), (0, (5.0, 1.5, 1.0, 1.5))
Style = str | tuple[int, tuple[float, ...]]
SMOOTHED = 20
"""Sessions of the trailing median that is drawn over a jumpy series; the series itself is drawn too, in full."""
MANY = 6 * SMOOTHED
LONGEST_NAME = 22
UNKNOWN = "\N{WHITE SQUARE}"

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120)
_DAY_STEPS = (1, 2, 7, 14)
_MOST_TICKS = 9
_EPOCH = date(1970, 1, 1).toordinal()


def says(figure: "Figure", why: str) -> None:
    """Write on an empty figure why nothing is drawn."""
    figure.text(0.5, 0.5, why, ha="center", va="center", color=SOFT, fontsize=10)


def drawable(name: str, longest: int = LONGEST_NAME) -> str:
    """Return a name from outside as the chart's font can draw it: one line, cut where it is long, a square for a strange letter."""
    text = one_line(name)
    text = text if len(text) <= longest else f"{text[: longest - 1]}…"
    known = _letters()
    text = "".join(letter if ord(letter) in known else UNKNOWN for letter in text)
    # a legend leaves out what begins with an underscore
    return f"\N{THIN SPACE}{text}" if text.startswith("_") else text or UNKNOWN


@cache
def _letters() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return frozenset(get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap())


def jumpy(
    axes: "Axes",
    days: Floats,
    values: Floats,
    label: str,
    colour: str,
    style: Style = "-",
    last: Callable[[float], str] = formats.percent,
) -> None:
    """Draw every session as a thin step line, and where there are many their trailing median as a thick one."""
    many = len(values) > MANY
    named = with_last(label, values, last)
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


def with_last(label: str, values: Floats, spelled: Callable[[float], str]) -> str:
    """Return a legend's label with the series' last value."""
    return f"{label}: {spelled(float(values[-1]))}" if math.isfinite(values[-1]) else f"{label}: last not known"


def two(number: float) -> str:
    """Return a number with two decimals."""
    return formats.number(number, 2)


def finish(axes: "Axes", days: Floats, ncols: int = 4) -> None:
    """Put the legend over the axes and dates along their foot."""
    over(axes, ncols)
    dates(axes, days)


def over(axes: "Axes", ncols: int = 4) -> None:
    """Put the legend over the axes."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=ncols)


def dates(axes: "Axes", days: Floats) -> None:
    """Put dates along the foot."""
    places, labels = date_ticks(_day(days[0]), _day(days[-1]))
    margin = max(0.5, (days[-1] - days[0]) * 0.01)
    axes.set_xticks([place.toordinal() - _EPOCH for place in places], labels)
    axes.set_xlim(days[0] - margin, days[-1] + margin)


def percent_axis(axes: "Axes") -> None:
    """Write an axis of fractions in percent."""
    axes.yaxis.set_major_formatter(lambda share, _: short_percent(share))


def band(axes: "Axes", days: Floats, low: Floats, high: Floats, colour: str, label: str) -> None:
    """Draw an interval as a band; it is hatched too, for grey print."""
    where = (np.isfinite(low) & np.isfinite(high)).tolist()
    axes.fill_between(days, low, high, where=where, step="post", facecolor=colour, alpha=0.22, linewidth=0, label=label)


def numbers(days: Sequence[date]) -> Floats:
    """Return days as numbers for an axis."""
    return np.array(days, dtype="datetime64[D]").astype(np.int64).astype(np.float64)


def nothing_to_draw(days: Sequence[date], series: Sequence[Floats]) -> str:
    """Return why there is no line to draw, empty where there is one."""
    if not len(days):
        return "No sessions yet, or not computed for any: nothing to draw."
    if len(days) == 1:
        return f"One session so far ({days[0].isoformat()}): a line needs two."
    known = max((int(np.isfinite(values).sum()) for values in series), default=0)
    return "" if known > 1 else f"Fewer than two of {len(days):,} sessions have a value: nothing to draw."


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
