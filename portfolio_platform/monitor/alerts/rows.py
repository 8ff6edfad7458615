"""From the engine's alerts to rows of `alert_states`, and from stored rows to what the engine remembers."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from portfolio_platform.days import to_number
from portfolio_platform.evidence.ids import parse_evidence_id
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import assemble, day_column, month_column, number_column
from portfolio_platform.monitor.alerts.contributors import Contributions
from portfolio_platform.monitor.alerts.engine import (
    CALM,
    COUNT,
    EASING,
    FIRST,
    RESOLVED,
    TRANSITION,
    WORST,
)
from portfolio_platform.monitor.alerts.limits import CRITICAL, SEVERITIES, rounded
from portfolio_platform.monitor.alerts.states import Alerts, Ended, Memory, Standing, inhibitors
from portfolio_platform.monitor.alerts.wording import ENDED, Facts, text_columns
from portfolio_platform.policy.alerts import AlertPolicy

Float64 = npt.NDArray[np.float64]
REMEMBERED = (
    *("day", "portfolio", "rule", "scope", "state", "severity", "worst_severity", "first_seen", "sessions_firing"),
    *("worst", "calm_sessions", "easing_sessions", "session", "gate_passed"),
)


def remembered(rows: pa.Table, before: Mapping[str, int]) -> dict[str, Memory]:
    """Return what is known of each portfolio's alerts; ``before`` is the number of its session before the range.

    ``rows`` are stored rows (the `REMEMBERED` columns) of days before the range: every resolved one, and those that fire in
    the session before.
    """
    standing: dict[str, dict[tuple[str, str], Standing]] = {}
    ended: dict[str, dict[tuple[str, str], Ended]] = {}
    for row in rows.sort_by("day").to_pylist():
        portfolio, key = row["portfolio"], (row["rule"], row["scope"])
        first, worst = to_number(row["first_seen"]), np.nan if row["worst"] is None else row["worst"]
        bad = SEVERITIES.index(row["worst_severity"])
        if row["state"] == ENDED:
            last = to_number(row["day"])
            ended.setdefault(portfolio, {})[key] = Ended(first, last, row["session"], row["sessions_firing"], bad, worst)
        elif row["session"] == before.get(portfolio):
            level, calm, easing = SEVERITIES.index(row["severity"]), row["calm_sessions"], row["easing_sessions"]
            sure = row["gate_passed"] is not False
            standing.setdefault(portfolio, {})[key] = Standing(level, bad, calm, easing, row["sessions_firing"], first, worst, sure)
    return {name: Memory(standing.get(name, {}), ended.get(name, {})) for name in {*standing, *ended}}


def asked_of(given: Alerts, facts: Facts) -> dict[str, pa.Table]:
    """Return by metric the entries whose contributors are wanted: those whose metric has a row in the session."""
    there = given.row >= 0
    metric = np.array([rule.metric for rule in given.of_rule], dtype=object)
    parts: dict[tuple[str, int], tuple[str, ...]] = {}
    found = {}
    for name in sorted(set(metric[given.rule[there]].tolist())):
        entry = np.flatnonzero(there & (metric[given.rule] == name))
        scopes = [given.scopes[code] for code in given.scope[entry].tolist()]
        for at, code in zip(entry.tolist(), given.scope[entry].tolist(), strict=True):
            if (name, code) not in parts or not any(parts[(name, code)]):
                parts[(name, code)] = _parts(given.scopes[code], facts.evidence[at])
        split = [parts[(name, code)] for code in given.scope[entry].tolist()]
        found[name] = pa.table(
            {
                "entry": pa.array(entry, pa.int64()),
                "portfolio": pa.array([given.portfolios[code] for code in given.portfolio[entry].tolist()], pa.string()),
                "day": day_column(given.day[entry]),
                "scope": pa.array(scopes, pa.string()),
                "window_start": facts.window_start.take(pa.array(entry)),
                **{f"part_{place}": pa.array([each[place] for each in split], pa.string()) for place in range(4)},
            }
        )
    return found


def _parts(scope: str, evidence: str) -> tuple[str, ...]:
    """Return the parts of a scope: what an evidence id says of its row's key, else what stands between strokes."""
    found: tuple[str, ...] = tuple(scope.split("/"))
    if "/" in scope and evidence:
        rest = parse_evidence_id(evidence).rest
        found = rest if "/".join(rest) == scope else found
    return (*found, "", "", "", "")[:4]


def alert_rows(
    given: Alerts,
    facts: Facts,
    contributed: Contributions,
    policy_of: Callable[[str], AlertPolicy],
) -> pa.Table:
    """Return `alert_states`, sorted by its key."""
    resolved = given.counts[:, TRANSITION] == RESOLVED
    silenced = inhibitors(given, policy_of, facts.passed, resolved)
    texts = text_columns(given, facts, contributed)
    loud = np.array([not name for name in silenced], np.bool_)
    told = np.array([rule.pages for rule in given.of_rule], np.bool_)[given.rule]
    change, counts = given.observed - given.before, given.counts
    columns: dict[str, pa.Array] = {name: pa.array(column, pa.string()) for name, column in texts.items()}
    columns |= {
        "day": day_column(given.day),
        "observed": number_column(given.observed),
        "threshold": number_column(given.threshold),
        "window_start": facts.window_start,
        "sample_size": facts.sample_size,
        "required": facts.required,
        "sessions_until": facts.sessions_until,
        "gate_passed": pa.array(facts.passed, pa.bool_()),
        "first_seen": day_column(counts[:, FIRST]),
        "sessions_firing": pa.array(counts[:, COUNT], pa.int64()),
        "worst": number_column(given.values[:, WORST]),
        "room": number_column(_room(given)),
        "change": number_column(np.where(np.isfinite(change), rounded(change), np.nan)),
        "inhibited_by": pa.array(silenced, pa.string()),
        "calm_sessions": pa.array(counts[:, CALM], pa.int64()),
        "easing_sessions": pa.array(counts[:, EASING], pa.int64()),
        "session": pa.array(given.session, pa.int64()),
        "pages": pa.array(loud & told & (facts.passed | resolved), pa.bool_()),
        "month": month_column(given.day) if len(given) else pa.array([], pa.string()),
    }
    table = assemble(derived.ALERT_STATES, columns)
    return table.sort_by([(name, "ascending") for name in derived.ALERT_STATES.key])


def _room(given: Alerts) -> Float64:
    """Return the distance to critical, positive on its good side; NaN where that is reached or where there is none."""
    critical = np.array([np.nan if rule.critical is None else rule.critical for rule in given.of_rule])[given.rule]
    left = np.where(given.upward, critical - given.observed, given.observed - critical)
    return np.where((given.severity < CRITICAL) & np.isfinite(left), rounded(left), np.nan)
