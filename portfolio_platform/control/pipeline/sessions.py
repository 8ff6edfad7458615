"""What ledger and diagnostics say of each session's end, as the facts that the control plane decides on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.control.events import FactsStated, Stated
from portfolio_platform.control.money import digits_of, minor
from portfolio_platform.control.pipeline.fills import Money
from portfolio_platform.control.pipeline.names import known_name
from portfolio_platform.control.terms import Facts, parts
from portfolio_platform.days import day_number, end_of_day_ns, to_date
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import CORPORATE_ACTIONS
from portfolio_platform.lake.progress import read_progress
from portfolio_platform.ledger.fixed_point import exact_integers
from portfolio_platform.policy.assigned import PoliciesInTime

BUILDS = ("ledger", "heat", "drawdown", "correlation")
"""The builds whose tables a session's facts are read from."""
A_WEEK = timedelta(days=7)
"""How far back a session before another is looked for."""
POSITION = ("strategy", "symbol", "currency")
Key = tuple[date, str]


@dataclass(frozen=True)
class Built:
    """How far the builds are that facts are read from: the last day that all of them reach, and which build of each it is."""

    until: date
    generations: Mapping[str, int]


@dataclass(frozen=True)
class Sessions:
    """The facts of a portfolio's sessions in their order, and the days whose equity is not known: nothing is stated of them."""

    stated: tuple[FactsStated, ...]
    unknown: tuple[date, ...]


def built(home: Home) -> Built | None:
    """Return how far the tables are that facts are read from; None where one of them was never built."""
    found = {name: read_progress(home.lake, name) for name in BUILDS}
    there = {name: progress for name, progress in found.items() if progress is not None}
    if len(there) < len(BUILDS):
        return None
    return Built(min(one.built_until for one in there.values()), {name: one.generation for name, one in there.items()})


def read_sessions(home: Home, since: Mapping[str, date], until: date, policies: PoliciesInTime, money: Money) -> dict[str, Sessions]:
    """Return the facts of some portfolios' sessions.

    Args:
        home: whose tables are read.
        since: by portfolio, the first day that is wanted.
        until: the last day.
        policies: which mode a regime means.
        money: the currency of each portfolio.
    """
    if not since:
        return {}
    wanted = _Wanted(home, min(since.values()), until, sorted(since))
    # the session before the first is read too, however the facts are asked for: what was split since it is a part of them
    equity = replace(wanted, first=wanted.first - A_WEEK).rows(derived.PORTFOLIO_EQUITY, ("equity", "gross_exposure", "session"))
    regimes = {_key(row): row for row in wanted.rows(derived.DRAWDOWN_STATE, ("regime", "size_multiplier")).to_pylist()}
    held = _held(wanted)
    buckets = _buckets(wanted.rows(derived.CORRELATION_BUCKETS, ("bucket", "symbols")).to_pylist())
    splits, before = _splits(home), dict.fromkeys(since, date.min)
    stated: dict[str, list[FactsStated]] = {name: [] for name in since}
    unknown: dict[str, list[date]] = {name: [] for name in since}
    for row in equity.sort_by([("day", "ascending")]).to_pylist():
        day, portfolio = _key(row)
        last, before[portfolio] = max(before[portfolio], day - A_WEEK), day
        if day < since[portfolio]:
            continue
        if row["equity"] is None or row["gross_exposure"] is None:
            unknown[portfolio].append(day)
            continue
        digits = digits_of(money.base_of(portfolio))
        policy = policies.timeline(portfolio).last_begun(day).policy
        regime = regimes[day, portfolio]
        facts = Facts(
            equity=minor(row["equity"], digits),
            gross=minor(row["gross_exposure"], digits),
            regime=regime["regime"],
            regime_mode=policy.recommendations.modes.get(regime["regime"], "normal"),
            regime_size=parts(regime["size_multiplier"]),
            at=end_of_day_ns(day),
            session=row["session"],
            day=day.isoformat(),
        )
        positions = _positions(held.get((day, portfolio), ()), digits)
        adjusted = tuple(sorted({symbol for symbol, split_on in splits if last < split_on <= day}))
        grouped = tuple(sorted(buckets.get((day, portfolio), {}).items()))
        stated[portfolio].append(FactsStated(0, facts, positions, grouped, adjusted))
    return {name: Sessions(tuple(stated[name]), tuple(unknown[name])) for name in since}


@dataclass(frozen=True)
class _Wanted:
    home: Home
    first: date
    until: date
    portfolios: Sequence[str]

    def rows(self, table: Table, columns: Sequence[str]) -> pa.Table:
        where = (pc.field("day") >= self.first) & (pc.field("day") <= self.until) & pc.field("portfolio").isin(list(self.portfolios))
        months = {"from_month": self.first.isoformat()[:7], "to_month": self.until.isoformat()[:7]}
        return self.home.lake.read(table, ["day", "portfolio", *columns], where, **months)


def _splits(home: Home) -> list[tuple[str, date]]:
    """Return which symbol was split on which day."""
    rows = active.read(home.lake, CORPORATE_ACTIONS, ("symbol", "kind", "ts")).to_pylist()
    return [(row["symbol"], to_date(day_number(row["ts"]))) for row in rows if row["kind"] == "split"]


def _key(row: Mapping[str, Any]) -> Key:
    return row["day"], row["portfolio"]


def _held(wanted: _Wanted) -> dict[Key, list[dict[str, Any]]]:
    """Return what is open at each session's end: risk and exposure of D1, the quantity exactly as the ledger has it."""
    snapshots = wanted.rows(derived.LEDGER_SNAPSHOTS, (*POSITION, "quantity"))
    flat = pa.scalar(Decimal(0), snapshots["quantity"].type)
    snapshots = snapshots.filter(pc.not_equal(snapshots["quantity"], flat))
    quantities = exact_integers(snapshots["quantity"])
    names = zip(*(snapshots[name].to_pylist() for name in ("day", "portfolio", *POSITION)), strict=True)
    quantity = dict(zip(names, quantities.tolist(), strict=True))
    found: dict[Key, list[dict[str, Any]]] = {}
    for row in wanted.rows(derived.POSITION_RISK, (*POSITION, "risk", "exposure", "template", "playbook")).to_pylist():
        row["quantity"] = int(quantity[(*_key(row), *(row[name] for name in POSITION))])
        found.setdefault(_key(row), []).append(row)
    return found


def _positions(rows: Sequence[Mapping[str, Any]], digits: int) -> tuple[Stated, ...]:
    """Return the open positions of a session by strategy and symbol; a risk that is not known is the whole exposure."""
    found: dict[tuple[str, str], Stated] = {}
    for row in sorted(rows, key=lambda row: tuple(row[name] for name in POSITION)):
        exposure = minor(abs(row["exposure"] or 0.0), digits)
        risk = exposure if row["risk"] is None else minor(max(0.0, row["risk"]), digits)
        key = (row["strategy"], row["symbol"])
        before = found.get(key)
        if before is not None:  # the same symbol in another currency
            found[key] = before._replace(
                quantity=before.quantity + row["quantity"], risk=before.risk + risk, exposure=before.exposure + exposure
            )
            continue
        found[key] = Stated(*key, row["quantity"], risk, exposure, known_name(row["template"]), known_name(row["playbook"]))
    return tuple(found[key] for key in sorted(found))


def _buckets(rows: Sequence[Mapping[str, Any]]) -> dict[Key, dict[str, str]]:
    """Return each session's correlation bucket of every symbol held; a bucket is called by its first symbol."""
    found: dict[Key, dict[str, str]] = {}
    for row in rows:
        found.setdefault(_key(row), {}).update(dict.fromkeys(row["symbols"].split(", "), row["bucket"]))
    return found
