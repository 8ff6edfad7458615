"""What explanations read: rows of derived tables, and facts in force, each read once for one question.

What belongs here: reading. What a number rests on is in `explain.tables`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import day_number, end_of_day_ns, to_date
from portfolio_platform.evidence.ids import evidence_id, identity_column, row_id
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import Fact
from portfolio_platform.policy.assigned import PoliciesInTime, policies_in_time
from portfolio_platform.policy.model import Policy


@dataclass(frozen=True)
class Row:
    """A row of a table, as it is stored."""

    table: Table
    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        """Return the value of a column."""
        return self.values[name]

    @property
    def portfolio(self) -> str:
        """Return whose row it is."""
        found: str = self.values["portfolio"]
        return found

    @property
    def day(self) -> date:
        """Return the row's day: that of its time where it has no column of its own."""
        if "day" in self.values:
            found: date = self.values["day"]
            return found
        return to_date(day_number(self.values["ts"]))

    def id(self, column: str = "") -> str:
        """Return the id of the row, or of one of its columns; empty where its table has no ids."""
        own = identity_column(self.table)
        if own:
            return row_id(self.table, self.values[own], column)
        if not {"day", "portfolio"} <= set(self.table.key):
            return ""
        rest = [str(self.values[name]) for name in self.table.key if name not in ("day", "portfolio")]
        whole = evidence_id(self.table, self.portfolio, self.day, column or "x", *rest)
        return whole if column else whole.removesuffix("/x")

    def number(self, name: str) -> float:
        """Return a column as a number, 0 where it is null."""
        return float(self.values[name] or 0.0)


@dataclass
class Sources:
    """The reads of one question. A home that changes meanwhile is seen as it was at the first read of each table."""

    home: Home
    _rows: dict[tuple[object, ...], list[Row]] = field(default_factory=dict)
    _days: dict[str, list[date]] = field(default_factory=dict)

    @cached_property
    def policies(self) -> PoliciesInTime:
        """Return the policies in use."""
        return policies_in_time(self.home)

    def policy(self, portfolio: str, day: date) -> Policy:
        """Return a portfolio's policy of a day, as the home's files have it now."""
        return self.policies.of(portfolio, day)

    def row(self, table: Table, portfolio: str, day: date, **rest: Any) -> Row | None:
        """Return the row with this key; None where there is none."""
        found = self.rows(table, portfolio, day, day, **rest)
        return found[0] if found else None

    def rows(self, table: Table, portfolio: str, first: date, last: date, **equal: Any) -> list[Row]:
        """Return a portfolio's rows from ``first`` to ``last``, both included, by key; of those only where columns are equal."""
        where = (pc.field("day") >= first) & (pc.field("day") <= last) & (pc.field("portfolio") == portfolio)
        months = (first.isoformat()[:7], last.isoformat()[:7]) if table.partition else (None, None)
        return self._read(table, (table.name, portfolio, first, last, *sorted(equal.items())), where, equal, months)

    def by_id(self, table: Table, identity: str, *, day: date | None = None) -> Row | None:
        """Return the row of a derived table that is keyed by one id; its day, where known, saves reading every month."""
        own = identity_column(table)
        where = pc.field(own) == identity
        month = day.isoformat()[:7] if day is not None and table.partition else None
        found = self._read(table, (table.name, "id", identity, month), where, {}, (month, month))
        return found[0] if found else None

    def _read(
        self,
        table: Table,
        key: tuple[object, ...],
        where: "pc.Expression",
        equal: Mapping[str, Any],
        months: tuple[str | None, str | None],
    ) -> list[Row]:
        if key not in self._rows:
            for name, value in equal.items():
                where = where & (pc.field(name).is_null() if value is None else pc.field(name) == value)
            found = self.home.lake.read(table, None, where, from_month=months[0], to_month=months[1])
            ordered = found.sort_by([(name, "ascending") for name in table.key])
            self._rows[key] = [Row(table, values) for values in ordered.to_pylist()]
        return self._rows[key]

    def days(self, portfolio: str) -> list[date]:
        """Return the days of a portfolio's sessions, ascending."""
        if not self._days:
            rows = self.home.lake.read(derived.PORTFOLIO_EQUITY, ["portfolio", "day"]).sort_by("day")
            for name, day in zip(rows["portfolio"].to_pylist(), rows["day"].to_pylist(), strict=True):
                self._days.setdefault(name, []).append(day)
        return self._days.get(portfolio, [])

    @property
    def portfolios(self) -> list[str]:
        """Return the portfolios that have a session, by name."""
        self.days("")
        return sorted(self._days)

    def window(self, portfolio: str, day: date, sessions: int, *, lag: int = 0) -> list[date]:
        """Return the days of the ``sessions`` sessions that end ``lag`` sessions before a day, ascending."""
        until = [found for found in self.days(portfolio) if found <= day]
        end = max(len(until) - lag, 0)
        return until[max(end - sessions, 0) : end]

    def before(self, portfolio: str, day: date) -> date | None:
        """Return the session before a day."""
        earlier = [found for found in self.days(portfolio) if found < day]
        return earlier[-1] if earlier else None

    def since(self, portfolio: str, day: date) -> int:
        """Return the time after which facts count in the window that begins with the session ``day``: the end of the session before."""
        earlier = self.before(portfolio, day)
        return end_of_day_ns(earlier) if earlier is not None else -(2**62)

    def facts(
        self,
        fact: Fact,
        *,
        after: int | None = None,
        until: int | None = None,
        isin: Mapping[str, Sequence[Any]] | None = None,
        **equal: Any,
    ) -> list[Row]:
        """Return rows of a fact in force, by time and id: after and up to a time, where columns are equal to values or among some."""
        chosen = {name: [value] for name, value in equal.items()} | {name: list(values) for name, values in (isin or {}).items()}
        key = (fact.name, after, until, *((name, tuple(values)) for name, values in sorted(chosen.items())))
        if key not in self._rows:
            where = pc.scalar(True)
            for name, values in chosen.items():
                where = where & pc.field(name).isin(pa.array(values, fact_type(fact, name)))
            rows = in_force(self.home, fact, where, active.Bounds(after, until, None)).to_pylist()
            rows.sort(key=lambda row: (row.get("ts") or 0, row["row_id"]))
            self._rows[key] = [Row(fact.table, values) for values in rows]
        return self._rows[key]


def fact_type(fact: Fact, name: str) -> "pa.DataType":
    """Return the type of a fact's column."""
    return fact.table.arrow_schema().field(name).type


def in_force(home: Home, fact: Fact, where: "pc.Expression", bounds: active.Bounds) -> "pa.Table":
    """Return the rows of a fact in force that meet a condition, all columns; which statement of a row is in force is `active`'s to say."""
    month = None
    if fact.time_column and bounds.after_ts is not None:
        month = to_date(day_number(max(bounds.after_ts + 1, 1 - 2**62))).isoformat()[:7] if bounds.after_ts > 0 else None
    time = bounds.time() if fact.time_column else pc.scalar(True)
    contested = pa.array(sorted(active.contested_ids(home.lake, fact)), pa.string())
    if not len(contested):
        return home.lake.read(fact.table, None, where & time, from_month=month)
    among = pc.field("row_id").isin(contested)
    rows = home.lake.read(fact.table, None, ~among & where & time, from_month=month)
    others = active.resolve(home.lake.read(fact.table, None, among)).rows
    return pa.concat_tables([rows, others.filter(where & time)])
