"""Telling people about executions: alerts that somebody has to look at, and messages to the recipients that a profile names.

Alerts are those of the platform, in the same book and outbox, so that silences and acknowledgements work on them. Each thing is raised
once; one that a person resolved does not come again.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from portfolio_platform.alerts.heartbeat import platform_alert, platform_resolved
from portfolio_platform.alerts.message import Item, Line, Message, cut
from portfolio_platform.alerts.model import RANK
from portfolio_platform.book import alerts as book
from portfolio_platform.book import notifications
from portfolio_platform.book.alerts import PLATFORM
from portfolio_platform.desk.escalations import cases_of
from portfolio_platform.home import Home
from portfolio_platform.orchestrator.escalation import Case
from portfolio_platform.policy.alerts import Severity

FLAGGED, EXIT, DUE, OVERDUE, OPENED = "execution_flagged", "exit_touched", "execution_due", "escalation_expired", "escalation_opened"
RULES = (FLAGGED, EXIT, DUE, OVERDUE, OPENED)
LONGEST = 1_500


def alert_once(home: Home, rule: str, key: str, severity: Severity, sentence: str, action: str) -> bool:
    """Raise an alert that was never raised before; say whether this call did.

    Args:
        home: whose book and outbox.
        rule: what kind of thing, one of `RULES`.
        key: which of its kind; it is in the alert's id.
        severity: how grave it is.
        sentence: what happened.
        action: what to do, and who.
    """
    if severity not in RANK or known(home, rule, key):
        return False
    return platform_alert(home, rule, key, severity, cut(sentence, LONGEST), cut(action, LONGEST)) is not None


def known(home: Home, rule: str, key: str) -> bool:
    """Say whether an alert was ever raised."""
    with home.book.reading() as connection:
        return any((one.rule, one.scope) == (rule, key) for one in book.listed(connection, PLATFORM, origin="platform"))


def settled(home: Home, rule: str, key: str) -> None:
    """End an alert whose reason is gone, where it is open."""
    platform_resolved(home, rule, key)


def route(
    home: Home, portfolio: str, recipient: str, about: str, sentence: str, lines: Sequence[tuple[str, str]], *, at: datetime, reason: str
) -> bool:
    """Queue a message to a recipient, by name; the same about the same thing is queued once. Say whether it is new.

    It is for information: channels that take nothing but warnings do not get it, and where none takes it, it is in the home's log.

    Args:
        home: whose outbox.
        portfolio: of the execution.
        recipient: who it is for, such as ``Quality-Assurance``.
        about: the identity of what it tells, such as the execution and the number of its report.
        sentence: what happened.
        lines: facts, each with its label.
        at: when.
        reason: why this recipient.
    """
    said = (Line("To", f"{recipient} ({reason})"), *(Line(label, cut(text, 400)) for label, text in lines if text))
    item = Item(alert_id="", kind="report", severity="info", sentence=cut(f"For {recipient}: {sentence}", 400), lines=said)
    message = Message(portfolio, at.date().isoformat(), "report", "info", (item,))
    made = notifications.new(
        f"execution|{portfolio}|{about}|{recipient}|{reason}", portfolio, "report", "info", [], message.title, message.body(), at
    )
    with home.book.writing() as connection:
        return bool(notifications.queue(connection, [made], at=at))


def settle_others(home: Home, rule: str, keys: Collection[str]) -> None:
    """End the open alerts of a rule whose keys are none of these."""
    with home.book.reading() as connection:
        standing = book.open_alerts(connection, PLATFORM, origin="platform")
        gone = sorted(one.scope for one in standing if one.rule == rule and one.scope not in keys)
    for key in gone:
        platform_resolved(home, rule, key)


def tell_escalations(home: Home) -> None:
    """Bring the alerts about escalations to the log: who decides is told when one opens and when its time is over, once each.

    An answer ends both alerts.
    """
    for case in cases_of(home):
        one = case.escalation
        name = f"{one.portfolio}:{one.escalation_id}"
        if case.answered is not None:
            settled(home, OPENED, name)
            settled(home, OVERDUE, name)
            continue
        _opened(home, case, name)
        if case.status == "expired":
            sentence = (
                f"{one.portfolio}: {one.routing} has not answered escalation {one.escalation_id} ({one.trigger}) within "
                f"{one.sla_minutes} minutes: {one.request}."
            )
            alert_once(home, OVERDUE, name, "critical", sentence, _answer(case))


def _opened(home: Home, case: Case, name: str) -> None:
    one = case.escalation
    told = "; ".join(violation.text for violation in one.violations[:5])
    about = f" about {one.subject}" if one.subject else ""
    sentence = f"{one.portfolio}: {one.routing} is asked{about} ({one.trigger}): {told or one.request}"
    alert_once(home, OPENED, name, "critical" if one.waits else "warning", sentence, _answer(case))


def _answer(case: Case) -> str:
    one = case.escalation
    return (
        f"{one.routing}: {one.request}. `portfolio escalations answer {one.escalation_id}` within {one.sla_minutes} minutes of its opening."
    )
