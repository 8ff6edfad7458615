"""What a report is composed of: the derived tables, cut into one slice for each portfolio and session."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

Row = dict[str, Any]


@dataclass(frozen=True)
class SessionInputs:
    """The rows of one portfolio and session, and those of the sessions that it is compared with."""

    equity: Row
    before: Row | None
    week: Row | None
    drawdown: Row
    drawdown_before: Row | None
    drawdown_week: Row | None
    metrics: dict[str, Row]
    metrics_before: dict[str, Row]
    metrics_week: dict[str, Row]
    groups: dict[str, list[Row]]
    positions: list[Row]
    positions_before: list[Row]
    max_mark_age: int


class Slices:
    """Rows of a table by (portfolio, day); rows become Python only where they are asked for."""

    def __init__(self, table: pa.Table) -> None:
        """Sort the table by portfolio and day, and remember where each pair begins."""
        self._table = table.sort_by([("portfolio", "ascending"), ("day", "ascending")]).combine_chunks()
        portfolio = self._table["portfolio"].to_pylist()
        day = self._table["day"].to_pylist()
        self._at: dict[tuple[str, date], tuple[int, int]] = {}
        start = 0
        for row in range(1, len(day) + 1):
            if row == len(day) or day[row] != day[start] or portfolio[row] != portfolio[start]:
                self._at[(portfolio[start], day[start])] = (start, row)
                start = row
        # a session is asked for as today, as the day before, and as a week ago: convert it once
        self._recent = lru_cache(maxsize=32)(self._read)

    def _read(self, portfolio: str, day: date) -> list[Row]:
        start, end = self._at[(portfolio, day)]
        found: list[Row] = self._table.slice(start, end - start).to_pylist()
        return found

    def rows(self, portfolio: str, day: date | None) -> list[Row]:
        """Return the rows of a portfolio and day; none where there is no day."""
        if day is None or (portfolio, day) not in self._at:
            return []
        return self._recent(portfolio, day)

    def one(self, portfolio: str, day: date | None) -> Row | None:
        """Return the only row of a portfolio and day, if there is one."""
        found = self.rows(portfolio, day)
        return found[0] if found else None


@dataclass(frozen=True)
class Tables:
    """The derived tables of a range of days and of the week before it."""

    equity: pa.Table
    drawdown: pa.Table
    metrics: pa.Table
    groups: pa.Table
    positions: pa.Table


def sessions_of(equity: pa.Table) -> dict[str, list[date]]:
    """Return each portfolio's sessions, ascending."""
    out: dict[str, list[date]] = {}
    for portfolio, day in sorted(zip(equity["portfolio"].to_pylist(), equity["day"].to_pylist(), strict=True)):
        out.setdefault(portfolio, []).append(day)
    return out


def session_inputs(tables: Tables, wanted: set[date], max_mark_age: int) -> Iterator[SessionInputs]:
    """Yield the inputs of every session on a wanted day, by portfolio and day."""
    equity, drawdown, metrics = Slices(tables.equity), Slices(tables.drawdown), Slices(tables.metrics)
    groups, positions = Slices(tables.groups), Slices(tables.positions)
    for portfolio, days in sessions_of(tables.equity).items():
        numbers = np.array(days, dtype="datetime64[D]")
        for place, day in enumerate(days):
            if day not in wanted:
                continue
            previous = days[place - 1] if place else None
            back = int(np.searchsorted(numbers, np.datetime64(day - timedelta(days=7)), side="right")) - 1
            week = days[back] if back >= 0 else None
            today, state = equity.one(portfolio, day), drawdown.one(portfolio, day)
            if today is None or state is None:
                continue
            yield SessionInputs(
                equity=today,
                before=equity.one(portfolio, previous),
                week=equity.one(portfolio, week),
                drawdown=state,
                drawdown_before=drawdown.one(portfolio, previous),
                drawdown_week=drawdown.one(portfolio, week),
                metrics=_by_dimension(metrics.rows(portfolio, day)),
                metrics_before=_by_dimension(metrics.rows(portfolio, previous)),
                metrics_week=_by_dimension(metrics.rows(portfolio, week)),
                groups=_grouped(groups.rows(portfolio, day)),
                positions=positions.rows(portfolio, day),
                positions_before=positions.rows(portfolio, previous),
                max_mark_age=max_mark_age,
            )


def _by_dimension(rows: list[Row]) -> dict[str, Row]:
    return {row["dimension"]: row for row in rows}


def _grouped(rows: list[Row]) -> dict[str, list[Row]]:
    out: dict[str, list[Row]] = {}
    for row in rows:
        out.setdefault(row["dimension"], []).append(row)
    return out
