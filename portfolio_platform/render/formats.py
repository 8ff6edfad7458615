"""How a person reads a number: the one place where a fraction becomes '6.0 %', for terminal, Markdown and HTML alike.

Numbers are rounded for reading; `exact` gives what the report holds. Nothing here is escaped: see `text`.
"""

import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

from portfolio_platform.monitor.alerts.sentences import formatted
from portfolio_platform.monitor.report import Figure
from portfolio_platform.render.text import one_line

NULL = "–"
MINUS = "−"
ARROWS = "▲▼"
UNCHANGED, ALMOST_UNCHANGED = "=", "≈ 0"
NOISE = 1e-12
WHOLE_FROM = 10_000.0
PERCENT, MONEY, COUNT, RATIO, SIGMA, PROBABILITY = "fraction", "base currency", "count", "1", "sigma", "probability"
SESSIONS_A_YEAR = 252
Tone = Literal["better", "worse", ""]
Over = Literal["day", "week"]

_DIGITS = {
    "daily_return": 2,
    "velocity_1": 2,
    "velocity_5": 2,
    "velocity_20": 2,
    "acceleration": 2,
    "unit_value": 4,
    "high_water_mark": 4,
    "hhi": 3,
    "hhi_normalised": 3,
    "brier": 3,
}
_BETTER_UP = frozenset(
    {"equity", "unit_value", "daily_return", "sharpe_60", "high_water_mark", "coverage"} | {"effective_bets", "hit_rate"}
)
_BETTER_DOWN = frozenset(
    {"drawdown", "control_drawdown", "under_water_days", "velocity_1", "velocity_5", "velocity_20", "z_5", "acceleration"}
    | {"mdd_severity", "cdar_95", "stale_positions", "imputed_share", "imputed_positions", "beyond_stop", "stack_ratio"}
    | {"missed_rate", "rejection_rate", "cost_bps", "cost_drag_bps", "gap", "brier"}
)
_QUANTITY = re.compile(r"(-?)(\d+)(\.\d+)?")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]


def _has_digits(text: str) -> bool:
    return any(char in "123456789" for char in text)


def number(value: float | None, digits: int) -> str:
    """Return a number with thousands separators and a true minus sign; an en dash where there is none."""
    if value is None or not math.isfinite(value):
        return NULL
    text = f"{value:,.{digits}f}"
    if text.startswith("-"):
        return (MINUS if _has_digits(text) else "") + text[1:]
    return text


def percent(value: float | None, digits: int = 1) -> str:
    """Return a fraction as a percentage: 0.06 is '6.0 %'; '≈ 0.0 %' is not zero, but too small to write."""
    if value is None or not math.isfinite(value):
        return NULL
    text = f"{number(value * 100.0, digits)} %"
    return text if abs(value) <= NOISE or _has_digits(text) else f"≈ {text}"


def money(value: float | None, currency: str = "") -> str:
    """Return an amount, from 10,000 on without decimals; the currency follows where it is given."""
    if value is None or not math.isfinite(value):
        return NULL
    text = number(value, 0 if abs(value) >= WHOLE_FROM else 2 if abs(value) >= 0.01 or value == 0.0 else 8)
    return f"{text} {one_line(currency)}" if currency else text


def price(value: float | None) -> str:
    """Return a price: two decimals from 1,000 on, four from 1 on, six significant digits below."""
    if value is None or not math.isfinite(value):
        return NULL
    size = abs(value)
    if size >= 1.0 or size == 0.0:
        return number(value, 2 if size >= 1_000.0 else 4)
    return number(value, min(12, 5 - math.floor(math.log10(size))))


def quantity(text: str) -> str:
    """Return a decimal's text with thousands separators, no digit lost; what is no decimal stays as it is, on one line."""
    found = _QUANTITY.fullmatch(text)
    if not found:
        return one_line(text)
    return f"{MINUS if found[1] else ''}{int(found[2]):,}{found[3] or ''}"


def count(value: float | None) -> str:
    """Return a count; an effective number, which is no whole one, keeps two decimals."""
    return number(value, 0 if isinstance(value, int) else 2)


def day_long(day: date) -> str:
    """Return a day as a person says it: 'Monday, 13 September 2010', in any locale."""
    return f"{_WEEKDAYS[day.weekday()]}, {day.day} {_MONTHS[day.month - 1]} {day.year}"


def value(figure: Figure, currency: str = "") -> str:
    """Return a figure's value in its unit; an en dash where it is null."""
    if figure.value is None or not math.isfinite(figure.value):
        return NULL
    digits = _DIGITS.get(figure.name)
    if figure.unit == PERCENT:
        return percent(figure.value, 1 if digits is None else digits)
    if figure.unit == MONEY:
        return money(figure.value, currency)
    if figure.unit == COUNT:
        return count(figure.value)
    if figure.unit == PROBABILITY:
        return formatted(figure.value, PROBABILITY)
    text = number(figure.value, 2 if digits is None else digits)
    return f"{text} σ" if figure.unit == SIGMA else text if figure.unit == RATIO else f"{text} {one_line(figure.unit)}"


def value_or_reason(figure: Figure, currency: str = "") -> str:
    """Return a figure's value, or an en dash and why there is none."""
    text = value(figure, currency)
    return f"{NULL} ({one_line(figure.reason) or 'no reason given'})" if text == NULL else text


def change(figure: Figure, over: Over) -> str:
    """Return how a figure changed: an arrow, a sign and the size; '=' for no change, '≈ 0' for one too small to write.

    The change of a percentage is in percentage points ('pp').
    """
    delta = figure.change_day if over == "day" else figure.change_week
    if delta is None or not math.isfinite(delta):
        return NULL
    if abs(delta) <= NOISE * max(1.0, abs(figure.value or 0.0)):
        return UNCHANGED
    text = _size(figure, abs(delta))
    if not _has_digits(text):
        return ALMOST_UNCHANGED
    return f"▲ +{text}" if delta > 0.0 else f"▼ {MINUS}{text}"


def _size(figure: Figure, size: float) -> str:
    digits = max(2, _DIGITS.get(figure.name, 0))
    if figure.unit == PERCENT:
        return f"{number(size * 100.0, digits)} pp"
    if figure.unit == MONEY:
        return number(size, 0) if abs(figure.value or 0.0) >= WHOLE_FROM else money(size)
    if figure.unit == COUNT and isinstance(figure.value, int):
        return number(size, 0)
    return f"{number(size, digits)} σ" if figure.unit == SIGMA else number(size, digits)


def tone(figure: Figure, over: Over) -> Tone:
    """Say whether a change is for the better; empty where that is a matter of view (more exposure is neither)."""
    text = change(figure, over)
    if text[0] not in ARROWS:
        return ""
    if figure.name in _BETTER_UP:
        return "better" if text[0] == "▲" else "worse"
    if figure.name in _BETTER_DOWN:
        return "worse" if text[0] == "▲" else "better"
    return ""


def exact(number_held: float | int | str | None) -> str:
    """Return a number as the report holds it, unrounded."""
    return NULL if number_held is None else one_line(str(number_held))


def mark(row: Mapping[str, Any]) -> str:
    """Return a position's mark, and in words what it rests on where that is not today's bar."""
    text = price(row.get("mark"))
    source, age = row.get("mark_source"), row.get("mark_age")
    if source != "bar":
        text += f" (≈ last {one_line(str(source))})" if source else ""
    return f"{text}, {age} sessions old" if age else text


def measured(number_held: float | None, unit: str, currency: str = "") -> str:
    """Return a number of an alert or a detail in its unit, as the alert's own sentence writes it; money as everywhere."""
    if unit == MONEY:
        return money(number_held, currency)
    known = unit in (PERCENT, RATIO, SIGMA, PROBABILITY, COUNT, "bps", "R") or unit.startswith(PERCENT)
    text = formatted(number_held, unit)
    return text if known or not unit or text == NULL else f"{text} {one_line(unit)}"


def moved(number_held: float | None, unit: str, currency: str = "") -> str:
    """Return a change with its sign, '+2.0 pp' where the unit is a share; an en dash where there is none."""
    if number_held is None or not math.isfinite(number_held):
        return NULL
    text = measured(abs(number_held), unit, currency)
    text = text.replace(" %", " pp") if unit.startswith(PERCENT) else text
    if not _has_digits(text):
        return UNCHANGED
    return f"{MINUS if number_held < 0.0 else '+'}{text}"


def how_long(sessions: float | None) -> str:
    """Return how long a number of sessions is: 'about 58 sessions', 'about 2.5 years' from a year on."""
    if sessions is None or not math.isfinite(sessions):
        return NULL
    whole = max(1, math.ceil(sessions - NOISE))
    if whole > SESSIONS_A_YEAR:
        years = whole / SESSIONS_A_YEAR
        return f"about {number(years, 1 if years < 10.0 else 0)} years"
    return f"about {whole} {'session' if whole == 1 else 'sessions'}"
