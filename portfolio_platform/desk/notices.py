"""Telling people about executions: alerts that somebody has to look at, and messages to the recipients that a profile names.

Alerts are those of the platform, in the same book and outbox, so that silences and acknowledgements work on them. Each thing is raised
once; one that a person resolved does not come again.
"""

from collections.abc import Sequence
from datetime import datetime

from portfolio_platform.alerts.heartbeat import platform_alert, platform_resolved
from portfolio_platform.alerts.message import Item, Line, Message, cut
from portfolio_platform.alerts.model import RANK
from portfolio_platform.book import alerts as book
from portfolio_platform.book import notifications
from portfolio_platform.book.alerts import PLATFORM
from portfolio_platform.home import Home
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
