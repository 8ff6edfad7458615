"""Alerts as a stage: the metrics of every session and the policy's rules in, `alert_states` out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.days import to_date, to_number
from portfolio_platform.errors import DataProblem
from portfolio_platform.evidence.catalogue import BY_NAME
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.progress import Plan
from portfolio_platform.monitor.alerts.families import contributions, day_numbers
from portfolio_platform.monitor.alerts.grid import KEYS, USED, Metrics
from portfolio_platform.monitor.alerts.rows import REMEMBERED, alert_rows, asked_of, remembered
from portfolio_platform.monitor.alerts.states import Sessions, alerts
from portfolio_platform.monitor.alerts.wording import ENDED, facts_of
from portfolio_platform.monitor.pipeline.contributors import read_sources
from portfolio_platform.policy.alerts import AlertPolicy, Rule
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.stage import Stage

LOOK_BACK = timedelta(days=62)
LOOK_BACK_SESSIONS = 31


@dataclass(frozen=True)
class Trail:
    """The sessions of each portfolio with those before the range that windows reach back to: day numbers and numbers, ascending."""

    days: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray]

    def of(self, portfolio: str, first: date) -> Sessions | None:
        """Return a portfolio's sessions from a day on, with the one before it; None where there is none."""
        days, numbers = self.days[portfolio], self.numbers[portfolio]
        start = int(np.searchsorted(days, to_number(first)))
        if start == days.size:
            return None
        before = (days[start - 1], numbers[start - 1]) if start else (-1, -1)
        return Sessions(np.append(before[0], days[start:]), np.append(before[1], numbers[start:]))


def read_trail(home: Home, first: date, until: date) -> Trail:
    """Read the sessions up to a day; as far back as windows reach, all where sessions are rarer than expected."""
    trail = _read_trail(home, first - LOOK_BACK, until)
    for portfolio, days in trail.days.items():
        earlier = int(np.searchsorted(days, to_number(first)))
        if trail.numbers[portfolio][0] > 0 and earlier < LOOK_BACK_SESSIONS:
            return _read_trail(home, home.first_day, until)
    return trail


def _read_trail(home: Home, since: date, until: date) -> Trail:
    where = (pc.field("day") >= since) & (pc.field("day") <= until)
    found = home.lake.read(
        derived.PORTFOLIO_EQUITY,
        ["portfolio", "day", "session"],
        where,
        from_month=since.isoformat()[:7],
        to_month=until.isoformat()[:7],
    ).sort_by([("portfolio", "ascending"), ("day", "ascending")])
    names = np.asarray(found["portfolio"].to_pylist(), dtype=object)
    day, number = day_numbers(found["day"]), found["session"].to_numpy()
    portfolios = sorted(set(names.tolist()))
    return Trail({name: day[names == name] for name in portfolios}, {name: number[names == name] for name in portfolios})


def policies_of(policies: Assigned, portfolios: Mapping[str, object]) -> dict[str, AlertPolicy]:
    """Return each portfolio's rules. Raises `DataProblem` where a rule names a metric that there is not."""
    found = {portfolio: policies.of(portfolio).alerts for portfolio in portfolios}
    for portfolio, policy in found.items():
        for name, rule in policy.rules.items():
            for metric in (rule.metric, *(condition.metric for condition in rule.also)):
                if metric not in BY_NAME:
                    raise DataProblem(
                        f"policy of {portfolio}: rule {name!r} looks at metric {metric!r}, which is not one; "
                        f"`portfolio show sample_sufficiency` lists those that are"
                    )
    return found


def _metrics(home: Home, names: set[str], since: date, until: date) -> Metrics:
    where = (pc.field("day") >= since) & (pc.field("day") <= until) & pc.field("metric").isin(pa.array(sorted(names), pa.string()))
    months = {"from_month": since.isoformat()[:7], "to_month": until.isoformat()[:7]}
    return Metrics(home.lake.read(derived.SAMPLE_SUFFICIENCY, USED, where, dictionaries=KEYS, **months))


def _stored(home: Home, first: date, since: date) -> pa.Table:
    """Return what is remembered of the days before: every end of an alert, and what fired since a day."""
    ended_or_recent = (pc.field("state") == ENDED) | (pc.field("day") >= since)
    where = (pc.field("day") < first) & ended_or_recent
    return home.lake.read(derived.ALERT_STATES, REMEMBERED, where, to_month=first.isoformat()[:7])


def compute(home: Home, policies: Assigned, plan: Plan) -> dict[Table, pa.Table]:
    """Return the alerts of every session of the plan, going on from the session before it."""
    trail = read_trail(home, plan.first, plan.until)
    listed = {portfolio: trail.of(portfolio, plan.first) for portfolio in trail.days}
    sessions = {portfolio: found for portfolio, found in listed.items() if found is not None}
    rules = policies_of(policies, sessions)
    names = {name for policy in rules.values() for rule in policy.rules.values() if rule.enabled for name in _looked_at(rule)}
    before = [to_date(int(found.days[0])) for found in sessions.values() if found.before >= 0]
    since = min((*before, plan.first))
    metrics = _metrics(home, names, since, plan.until)
    memory = remembered(_stored(home, plan.first, since), {name: found.before for name, found in sessions.items()})
    found = alerts(metrics, sessions, rules.__getitem__, memory)
    facts = facts_of(found, metrics)
    asked = asked_of(found, facts)
    contributed = contributions(asked, read_sources(home, policies, asked, trail.days, plan.until))
    return {derived.ALERT_STATES: alert_rows(found, facts, contributed, rules.__getitem__)}


def _looked_at(rule: Rule) -> tuple[str, ...]:
    return (rule.metric, *(condition.metric for condition in rule.also))


STAGE = Stage("alerts", (derived.ALERT_STATES,), ("sufficiency", "attribution"), compute)
