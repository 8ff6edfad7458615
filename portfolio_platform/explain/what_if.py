"""What another policy would have said: the home's tables in a scratch home, built again from a day on under another policy.

The facts are the same, and so is what happened before the first day. Nobody would have acted otherwise: fills, equity and drawdown
are those of the ledger, so that it says what would have been told, not what would have been earned.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.compute as pc

from portfolio_platform.book.control import Decisions
from portfolio_platform.build import build_all, is_behind
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.policy.assigned import PoliciesInTime, policies_in_time
from portfolio_platform.policy.model import Policy
from portfolio_platform.sources.pipeline import remember_span

Progress = Callable[[str], None]
Key = tuple[str, str, str]


@dataclass(frozen=True)
class WhatIfHome(Home):
    """A home in a temporary folder whose portfolios have the policies that they are given, whatever files and facts say."""

    given: PoliciesInTime | None = None
    decided: Decisions | None = None

    @property
    def decisions(self) -> Decisions:
        """Return the decisions of the home that is asked about: nobody would have decided otherwise."""
        return self.decided if self.decided is not None else super().decisions

    @property
    def given_policies(self) -> PoliciesInTime | None:
        """Return the policies that are tried."""
        return self.given


@dataclass(frozen=True)
class Counted:
    """A count over the days of a what-if: as it was told, and as the other policy would have told it.

    ``of`` is what is counted: ``sessions in regime``, ``sessions in mode``, ``sessions firing``, ``sessions critical``, ``alerts
    begun``, ``recommendations issued``; ``name`` the regime, mode or rule.
    """

    portfolio: str
    of: str
    name: str
    told: int
    instead: int


@dataclass(frozen=True)
class WhatIf:
    """What another policy would have said, counts by portfolio, and the days on which it would have said something else."""

    policy: Policy
    first: date
    last: date
    counts: tuple[Counted, ...]
    days: tuple[date, ...]
    """The days whose regime, alerts or recommendation would be others."""


@contextmanager
def built_under(home: Home, policies: PoliciesInTime, progress: Progress = lambda text: None) -> Iterator[Home]:
    """Hand out a copy of a home's tables brought up to date under other policies; it is gone afterwards, the home is as it was.

    Days on which the policies are the home's own are copied, not computed: the same rule says so that makes a build cheap.
    """
    with TemporaryDirectory(prefix="portfolio-what-if-") as folder:
        scratch = WhatIfHome(Path(folder), as_of=home.clock.now(), given=policies, decided=home.decisions)
        scratch.create()
        progress("copying the tables")
        with scratch.lake.writing():
            for table in derived.TABLES.values():
                if home.lake.version(table) is not None:
                    scratch.lake.replace(table, home.lake.read(table))
        remember_span(scratch)
        try:
            build_all(scratch, report=progress)
            yield scratch
        finally:
            scratch.book.close()


def what_if(
    home: Home, policy: Policy, first: date, last: date, portfolio: str | None = None, progress: Progress = lambda text: None
) -> WhatIf:
    """Return what would have been told had a policy been in force from ``first`` to ``last``, both included.

    Args:
        home: what really was; nothing of it is changed.
        policy: the policy to try; its accounting has to be the home's.
        first: the first day on which it is in force.
        last: the last one; from the day after on the home's own policies are in force again.
        portfolio: the only portfolio that gets it; None: every one does.
        progress: is told what is being done.

    Raises:
        WrongUse: the range is empty or not built, or there is no such portfolio.
        DataProblem: the home is not up to date, or the policy accounts differently.
    """
    if last < first:
        raise WrongUse(f"the range from {first} to {last} has no day; give the earlier day first")
    if last > home.last_ended_day or first < home.first_day:
        raise WrongUse(f"{first} to {last} is not within the ledger, {home.first_day} to {home.last_ended_day}")
    if is_behind(home):
        raise DataProblem(
            "the home's tables are behind its facts, clock or policies, so that both would differ; run `portfolio build` first"
        )
    own = policies_in_time(home)
    names = sorted(set(home.lake.read(derived.PORTFOLIO_EQUITY, ["portfolio"])["portfolio"].to_pylist()))
    if portfolio is not None and portfolio not in names:
        raise WrongUse(f"there is no portfolio {portfolio!r} with a session; there are {', '.join(names)}")
    wanted = names if portfolio is None else [portfolio]
    given = {name: own.timeline(name).instead(policy, first, last) for name in wanted}
    # the default is left as it is: it is the convention of the accounting, and what is not asked about keeps it
    tried = replace(own, by_portfolio={**own.by_portfolio, **given})
    with built_under(home, tried, progress) as scratch:
        told, instead = _counts(home, wanted, first, last), _counts(scratch, wanted, first, last)
        days = _other_days(home, scratch, wanted, first, last)
    counts = [Counted(*key, told[key], instead[key]) for key in sorted(told.keys() | instead.keys())]
    return WhatIf(policy, first, last, tuple(counts), days)


def _counts(home: Home, portfolios: list[str], first: date, last: date) -> Counter[Key]:
    """Return what was told of some portfolios in a range of days, counted by portfolio, kind and name."""
    months = {"from_month": first.isoformat()[:7], "to_month": last.isoformat()[:7]}
    where = (pc.field("day") >= first) & (pc.field("day") <= last) & pc.field("portfolio").isin(portfolios)
    found: Counter[Key] = Counter()
    for row in home.lake.read(derived.DRAWDOWN_STATE, ["portfolio", "regime"], where, **months).to_pylist():
        found[row["portfolio"], "sessions in regime", row["regime"]] += 1
    columns = ["portfolio", "day", "rule", "severity", "alert_id"]
    # a rule may fire in several scopes of one session, which is one session
    fired: set[tuple[Key, date]] = set()
    begun: set[tuple[str, str, str]] = set()
    for row in home.lake.read(derived.ALERT_STATES, columns, where & (pc.field("state") == "firing"), **months).to_pylist():
        fired.add(((row["portfolio"], "sessions firing", row["rule"]), row["day"]))
        if row["severity"] == "critical":
            fired.add(((row["portfolio"], "sessions critical", row["rule"]), row["day"]))
        begun.add((row["portfolio"], row["rule"], row["alert_id"]))
    found.update(key for key, _ in fired)
    for portfolio, rule, identity in begun:
        found[portfolio, "alerts begun", rule] += date.fromisoformat(identity.rsplit(":", 1)[1]) >= first
    for row in home.lake.read(derived.RECOMMENDATION_STATES, ["portfolio", "status", "mode"], where, **months).to_pylist():
        found[row["portfolio"], "sessions in mode", row["mode"]] += 1
        found[row["portfolio"], "recommendations issued", ""] += row["status"] == "issued"
    return Counter({key: count for key, count in found.items() if count})


def _other_days(home: Home, scratch: Home, portfolios: list[str], first: date, last: date) -> tuple[date, ...]:
    """Return the days whose alerts, regime or recommendation would be others."""
    told, instead = (_said(one, portfolios, first, last) for one in (home, scratch))
    return tuple(sorted(day for day in told.keys() | instead.keys() if told.get(day) != instead.get(day)))


def _said(home: Home, portfolios: list[str], first: date, last: date) -> dict[date, frozenset[tuple[object, ...]]]:
    months = {"from_month": first.isoformat()[:7], "to_month": last.isoformat()[:7]}
    where = (pc.field("day") >= first) & (pc.field("day") <= last) & pc.field("portfolio").isin(portfolios)
    tables = {
        derived.DRAWDOWN_STATE: ("regime", "size_multiplier"),
        derived.ALERT_STATES: ("alert_id", "severity", "state"),
        derived.RECOMMENDATION_STATES: ("status", "mode"),
    }
    found: dict[date, set[tuple[object, ...]]] = {}
    for table, names in tables.items():
        for row in home.lake.read(table, ["day", "portfolio", *names], where, **months).to_pylist():
            found.setdefault(row["day"], set()).add((table.name, row["portfolio"], *(row[name] for name in names)))
    return {day: frozenset(rows) for day, rows in found.items()}
