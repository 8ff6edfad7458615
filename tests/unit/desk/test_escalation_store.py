"""Escalations in the book: asked once, answered by a person, over on the clock; each of it once, whoever asks how often."""

from collections.abc import Callable

import pytest

from portfolio_platform.book.events import read
from portfolio_platform.days import nanoseconds
from portfolio_platform.desk.escalations import answer_escalation, cases_of, expire_escalations, find_case, open_escalation
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.orchestrator.escalation import SOURCES, Change, Trigger, escalated
from tests.unit.desk.desk_examples import at, blocked

pytestmark = pytest.mark.usefixtures("plain_files")


def asked(home: Home, name: str = "e1", trigger: Trigger = Trigger.NO_FILL, portfolio: str = "p") -> None:
    now = home.clock.now()
    with home.book.writing() as connection:
        open_escalation(connection, escalated(trigger, name, nanoseconds(now), portfolio=portfolio), at=now)


def count(home: Home) -> int:
    with home.book.reading() as connection:
        return sum(event.stream.startswith("escalations/") for event in read(connection))


@pytest.mark.parametrize("trigger", list(Trigger))
def test_every_trigger_is_opened_answered_and_replayed_with_its_own_request(desk: Home, trigger: Trigger) -> None:
    asked(desk, trigger=trigger)
    case = answer_escalation(desk, "e1", "approve", by="arch", reason="go on", conditions=["watch it"], changes=[Change("t1", drop=True)])
    assert case.status == "approved" and case.escalation.request == SOURCES[trigger].request
    assert find_case(desk, "e1") == case and cases_of(desk) == [case]


def test_an_escalation_is_opened_once_by_its_id(desk: Home) -> None:
    asked(desk)
    asked(at(desk, 5))
    assert count(desk) == 1 and find_case(desk, "e1").escalation.opened_at == nanoseconds(desk.clock.now())


def test_the_time_to_an_answer_ends_once_and_a_late_answer_is_marked_so(desk: Home) -> None:
    asked(desk)
    assert expire_escalations(at(desk, 29.9)) == [] and count(desk) == 1
    (over,) = expire_escalations(at(desk, 30))
    assert over.status == "expired" and over.expired_at == over.escalation.due_at
    assert expire_escalations(at(desk, 31)) == [] and count(desk) == 2
    late = answer_escalation(at(desk, 40), "e1", "halt", by="arch", reason="too late")
    assert late.status == "halted" and late.late and late.expired_at


def test_an_answer_after_the_end_records_the_end_first_so_nothing_hides_it(desk: Home) -> None:
    asked(desk)
    late = answer_escalation(at(desk, 40), "e1", "defer", by="arch", reason="tomorrow")
    assert late.late and late.expired_at == late.escalation.due_at and count(desk) == 3
    assert expire_escalations(at(desk, 50)) == []


def test_the_same_answer_again_changes_nothing_and_another_is_refused(desk: Home) -> None:
    asked(desk)
    first = answer_escalation(desk, "e1", "approve", by="arch", reason="go on")
    assert answer_escalation(at(desk, 1), "e1", "approve", by="arch", reason="go on") == first
    with pytest.raises(WrongUse, match="was approved by arch already"):
        answer_escalation(at(desk, 1), "e1", "halt", by="arch", reason="go on")
    assert count(desk) == 2


WRONG: list[tuple[Callable[[Home], object], str]] = [
    (lambda home: answer_escalation(home, "nope", "halt", by="a", reason="b"), "no escalation 'nope'"),
    (lambda home: answer_escalation(home, "e1", "halt", by="", reason="b"), "name"),
    (lambda home: answer_escalation(home, "e1", "halt", by="a", reason=" "), "needs a reason"),
    (lambda home: answer_escalation(home, "e1", "halt", by="a", reason="b", conditions=["x"]), "conditions go with an approval"),
    (lambda home: answer_escalation(home, "e1", "approve", by="a", reason="b", conditions=["\x1b[2J"]), "printable"),
    (lambda home: answer_escalation(home, "e1", "approve", by="a", reason="b", conditions=[" "]), "printable"),
    (lambda home: answer_escalation(home, "e1", "perhaps", by="a", reason="b"), "is no answer"),  # type: ignore[arg-type]
    (lambda home: answer_escalation(at(home, -5), "e1", "halt", by="a", reason="b"), "correct the clock"),
]


@pytest.mark.parametrize(("do", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_cannot_be_an_answer_is_refused_and_nothing_is_recorded(desk: Home, do: Callable[[Home], object], said: str) -> None:
    asked(desk)
    with pytest.raises(WrongUse, match=said):
        do(desk)
    assert count(desk) == 1


def test_one_id_in_two_portfolios_wants_the_portfolio(desk: Home) -> None:
    asked(desk)
    asked(desk, portfolio="q/r")
    with pytest.raises(WrongUse, match="is there in p, q/r"):
        find_case(desk, "e1")
    answer_escalation(desk, "e1", "halt", by="a", reason="b", portfolio="q/r")
    assert find_case(desk, "e1", "p").status == "open"
    assert [case.escalation.portfolio for case in cases_of(desk)] == ["p", "q/r"], "what waits comes first"


def test_an_expired_escalation_of_a_plan_can_still_be_approved_while_the_plan_holds(desk: Home) -> None:
    made = blocked(desk)
    name = made.state.made.escalation_id
    assert [case.escalation.escalation_id for case in expire_escalations(at(desk, 45))] == [name]
    assert answer_escalation(at(desk, 50), name, "approve", by="arch", reason="seen late").status == "approved"
