"""Small frames for the alert engine: rows of `sample_sufficiency`, sessions, rules."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from portfolio_platform.days import to_number
from portfolio_platform.lake import derived
from portfolio_platform.monitor.alerts.states import Sessions
from portfolio_platform.policy.alerts import AlertPolicy, Rule

FIRST = date(2010, 3, 1)
WORDS = {"lookback": "session", "sentence": "{scope} of {portfolio} at {observed} (limit {threshold}).", "action": "Look at {symbols}."}


def rule(**given: Any) -> Rule:
    """A rule with words; the metric is the heat's use where nothing else is said."""
    return Rule.model_validate({"metric": "heat_use", "warning": 0.8, "critical": 1.0, **WORDS, **given})


def only(inhibit: Mapping[str, tuple[str, ...]] | None = None, **rules: Rule) -> AlertPolicy:
    """A policy with these rules alone."""
    off = {name: {"enabled": False} for name in AlertPolicy.model_validate({}).rules if name not in rules}
    return AlertPolicy.model_validate(
        {"inhibit": inhibit or {}, "rules": {**off, **{name: one.model_dump() for name, one in rules.items()}}}
    )


def day(number: int) -> date:
    """The day of a session, 1 the first."""
    return FIRST + timedelta(days=number - 1)


def metric_row(portfolio: str, number: int, metric: str, scope: str, value: float | None, **more: Any) -> dict[str, Any]:
    """A row of `sample_sufficiency`; its gate passes where there is a value."""
    row = dict.fromkeys(derived.SAMPLE_SUFFICIENCY.column_names)
    row |= {"day": day(number), "portfolio": portfolio, "metric": metric, "scope": scope, "value": value, "unit": "fraction"}
    row |= {"gate": "census", "sample_size": 1, "required": 1, "window_start": day(number), "method": "", "passed": value is not None}
    row |= {
        "reason": "" if value is not None else "stale_mark",
        "evidence_id": f"e/{metric}/{number}",
        "month": day(number).isoformat()[:7],
    }
    return row | more


def series(values: Sequence[float | None], metric: str = "heat_use", scope: str = "", portfolio: str = "core") -> list[dict[str, Any]]:
    """A row for each session from 1 on."""
    return [metric_row(portfolio, number, metric, scope, value) for number, value in enumerate(values, start=1)]


def table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of `sample_sufficiency` as a table."""
    return pa.Table.from_pylist(list(rows), schema=derived.SAMPLE_SUFFICIENCY.arrow_schema())


def sessions(first: int, last: int) -> Sessions:
    """Sessions first to last of a portfolio, with the one before."""
    numbers = np.arange(first - 1, last + 1)
    days = np.array([to_number(day(int(number))) if number else -1 for number in numbers], np.int64)
    return Sessions(days, numbers - 1)
