"""The register of limits as a stage: each session's positions, equity and buckets in, every limit with what is used of it out.

Limits are worked out by the code that decides (`Terms`), from the policy in force on the day and the orders of the log; what
counts against them by the groups that its rules use. So the register of a day is what the control plane would have held an
intent against at the day's end, also on the days before it was in charge.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from immutables import Map

from portfolio_platform.control.events import FactsStated
from portfolio_platform.control.model import MILLION
from portfolio_platform.control.money import digits_of
from portfolio_platform.control.pipeline.feed import read_instruments
from portfolio_platform.control.pipeline.fills import read_money
from portfolio_platform.control.pipeline.sessions import BUILDS, read_sessions
from portfolio_platform.control.pipeline.standing import WATCHED as TYPES
from portfolio_platform.control.pipeline.standing import Standing, standing
from portfolio_platform.control.state import ControlState, Instrument, Key, Position
from portfolio_platform.control.terms import Limits, Terms, revised
from portfolio_platform.control.utilisation import Utilised, summed_up, utilised
from portfolio_platform.days import day_number, end_of_day_ns, to_date
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import by_key
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.progress import WATCHED, Plan
from portfolio_platform.policy.assigned import Assigned, policies_in_time
from portfolio_platform.stage import Stage

UNKNOWN = "equity_unknown"
NOT_POSITIVE = "equity_not_positive"


@dataclass(frozen=True)
class _Day:
    """A session to be: what its limits come from, and what counts against them."""

    day: date
    portfolio: str
    digits: int
    facts: FactsStated | None
    stands: Standing
    opened: int


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the register of every session of the plan."""
    money, instruments = read_money(home), Map(read_instruments(home))
    days = _sessions(home, plan.until)
    wanted = {name: [day for day in listed if day >= plan.first] for name, listed in days.items()}
    since = {name: plan.first for name, listed in wanted.items() if listed}
    stated = read_sessions(home, since, plan.until, policies_in_time(home), money)
    opened = openings(home, days, plan.first, plan.until)
    rows: list[tuple[Any, ...]] = []
    limits = {name: Limits.of(policies.of(name)) for name in since}
    for name in sorted(since):
        facts = {one.facts.day: one for one in stated[name].stated}
        stood = _stood(home, name, wanted[name], plan.upstreams.get(WATCHED, 0))
        for day, stands in zip(wanted[name], stood, strict=True):
            digits = digits_of(money.base_of(name))
            found = _Day(day, name, digits, facts.get(day.isoformat()), stands, opened[day, name])
            rows += _rows(found, limits[name], utilised_on(found, limits[name], instruments))
    return {derived.LIMIT_UTILISATION: by_key(derived.LIMIT_UTILISATION, rows)}


def utilised_on(found: _Day, limits: Limits, instruments: "Map[str, Instrument]") -> list[Utilised]:
    """Return every limit of a session with what is used of it; none where its equity is not known. Pure."""
    if found.facts is None:
        return []
    stands = found.stands
    held = {(one.strategy, one.symbol): Position(one.quantity, one.risk, one.exposure, one.template, one.playbook)
            for one in found.facts.positions}  # fmt: skip
    state = ControlState(
        found.portfolio,
        digits=found.digits,
        terms=revised(Terms(), limits=limits, facts=found.facts.facts, orders=stands.orders),
        instruments=instruments,
        buckets=Map(dict(found.facts.buckets)),
        positions=Map(held),
        reservations=Map(stands.reservations),
    )
    return utilised(state.terms, *summed_up(state, found.opened, stands.waiting))


def openings(home: Home, days: Mapping[str, Sequence[date]], first: date, until: date) -> Counter[tuple[date, str]]:
    """Return how many positions the fills of each session's day opened, from ``first`` on, by day and portfolio.

    A position counts each time it goes from flat to open: held and not held at the session before, or closed in between; and
    opened and closed on one day.
    """
    before = {name: max((day for day in listed if day < first), default=first) for name, listed in days.items()}
    begin = min(before.values(), default=first)
    found: Counter[tuple[date, str]] = Counter()
    reopened: set[tuple[date, str, Key]] = set()
    for row in _read(home, derived.ROUND_TRIPS, begin, until, ("strategy", "symbol", "opened_at"), pc.field("method") == "flat_to_flat"):
        reopened.add((row["day"], row["portfolio"], (row["strategy"], row["symbol"])))
        found[row["day"], row["portfolio"]] += to_date(day_number(row["opened_at"])) == row["day"]
    held: dict[tuple[date, str], set[Key]] = {}
    for row in _read(home, derived.POSITION_RISK, begin, until, ("strategy", "symbol")):
        held.setdefault((row["day"], row["portfolio"]), set()).add((row["strategy"], row["symbol"]))
    for name, listed in days.items():
        known: set[Key] = held.get((before[name], name), set()) if before[name] < first else set()
        for day in (day for day in listed if day >= first):
            now = held.get((day, name), set())
            found[day, name] += sum(key not in known or (day, name, key) in reopened for key in now)
            known = now
    return found


def _read(home: Home, table: Table, first: date, until: date, columns: Sequence[str], also: Any = None) -> Iterator[dict[str, Any]]:
    where = (pc.field("day") >= first) & (pc.field("day") <= until)
    where = where if also is None else where & also
    months = {"from_month": first.isoformat()[:7], "to_month": until.isoformat()[:7]}
    yield from home.lake.read(table, ["day", "portfolio", *columns], where, **months).to_pylist()


def _sessions(home: Home, until: date) -> dict[str, list[date]]:
    """Return the days of every portfolio's sessions, ascending."""
    rows = home.lake.read(derived.PORTFOLIO_EQUITY, ["portfolio", "day"], pc.field("day") <= until).sort_by("day")
    found: dict[str, list[date]] = {}
    for name, day in zip(rows["portfolio"].to_pylist(), rows["day"].to_pylist(), strict=True):
        found.setdefault(name, []).append(day)
    return found


def _stood(home: Home, portfolio: str, days: Sequence[date], until_seq: int) -> list[Standing]:
    with home.decisions.book.reading() as connection:
        return standing(connection, portfolio, [end_of_day_ns(day) for day in days], until_seq)


def _rows(found: _Day, limits: Limits, used: Sequence[Utilised]) -> Iterator[tuple[Any, ...]]:
    """Yield a row for each limit of a session, its columns as they are declared; one that says so where its equity is not known."""
    month = found.day.isoformat()[:7]
    if found.facts is None:
        yield (found.day, found.portfolio, "heat", "", "risk", *[None] * 8, "policy", limits.policy_hash, UNKNOWN, month)
        return
    equity, whole = found.facts.facts.equity, 10.0**found.digits
    shares = {(basis, rule): share / MILLION for basis, rule, share in limits.caps}
    reason = "" if equity > 0 else NOT_POSITIVE
    for one in used:
        counted, spent = one.basis == "count", one.used
        unit = 1.0 if counted else whole
        share = shares.get((one.basis, one.rule)) if one.source == "policy" else one.limit / max(equity, 1)
        cap = None if counted or equity <= 0 else share
        amounts = (one.limit / unit, equity / whole, one.active / unit, one.reserved / unit, spent / unit, one.headroom / unit)
        use = spent / one.limit if one.limit else None
        key = (found.day, found.portfolio, one.rule, one.scope, one.basis)
        yield (*key, cap, *amounts, use, one.source, limits.policy_hash, reason, month)


STAGE = Stage("limits", (derived.LIMIT_UTILISATION,), BUILDS, compute, decisions=TYPES)
