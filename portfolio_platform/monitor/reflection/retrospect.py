"""How alerts and recommendations turned out, judged by what was known at the period's end.

An alert that fired in a session is right where, within the next ``alert_horizon`` sessions, the unit value closed at least
``alert_drawdown`` below its close of that session (``loss = 1 - U_t / U_s``). It is decided in the first session in which that is
so, else in the last session of its horizon, and pending until then. So the alerts decided in a period are mostly those fired a
horizon before it. Chance is the same share over all sessions whose case is over, alerted or not, as known at the period's end:
a rule whose precision is no higher says nothing.

A session counts toward chance only once its horizon is over, also where the loss came early, else the newest sessions would be
counted where they were bad and left out where they were not; the record of a rule is taken over the same sessions.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np

from portfolio_platform.days import to_date
from portfolio_platform.evidence.ids import evidence_id
from portfolio_platform.evidence.intervals import wilson
from portfolio_platform.lake import derived
from portfolio_platform.monitor.reflection.facts import Fired, Flags, Float64, Int64, Row, Sessions, Span
from portfolio_platform.monitor.reflection.model import JudgedAlert, Recommended, Retrospect, RuleRecord
from portfolio_platform.policy.alerts import ReflectionPolicy

SHOWN = 12
GRAVITY = {"critical": 0, "warning": 1, "info": 2}
ENDS = frozenset({"withdrawn", "expired"})


def further_loss(unit_value: Float64, horizon: int, threshold: float) -> tuple[Int64, Float64]:
    """Return for each session when its case is decided and the largest loss from its close up to then.

    The first is the place of the session in which the loss reaches ``threshold``, else of the horizon's last one, which may lie
    beyond the last session given: then it is pending. Losses are fractions, at least 0; a session without a unit value is none.
    """
    size = unit_value.size
    decided, worst = np.arange(size) + horizon, np.zeros(size)
    came = np.zeros(size, bool)
    for step in range(1, horizon + 1):
        with np.errstate(invalid="ignore", divide="ignore"):
            loss = 1.0 - unit_value[step:] / unit_value[: max(0, size - step)]
        here = np.arange(loss.size)
        open_ = ~came[here]
        worst[here] = np.where(open_, np.fmax(worst[here], loss), worst[here])
        now = open_ & (loss >= threshold)
        decided[here[now]] = here[now] + step
        came[here[now]] = True
    return decided, worst


def retrospect(portfolio: str, sessions: Sessions, fired: Fired, span: Span, policy: ReflectionPolicy, minimum: int) -> Retrospect:
    """Return how alerts turned out, from facts up to the period's end; an alert on a day that is no session is not judged."""
    day, horizon = sessions.day[: span.end], policy.alert_horizon
    decided, worst = further_loss(sessions.unit_value[: span.end], horizon, policy.alert_drawdown)
    came = worst >= policy.alert_drawdown
    over = np.arange(span.end) + horizon < span.end
    chance = float(came[over].mean()) if over.any() else None
    place = np.searchsorted(day, fired.day)
    known = (place < span.end) & (fired.day <= span.last)
    known &= day[np.minimum(place, span.end - 1)] == fired.day
    at = np.flatnonzero(known)
    of = place[at]
    in_period, judged = fired.day[at] >= span.first, decided[of] < span.end
    now = judged & (decided[of] >= span.begin)
    rules = []
    for rule in sorted(set(fired.rule[at].tolist())):
        mine = fired.rule[at] == rule
        settled = mine & over[of]
        if (mine & (in_period | now)).any():
            rules.append(_record(rule, _Counts(mine, in_period, judged, now, came[of], settled), chance, minimum))
    ordered = sorted(
        np.flatnonzero(now).tolist(),
        key=lambda k: (GRAVITY.get(str(fired.severity[at[k]]), 3), int(fired.day[at[k]]), str(fired.alert_id[at[k]])),
    )
    alerts = tuple(_judged(portfolio, fired, sessions, int(at[k]), int(of[k]), decided, worst, came) for k in ordered[:SHOWN])
    return Retrospect(
        horizon=horizon,
        further_loss=policy.alert_drawdown,
        fired=int(in_period.sum()),
        pending=int((~judged).sum()),
        decided_now=int(now.sum()),
        right_now=int((now & came[of]).sum()),
        chance=chance,
        chance_sessions=int(over.sum()),
        rules=tuple(rules),
        alerts=alerts,
        alerts_total=len(ordered),
    )


class _Counts:
    """Alerts of one rule, counted."""

    def __init__(self, mine: Flags, in_period: Flags, judged: Flags, now: Flags, came: Flags, settled: Flags) -> None:
        self.fired = int((mine & in_period).sum())
        self.pending = int((mine & ~judged).sum())
        self.decided_now, self.right_now = int((mine & now).sum()), int((mine & now & came).sum())
        self.decided, self.right = int(settled.sum()), int((settled & came).sum())


def _record(rule: str, counts: _Counts, chance: float | None, minimum: int) -> RuleRecord:
    low, high = (float(end) for end in wilson(counts.right, counts.decided))
    some = counts.decided > 0
    if counts.decided < minimum or chance is None:
        verdict = "insufficient_sample"
    else:
        verdict = "better_than_chance" if low > chance else "worse_than_chance" if high < chance else "not_told_apart"
    return RuleRecord.model_validate(
        {
            "rule": rule,
            "fired": counts.fired,
            "pending": counts.pending,
            "decided_now": counts.decided_now,
            "right_now": counts.right_now,
            "decided": counts.decided,
            "right": counts.right,
            "precision": counts.right / counts.decided if some else None,
            "low": low if some else None,
            "high": high if some else None,
            "chance": chance,
            "verdict": verdict,
        }
    )


def _judged(
    portfolio: str, fired: Fired, sessions: Sessions, alert: int, place: int, decided: Int64, worst: Float64, came: Flags
) -> JudgedAlert:
    day, rule, scope = to_date(int(fired.day[alert])), str(fired.rule[alert]), str(fired.scope[alert])
    return JudgedAlert(
        alert_id=str(fired.alert_id[alert]),
        rule=rule,
        scope=scope,
        severity=str(fired.severity[alert]),
        fired=day,
        decided=to_date(int(sessions.day[decided[place]])),
        came=bool(came[place]),
        worst=float(worst[place]),
        evidence_id=evidence_id(derived.ALERT_STATES, portfolio, day, "observed", rule, scope),
    )


def recommended(portfolio: str, rows: Sequence[Row], first: date, until: date) -> tuple[Recommended, ...]:
    """Return the recommendations that were issued or ended between two days, both included, as they stood at the second.

    ``rows`` are those of `recommendation_states` in which one was issued, withdrawn or expired, in the order of days.
    """
    known = [row for row in rows if row["day"] <= until]
    ended: dict[str, tuple[str, date]] = {}
    for row in known:
        if row["status"] in ENDS:
            ended[row["recommendation_id"]] = (row["status"], row["day"])
        elif row["supersedes"]:
            ended.setdefault(row["supersedes"], ("superseded", row["day"]))
    found = []
    for row in (row for row in known if row["status"] == "issued"):
        fate, day = ended.get(row["recommendation_id"], ("standing", None))
        if row["day"] < first and (day is None or day < first):
            continue
        found.append(
            Recommended.model_validate(
                {
                    "recommendation_id": row["recommendation_id"],
                    "issued": row["day"],
                    "mode": row["mode"],
                    "monitor_only": row["monitor_only"],
                    "adjustments": row["adjustments"],
                    "fate": fate,
                    "ended": day,
                    "evidence_id": evidence_id(derived.RECOMMENDATION_STATES, portfolio, row["day"], "mode"),
                }
            )
        )
    return tuple(found)
