"""The rules by which the book follows a session: what changes about each alert, and what is told. Pure.

Telling is a debt: what an alert was told as is kept beside what it is, so whatever falls silent for a while (a silence, an
inhibiting alert, a gate) is told when it still fires afterwards. In one session nothing is told twice, so a value that
flaps within a day sends no more than its first change of each kind; what it comes to is told in the next session.

An alert that a person resolved stays resolved while it goes on, until its rule's cool-down has passed since that session, or
it has become graver. One that begins in a later session is another alert, for then the value had left its threshold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from portfolio_platform.alerts.model import MONITOR_ONLY, RANK, Notice, NoticeKind, Observation
from portfolio_platform.book import alerts as book
from portfolio_platform.book.alerts import Alert, AlertChange, Origin
from portfolio_platform.book.silences import Silence
from portfolio_platform.policy.alerts import AlertPolicy

CONTINUES = "its beginning was restated; it goes on as"
GONE = "it is no longer in the evaluation"
_QUIET = frozenset({book.TOLD, book.OBSERVED})
_Key = tuple[str, str]


@dataclass(frozen=True)
class Session:
    """A portfolio's newest session, and what the book holds about the portfolio.

    Attributes:
        portfolio, day: which session.
        firing: what fires in it.
        ended: by id, how an alert ended, in this session or one before it.
        standing: the alerts that are open in the book.
        known: the alerts of the book, open or not, with the ids that fire now.
        by_hand: those that a person resolved, the newest last.
        silences: those in force.
        origin: whose alerts these are.
    """

    portfolio: str
    day: date
    firing: Sequence[Observation]
    standing: Sequence[Alert]
    ended: Mapping[str, Observation] = field(default_factory=dict)
    known: Mapping[str, Alert] = field(default_factory=dict)
    by_hand: Sequence[Alert] = ()
    silences: Sequence[Silence] = ()
    origin: Origin = "lake"


@dataclass(frozen=True)
class Planned:
    """What to write: changes of alerts in order, and what to tell of them."""

    changes: tuple[AlertChange, ...]
    notices: tuple[Notice, ...]


def plan(session: Session, policy: AlertPolicy) -> Planned:
    """Return what brings the book to a session; nothing where it is there already."""
    standing = {(alert.rule, alert.scope): alert for alert in session.standing}
    firing = {(item.rule, item.scope): item for item in session.firing}
    done: list[Outcome] = []
    for key in sorted(standing.keys() - firing.keys()):
        done.append(_ended(standing[key], session))
    for key, item in sorted(firing.items()):
        done.extend(_follow(item, standing.get(key), session, policy))
    changes = [change for one in done if (change := one.change()) is not None]
    return Planned(tuple(changes), tuple(one.notice for one in done if one.notice is not None))


@dataclass(frozen=True)
class Outcome:
    """One alert before and after, the type of what happened (the gravest), and what is told."""

    type: str
    before: Alert | None
    after: Alert
    reason: str = ""
    notice: Notice | None = None

    def change(self, by: str = "") -> AlertChange | None:
        """Return what to write of it, None where nothing changed."""
        if self.before == self.after:
            return None
        revision = self.after.revision + (self.type not in _QUIET)
        return AlertChange(self.type, self.before, replace(self.after, revision=revision), by=by, reason=self.reason)


def _follow(item: Observation, now: Alert | None, session: Session, policy: AlertPolicy) -> Iterable[Outcome]:
    """Yield what happens to an alert that fires: it is new, goes on, or goes on under another beginning."""
    if now is None:
        if _held_back(item, session.by_hand, policy):
            return
        yield _told(_begun(item, session), item, session, policy)
    elif now.id == item.id:
        yield _told(_gone_on(item, now, session), item, session, policy)
    elif item.first_seen.isoformat() <= now.last_seen:
        over = replace(now, state="resolved", resolved_on=session.day.isoformat())
        yield Outcome(book.RESOLVED, now, over, f"{CONTINUES} {item.id}")
        begun = _begun(item, session)
        carried = replace(
            begun.after,
            acknowledged_by=now.acknowledged_by,
            note=now.note,
            told=now.told,
            told_most=now.told_most,
            told_first=now.told_first,
            told_last=now.told_last,
            told_on=now.told_on,
            told_then=now.told_then,
        )
        graver = RANK[carried.severity] > RANK[now.severity]
        carried = replace(carried, acknowledged_by="" if graver else carried.acknowledged_by)
        yield _told(replace(begun, after=in_state(carried, session.silences)), item, session, policy, graver=graver)
    else:
        yield _ended(now, session)
        yield _told(_begun(item, session), item, session, policy)


def _held_back(item: Observation, by_hand: Sequence[Alert], policy: AlertPolicy) -> bool:
    """Say whether a person resolved this very spell, and it may not fire again yet."""
    rule = policy.rules.get(item.rule)
    cool_down = rule.cool_down if rule is not None else 0
    for alert in reversed(by_hand):
        if (alert.rule, alert.scope) == (item.rule, item.scope):
            same = item.first_seen.isoformat() <= (alert.resolved_on or "")
            return same and item.session <= _number(alert) + cool_down and RANK[item.severity] <= RANK[alert.severity]
    return False


def _number(alert: Alert) -> int:
    """Return the number of the session in which an alert fired last."""
    number = alert.said.get("session")
    return number if isinstance(number, int) else 0


def _begun(item: Observation, session: Session) -> Outcome:
    before = session.known.get(item.id)
    fresh = Alert(
        id=item.id,
        portfolio=item.portfolio,
        rule=item.rule,
        scope=item.scope,
        origin=session.origin,
        severity=item.severity,
        state="firing",
        first_seen=item.first_seen.isoformat(),
        last_seen=session.day.isoformat(),
        content=item.content,
        sessions=item.sessions,
    )
    if before is not None:  # it fires again in the session in which it had ended, or after a person resolved it
        fresh = replace(
            fresh,
            told=before.told,
            told_on=before.told_on,
            told_then=before.told_then,
            revision=before.revision,
            event_seq=before.event_seq,
        )
    return Outcome(book.FIRED, before, in_state(fresh, session.silences))


def _gone_on(item: Observation, now: Alert, session: Session) -> Outcome:
    after = replace(now, last_seen=session.day.isoformat(), severity=item.severity, sessions=item.sessions, content=item.content)
    happened = book.OBSERVED
    if RANK[item.severity] > RANK[now.severity]:
        happened, after = book.ESCALATED, replace(after, acknowledged_by="", note="")
    elif item.severity != now.severity:
        happened = book.EASED
    after = in_state(after, session.silences)
    if happened == book.OBSERVED and after.state != now.state:
        happened = book.SILENCED if after.state == "silenced" else book.UNSILENCED
    return Outcome(happened, now, after)


def in_state(alert: Alert, silences: Sequence[Silence]) -> Alert:
    """Return an open alert in the state that who has seen it and the silences give it."""
    if alert.acknowledged_by:
        return replace(alert, state="acknowledged")
    covered = any(silence.covers(alert.portfolio, alert.rule, alert.scope) for silence in silences)
    return replace(alert, state="silenced" if covered else "firing")


def told_as(alert: Alert, policy: AlertPolicy) -> str:
    """Return the severity by which an alert is told: a warning that nobody acknowledged for long enough is critical."""
    waited = alert.told_first and alert.sessions - alert.told_first >= policy.escalate_sessions
    return "critical" if alert.severity == "warning" and waited and not alert.acknowledged_by else alert.severity


def _told(done: Outcome, item: Observation, session: Session, policy: AlertPolicy, *, graver: bool = False) -> Outcome:
    """Add what is told of an alert that fires, where something is."""
    alert, severity = done.after, told_as(done.after, policy)
    if done.type == book.EASED and severity != MONITOR_ONLY and alert.told in RANK and RANK[alert.told] > RANK[severity]:
        alert = replace(alert, told=severity)
        done = replace(done, after=alert)
    if alert.severity == MONITOR_ONLY or item.inhibited_by or alert.state != "firing":
        return done
    kind: NoticeKind
    if alert.told not in RANK:
        kind = "fired"
    elif done.type == book.ESCALATED or graver or RANK[severity] > RANK[alert.told]:
        kind = "escalated"
    elif alert.sessions - alert.told_last >= policy.repeat_sessions:
        kind = "repeated"
    else:
        return done
    return _with_notice(done, kind, severity, session.day, item.cause or item.rule)


def _with_notice(done: Outcome, kind: NoticeKind, severity: str, day: date, cause: str) -> Outcome:
    alert, session = done.after, day.isoformat()
    so_far = alert.told_then.split() if alert.told_on == session else []
    notice = Notice(kind, severity, alert, session, cause)
    if notice.token in so_far:
        return done
    going_on = alert.told in RANK
    alert = replace(
        alert,
        told="resolved" if kind == "resolved" else severity,
        told_most=max(alert.told_most, severity, key=lambda name: RANK.get(name, -1)) if going_on else severity,
        told_first=alert.told_first if going_on else alert.sessions,
        told_last=alert.sessions,
        told_on=session,
        told_then=" ".join([*so_far, notice.token]),
    )
    happened = book.TOLD if done.type == book.OBSERVED else done.type
    return replace(done, type=happened, after=alert, notice=replace(notice, alert=alert))


def _ended(now: Alert, session: Session) -> Outcome:
    """Return the end of an alert: in the session in which the evaluation ended it, also one that the book did not see."""
    row = session.ended.get(now.id)
    after = replace(now, state="resolved", resolved_on=(row.day if row is not None else session.day).isoformat())
    if row is not None:
        after = replace(after, content=row.content, sessions=row.sessions)
    cause = row.cause if row is not None else str(now.said.get("cause") or "")
    done = Outcome(book.RESOLVED, now, after, "" if row is not None else GONE)
    return over(done.type, now, after, session.day, cause or now.rule, done.reason)


def over(happened: str, before: Alert, after: Alert, day: date, cause: str, reason: str) -> Outcome:
    """Return the end of an alert with its notice: told where its beginning was told and it is not silenced."""
    done = Outcome(happened, before, after, reason)
    if before.told not in RANK or before.state == "silenced":
        return done
    return _with_notice(done, "resolved", before.told_most, day, cause)
