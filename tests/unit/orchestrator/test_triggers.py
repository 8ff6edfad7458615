"""Every escalation trigger of both specifications, raised by what they say raises it; and that silence grants nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from portfolio_platform.broker.terms import BrokerTerms, Injection
from portfolio_platform.desk.exceptions import asks_for_review, violations_of
from portfolio_platform.orchestrator.escalation import SOURCES, Trigger
from portfolio_platform.orchestrator.loop_model import Alert, Overdue
from portfolio_platform.orchestrator.papers import papers_of
from tests.unit.orchestrator.examples import AT, asked, sample_inputs, to
from tests.unit.orchestrator.loop_examples import MINUTE, NINE, SECTORS, TERMS, Desk, figures, trade

HOUR, DAY = 60 * MINUTE, 1_440 * MINUTE


def refused() -> Desk:
    return Desk(trade("t1", 10), costs=BrokerTerms(injections=(Injection("reject", symbol="T1", reason="restricted"),)))


def unanswered() -> Desk:
    desk = Desk(trade("t1", 10), costs=BrokerTerms(injections=(Injection("unanswered", client_order_id="X1.t1.1"),)))
    desk.tick(15)
    return desk


def delayed() -> Desk:
    desk = Desk(trade("t1", 10), figures=figures(at=NINE - 3 * HOUR))
    desk.tick(15.1)
    return desk


def looked_ahead() -> Desk:
    desk = Desk(trade("t1", 160), trade("t2", 30))
    desk.answer("approve")
    return desk.minutes(1)


RAISED: dict[Trigger, tuple[Callable[[], Desk], str]] = {
    Trigger.PORTFOLIO_TOO_STALE: (lambda: Desk(trade("t1", 10), figures=figures(at=NINE - 5 * DAY)), "freshness"),
    Trigger.REFRESH_DELAYED: (delayed, "refresh_delay"),
    Trigger.SECTOR_HEADROOM_CHANGED: (
        lambda: Desk(trade("t1", 10), approved=(("Energy", 180_000), SECTORS[1])),
        "sector_shift",
    ),
    Trigger.BUFFER_WOULD_BREACH: (lambda: Desk(trade("t1", 190)), "buffer_after_all_pending"),
    Trigger.NEXT_TRADE_WOULD_BREACH: (looked_ahead, "buffer"),
    Trigger.BUFFER_BREACH: (lambda: Desk(trade("t1", 120), trade("t2", 20)).minutes(1, price=160), "buffer"),
    Trigger.EXECUTION_FAILED: (refused, "execution"),
    Trigger.NO_FILL: (unanswered, "no_fill"),
    Trigger.SECTOR_CAP_BREACH: (lambda: Desk(trade("t1", 51, "Technology")).minutes(1), "sector_cap"),
}


@pytest.mark.parametrize("trigger", list(RAISED), ids=str)
def test_every_trigger_is_raised_by_what_the_specification_says(trigger: Trigger) -> None:
    make, rule = RAISED[trigger]
    desk = make()
    assert desk.triggers.count(trigger.value) == 1
    raised = next(one for one in desk.state.escalations if one.trigger == trigger.value)
    assert [one.rule for one in raised.violations] == [rule] and raised.violations[0].text
    assert (raised.routing, raised.sla_minutes, raised.request) == ("Master-Architect", 30, SOURCES[trigger].request)
    assert raised.waits == (raised.escalation_id in desk.state.waiting)


@pytest.mark.parametrize("trigger", [trigger for trigger in RAISED if SOURCES[trigger].waits], ids=str)
def test_nobody_answering_grants_nothing_and_alerts(trigger: Trigger) -> None:
    desk = RAISED[trigger][0]()
    placed = [one.attempt for one in desk.state.trades]
    name = next(one.escalation_id for one in desk.state.escalations if one.trigger == trigger.value)
    assert name in desk.state.waiting
    told = desk.give(Overdue(desk.now + 30 * MINUTE, name))
    assert [type(one) for one in told].count(Alert) == 1
    desk.tick(120)
    assert [one.attempt for one in desk.state.trades] == placed and name in desk.state.waiting


def test_a_violated_constraint_of_a_plan_asks_for_an_exception_with_its_numbers() -> None:
    """v8.1.1 STEP 3A, the one trigger that the loop does not have."""
    papers = papers_of(sample_inputs(), asked(to("Materials", 42, "reduce")))
    assert papers.plan.verdict == "BLOCKED" and asks_for_review(papers)
    (found,) = violations_of(papers)
    assert (found.rule, found.scope, found.limit, found.found, found.unit) == ("sector_cap", "Materials", 400_000, 420_000, "ppm")
    old = replace(sample_inputs(), at=AT + timedelta(days=9))
    assert not asks_for_review(papers_of(old, asked(to("Materials", 42, "reduce")))), "old inputs are brought anew, and excepted by nobody"


def test_together_they_are_all() -> None:
    assert {*RAISED, Trigger.CONSTRAINT_VIOLATION} == set(Trigger)
    assert TERMS.sla_minutes == 30
