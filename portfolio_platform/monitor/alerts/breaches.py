"""Intraday: which breaches ask for a monitor run now. A metric that flaps asks once, whatever the number of ticks.

The running session's row is evaluated anew at each tick; an alert keeps its id (it holds the day on which it began), so what
comes back is known. Only an alert that begins, or one that becomes graver than it was, asks for a run; and a rule of a
portfolio has at most one run within its cool-down. What asks meanwhile waits, and is granted if it still holds then.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from portfolio_platform.policy.alerts import AlertPolicy

GRAVITY = {"info": 0, "warning": 1, "critical": 2}
FORGOTTEN_AFTER = timedelta(days=10)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Breach(_Part):
    """An alert that fires now, of a rule that starts runs."""

    portfolio: str
    rule: str
    alert_id: str
    severity: str


class Run(_Part):
    """A monitor run that is asked for: of which portfolio, by which rule, because of which alerts."""

    portfolio: str
    rule: str
    alert_ids: tuple[str, ...]


class Known(_Part):
    """An alert that had its run: the gravest it was then, and when it was last seen firing."""

    severity: str
    seen: datetime


class BreachState(_Part):
    """What is remembered between ticks, as JSON: alerts that had their run, and when each rule of a portfolio last had one."""

    known: dict[str, Known] = {}
    last_run: dict[str, datetime] = {}

    @classmethod
    def from_text(cls, text: str | None) -> "BreachState":
        """Return the state behind a stored text; one that cannot be read is forgotten, which costs a run at most."""
        from pydantic import ValidationError

        try:
            return cls.model_validate_json(text) if text else cls()
        except ValidationError:
            return cls()

    def to_text(self) -> str:
        """Return the state as text."""
        return self.model_dump_json()


def breaches_of(rows: pa.Table, policies: Mapping[str, AlertPolicy]) -> tuple[Breach, ...]:
    """Return the breaches among rows of `alert_states`: each portfolio's newest session there, rules that start runs."""
    if not len(rows):
        return ()
    newest = rows.group_by("portfolio").aggregate([("day", "max")])
    days = dict(zip(newest["portfolio"].to_pylist(), newest["day_max"].to_pylist(), strict=True))
    names = ["day", "portfolio", "rule", "alert_id", "severity"]
    firing: list[dict[str, Any]] = rows.filter(pc.equal(rows["state"], "firing")).select(names).to_pylist()
    found = []
    for row in firing:
        policy = policies.get(row["portfolio"])
        rule = policy.rules.get(row["rule"]) if policy is not None else None
        if rule is not None and rule.starts_run and row.pop("day") == days[row["portfolio"]]:
            found.append(Breach(**row))
    return tuple(sorted(found, key=lambda breach: breach.alert_id))


def admit(
    state: BreachState, breaches: Iterable[Breach], now: datetime, cool_down: timedelta | Mapping[str, timedelta]
) -> tuple[tuple[Run, ...], BreachState]:
    """Return the runs that breaches ask for now, and what to remember; pure.

    ``cool_down`` is the least time between two runs of one rule and portfolio (`run_cool_down_minutes`), for all or by portfolio.
    ``now`` has a time zone. A clock that goes back grants nothing until it has caught up.
    """
    moment = now.astimezone(UTC)
    known = {name: item for name, item in state.known.items() if moment - item.seen < FORGOTTEN_AFTER}
    asking: dict[tuple[str, str], list[Breach]] = {}
    for breach in sorted(breaches, key=lambda breach: breach.alert_id):
        before = known.get(breach.alert_id)
        if before is None or GRAVITY[breach.severity] > GRAVITY[before.severity]:
            asking.setdefault((breach.portfolio, breach.rule), []).append(breach)
        else:
            known[breach.alert_id] = Known(severity=before.severity, seen=max(moment, before.seen))
    runs, last_run = [], dict(state.last_run)
    for (portfolio, rule), found in sorted(asking.items()):
        key = f"{portfolio}\n{rule}"
        wait = cool_down if isinstance(cool_down, timedelta) else cool_down[portfolio]
        if key in last_run and moment - last_run[key] < wait:
            continue
        last_run[key] = moment
        runs.append(Run(portfolio=portfolio, rule=rule, alert_ids=tuple(breach.alert_id for breach in found)))
        known |= {breach.alert_id: Known(severity=breach.severity, seen=moment) for breach in found}
    return tuple(runs), BreachState(known=known, last_run=last_run)
