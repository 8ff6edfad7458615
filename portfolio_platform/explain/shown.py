"""How a stored value is written in an explanation: in its column's unit, rounded for reading."""

import math
from decimal import Decimal
from typing import Any

from portfolio_platform.days import format_timestamp
from portfolio_platform.lake.columns import Column, Table
from portfolio_platform.monitor.alerts.sentences import formatted

NULL = "–"
_MONEY = ("currency", "base currency")


def shown(value: Any, column: Column) -> str:
    """Return a value as a person reads it; an en dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NULL
    if column.kind == "timestamp":
        return format_timestamp(value)
    if column.kind == "flag":
        return "yes" if value else "no"
    if column.kind == "decimal":
        return plain_decimal(value)
    if column.kind == "integer":
        return f"{value:,} {column.unit}".rstrip()
    if column.kind == "number":
        return number(float(value), column.unit)
    return str(value)


def number(value: float, unit: str) -> str:
    """Return a number in its unit: amounts to the cent, fractions in percent, the rest to four significant digits."""
    if unit in _MONEY:
        return f"{value:,.2f}" if abs(value) >= 1.0 or value == 0.0 else f"{value:.6g}"
    if unit == "fraction" or unit.startswith("fraction of") or unit.startswith("fraction a"):
        return f"{value * 100.0:,.2f} %" if abs(value) >= 0.0001 or value == 0.0 else f"{value * 100.0:.3g} %"
    if unit in ("probability", "sigma", "bps", "R"):
        return formatted(value, unit)
    text = f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:,.2f}" if abs(value) >= 1_000.0 else f"{value:.5g}"
    return f"{text} {unit}" if unit and unit != "1" and ".." not in unit else text


def plain_decimal(value: Decimal) -> str:
    """Return a decimal without the zeros that say nothing."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def column_of(table: Table, name: str) -> Column:
    """Return the declaration of a column."""
    return next(column for column in table.columns if column.name == name)
