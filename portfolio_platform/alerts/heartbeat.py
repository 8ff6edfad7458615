"""The platform about itself: a monitor that fell silent, a run or a check that failed. The same alerts, the same outbox."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from portfolio_platform.alerts.model import RANK, Observation, content_of
from portfolio_platform.alerts.outbox import write_plan
from portfolio_platform.alerts.sync import Session, plan
from portfolio_platform.book import alerts as book
from portfolio_platform.book import runs, silences
from portfolio_platform.book.alerts import PLATFORM, Alert
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.runs import MonitorRun
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.policy.alerts import AlertPolicy, Severity

QUIET = "monitor_quiet"


def quiet(last_success: datetime | None, now: datetime, limit_hours: float) -> bool:
    """Say whether a monitor has been silent for too long; one that never spoke is not missed. Pure."""
    return last_success is not None and now - last_success > timedelta(hours=limit_hours)


def record_run(home: Home, what: str) -> MonitorRun:
    """Record that a run of the monitor finished."""
    with home.book.writing() as connection:
        return runs.finish(connection, what, at=home.clock.now())


def last_run(home: Home) -> datetime | None:
    """Return when a run of the monitor finished last; None where none has."""
    with home.book.reading() as connection:
        return runs.last_finished(connection)


def is_quiet(home: Home) -> bool:
    """Say whether a home's monitor has been silent for too long. In a home whose clock stands still nothing is late."""
    still = home.pinned_at is not None or home.as_of is not None
    return not still and quiet(_since(home), home.clock.now(), _policy(home).quiet_hours)


def _policy(home: Home) -> AlertPolicy:
    """Return the newest rules that have begun. Where they have expired no run of the monitor ends well, and this is how people hear."""
    return home.timeline().last_begun(home.today).policy.alerts


def _since(home: Home) -> datetime | None:
    """Return since when a run is waited for: the last one, else the book's first event."""
    with home.book.reading() as connection:
        return runs.last_finished(connection) or runs.first_recorded(connection)


def check_heartbeat(home: Home) -> Alert | None:
    """Raise the alert `monitor_quiet` where no run has finished for too long, and end it where one has; return it while it is open.

    Before the first run, the time is taken from the book's first event. In a home whose clock stands still nothing is late.
    """
    if not is_quiet(home):
        platform_resolved(home, QUIET, "")
        return None
    last, since, limit = last_run(home), _since(home), _policy(home).quiet_hours
    assert since is not None
    heard = f"the last finished on {_spelt(since)}" if last is not None else f"none has finished since {_spelt(since)}"
    sentence = f"No run of the monitor has finished for more than {limit:g} hours; {heard}."
    return platform_alert(home, QUIET, "", "critical", sentence, "Look at the newest runs, then at `portfolio doctor`.")


def platform_alert(home: Home, rule: str, key: str, severity: Severity, sentence: str, action: str) -> Alert | None:
    """Raise an alert about the platform, once for each rule and key; return it, None where a person resolved it today.

    Args:
        home: the platform's home.
        rule: what kind of thing it is, such as `run_failed`.
        key: which of its kind, such as the job; the alert is open until `platform_resolved` is called with both.
        severity: how grave it is; a graver one escalates the alert.
        sentence: what happened.
        action: what to do.
    """
    if not rule or not rule.isprintable() or severity not in RANK:
        raise WrongUse(f"an alert of the platform has a rule and a severity; {rule!r} and {severity!r} are none")
    today = home.today
    with home.book.writing() as connection:
        take_log_lock(connection)
        standing = _standing(connection, rule, key)
        first = date.fromisoformat(standing[0].first_seen) if standing else today
        observed = _observed(rule, key, severity, sentence, action, first, today)
        _bring(connection, home, standing, [observed], rule, key, today)
        return next(iter(_standing(connection, rule, key)), None)


def platform_resolved(home: Home, rule: str, key: str) -> None:
    """End the alert about the platform with this rule and key, where it is open."""
    with home.book.reading() as connection:
        if not _standing(connection, rule, key):
            return
    with home.book.writing() as connection:
        take_log_lock(connection)
        _bring(connection, home, _standing(connection, rule, key), [], rule, key, home.today)


def _bring(
    connection: Connection, home: Home, standing: Sequence[Alert], firing: Sequence[Observation], rule: str, key: str, today: date
) -> None:
    now = home.clock.now()
    session = Session(
        portfolio=PLATFORM,
        day=today,
        firing=firing,
        standing=standing,
        ended={alert.id: _end(alert, today) for alert in standing},
        known=book.by_ids(connection, [item.id for item in firing]),
        by_hand=[alert for alert in book.resolved_by_hand(connection, PLATFORM) if (alert.rule, alert.scope) == (rule, key)],
        silences=silences.in_force(connection, now),
        origin="platform",
    )
    write_plan(connection, plan(session, _policy(home)), now)


def _standing(connection: Connection, rule: str, key: str) -> list[Alert]:
    found = book.open_alerts(connection, PLATFORM, origin="platform")
    return [alert for alert in found if (alert.rule, alert.scope) == (rule, key)]


def _observed(rule: str, key: str, severity: str, sentence: str, action: str, first: date, today: date) -> Observation:
    from portfolio_platform.monitor.alerts.wording import alert_id  # it is beside compiled code, which takes its time to import

    identity = alert_id(PLATFORM, rule, key, first.isoformat())
    said = {"sentence": sentence, "action": action, "cause": rule, "lookback": "", "severity": severity, "session": today.toordinal()}
    days = (today - first).days + 1
    return Observation(identity, PLATFORM, rule, key, today, today.toordinal(), severity, first, days, rule, "", content_of(said))


def _end(alert: Alert, today: date) -> Observation:
    first = date.fromisoformat(alert.first_seen)
    days = (today - first).days + 1
    place = (alert.id, PLATFORM, alert.rule, alert.scope, today, today.toordinal())
    return Observation(*place, alert.severity, first, days, alert.rule, "", alert.content)


def _spelt(at: datetime) -> str:
    return at.strftime("%Y-%m-%d at %H:%M UTC")
