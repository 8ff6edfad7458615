"""Escalations in the book: opened once, answered by a person, expired on the clock. The rules are in `orchestrator.escalation`."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

import orjson
from sqlalchemy import Connection, select

from portfolio_platform.book import schema
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.events import NewEvent, append
from portfolio_platform.days import nanoseconds
from portfolio_platform.desk import log
from portfolio_platform.desk.exceptions import not_to_be_excepted
from portfolio_platform.errors import WrongUse
from portfolio_platform.orchestrator import escalation as rules
from portfolio_platform.orchestrator.escalation import Answer, Answered, Case, Cases, Change, Escalation, EscalationEvent, Opened, Trigger

if TYPE_CHECKING:
    from portfolio_platform.home import Home

_LOG = schema.events.c


def cases_in(connection: Connection, portfolio: str) -> Cases:
    """Return the cases of a portfolio as the book has them, by id."""
    query = select(_LOG.type, _LOG.content).where(_LOG.stream == rules.stream_of(portfolio)).order_by(_LOG.version)
    return rules.replay(rules.decode_event(name, orjson.loads(content)["data"]) for name, content in connection.execute(query))


def portfolios_in(connection: Connection) -> list[str]:
    """Return the portfolios that ever had an escalation, sorted."""
    query = select(_LOG.stream).where(_LOG.type == "escalation_opened").distinct()
    return sorted(unquote(stream.partition("/")[2]) for (stream,) in connection.execute(query))


def record(connection: Connection, portfolio: str, events: Sequence[EscalationEvent], *, at: datetime) -> None:
    """Append events of escalations; one that is there is not written again. Take the right to write before deciding on them."""
    stream = rules.stream_of(portfolio)
    append(connection, [NewEvent(stream, *rules.encode_event(one), rules.key_of(portfolio, one)) for one in events], recorded_at=at)


def open_escalation(connection: Connection, escalation: Escalation, *, at: datetime) -> None:
    """Open an escalation, once by its id."""
    if escalation.escalation_id not in cases_in(connection, escalation.portfolio):
        record(connection, escalation.portfolio, [Opened(escalation.opened_at, escalation)], at=at)


def cases_of(home: "Home", portfolio: str = "") -> list[Case]:
    """Return the cases of a portfolio, or of all: those without an answer first, by their ends, then the others, the newest first."""
    with home.book.reading() as connection:
        names = [portfolio] if portfolio else portfolios_in(connection)
        found = [case for name in names for case in cases_in(connection, name).values()]
    waiting = sorted((case for case in found if case.answered is None), key=lambda case: (case.escalation.due_at, _name(case)))
    answered = sorted((case for case in found if case.answered is not None), key=lambda case: (-case.escalation.opened_at, _name(case)))
    return [*waiting, *answered]


def find_case(home: "Home", escalation_id: str, portfolio: str = "") -> Case:
    """Return one case. Raises `WrongUse` where there is none of this id, or several portfolios have one."""
    found = [case for case in cases_of(home, portfolio) if case.escalation.escalation_id == escalation_id]
    if not found:
        raise WrongUse(f"there is no escalation {escalation_id!r}; `portfolio escalations list` names them")
    if len(found) > 1:
        names = ", ".join(case.escalation.portfolio for case in found)
        raise WrongUse(f"escalation {escalation_id!r} is there in {names}; name the portfolio (--portfolio)")
    return found[0]


def answer_escalation(
    home: "Home",
    escalation_id: str,
    answer: Answer,
    *,
    by: str,
    reason: str,
    conditions: Sequence[str] = (),
    changes: Sequence[Change] = (),
    portfolio: str = "",
) -> Case:
    """Record a person's answer; the same answer again changes nothing.

    Raises:
        WrongUse: there is no such escalation, it has another answer, a name or a reason is missing, or an exception is asked for that the
            profile does not allow.
    """
    from portfolio_platform.book.read_models import require_name

    case = find_case(home, escalation_id, portfolio)
    name, at = require_name(by), home.clock.now()
    said = tuple(text.strip() for text in conditions)
    if not all(text and text.isprintable() and len(text) <= 1000 for text in said):
        raise WrongUse("a condition is printable text of at most 1000 characters")
    given = Answered(nanoseconds(at), escalation_id, answer, name, reason.strip(), said, tuple(changes))
    whose = case.escalation.portfolio
    with home.book.writing() as connection:
        take_log_lock(connection)
        cases = cases_in(connection, whose)
        over = [one for one in rules.expired(cases, given.at) if one.escalation_id == escalation_id]
        cases = rules.replay(over, cases)
        found = rules.answer(cases, given)
        if found and answer == "approve":
            _may_be_approved(connection, case.escalation)
        record(connection, whose, [*over, *found], at=at)
        return rules.replay(found, cases)[escalation_id]


def expire_escalations(home: "Home") -> list[Case]:
    """Record every escalation whose time to an answer is over, once; return those that were recorded now, the longest over first."""
    at = home.clock.now()
    with home.book.reading() as connection:
        names = [name for name in portfolios_in(connection) if rules.expired(cases_in(connection, name), nanoseconds(at))]
    found: list[Case] = []
    for name in names:
        with home.book.writing() as connection:
            take_log_lock(connection)
            cases = cases_in(connection, name)
            events = rules.expired(cases, nanoseconds(at))
            record(connection, name, events, at=at)
            now = rules.replay(events, cases)
            found += [now[one.escalation_id] for one in events]
    return sorted(found, key=lambda case: (case.escalation.due_at, case.escalation.portfolio, _name(case)))


def _may_be_approved(connection: Connection, escalation: Escalation) -> None:
    """Refuse an exception that the profile does not allow, before somebody relies on it."""
    if escalation.trigger != Trigger.CONSTRAINT_VIOLATION or not escalation.subject:
        return
    barred = not_to_be_excepted(log.papers_of(connection, escalation.subject))
    if barred:
        raise WrongUse(
            f"no exception can be approved for {escalation.escalation_id}: {'; '.join(barred)}; "
            "have the plan modified (--answer halt or defer)"
        )


def _name(case: Case) -> str:
    return case.escalation.escalation_id
