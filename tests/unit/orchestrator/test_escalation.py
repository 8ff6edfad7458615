"""The life of an escalation: opened, answered by somebody with a name, or expired; every trigger of both specifications."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.canonical import canonical_bytes
from portfolio_platform.errors import WrongUse
from portfolio_platform.orchestrator.escalation import (
    MINUTE,
    NAMES,
    NO_CASES,
    SOURCES,
    Answered,
    Change,
    Expired,
    Opened,
    Trigger,
    Violation,
    answer,
    apply,
    decode_event,
    encode_event,
    escalated,
    expired,
    key_of,
    replay,
    stream_of,
    waiting,
)

AT = 1_000 * MINUTE
FOUND = Violation("sector_cap", "Technology", 400_000, 470_000, "ppm", "Technology 47 % > 40 %")
MADE = escalated(
    Trigger.CONSTRAINT_VIOLATION,
    "E1",
    AT,
    portfolio="main",
    profile="v8.1.1",
    violations=(FOUND,),
    dry_run="# dry run",
    plan="{}",
    plan_hash="ab",
)
OPEN = apply(NO_CASES, Opened(AT, MADE))


def said(answer_: str = "approve", by: str = "alice", at: int = AT + 5 * MINUTE, reason: str = "agreed", **more) -> Answered:
    return Answered(at, "E1", answer_, by, reason, **more)  # type: ignore[arg-type]


def test_step_3a_an_escalation_carries_violations_dry_run_plan_request_routing_and_a_clock_of_30_minutes():
    assert (MADE.trigger, MADE.violations, MADE.dry_run, MADE.plan) == ("constraint_violation", (FOUND,), "# dry run", "{}")
    assert (MADE.request, MADE.routing, MADE.sla_minutes) == ("Approve exception to sector cap OR modify plan", "Master-Architect", 30)
    assert MADE.due_at == AT + 30 * MINUTE and OPEN["E1"].remaining(AT + 10 * MINUTE) == 20 * MINUTE


def test_every_trigger_of_both_specifications_has_its_section_and_its_request():
    assert set(SOURCES) == set(Trigger) and all(one.section and one.request for one in SOURCES.values())
    sections = " ".join(one.section for one in SOURCES.values())
    assert all(f"Escalation #{number}" in sections for number in range(1, 7))
    assert all(place in sections for place in ("STEP 2C", "STEP 3C", "STEP 4", "STEP 6", "v8.1.1 STEP 3A"))


@pytest.mark.parametrize("trigger", list(Trigger))
def test_each_trigger_makes_an_escalation_that_the_log_gives_back_as_it_was(trigger):
    made = escalated(trigger, f"E-{trigger}", AT, subject="T1", violations=(FOUND,))
    assert made.request == SOURCES[trigger].request and made.waits == SOURCES[trigger].waits
    name, data = encode_event(Opened(AT, made))
    assert decode_event(name, data) == Opened(AT, made)


@pytest.mark.parametrize(("answered", "status"), [("approve", "approved"), ("defer", "deferred"), ("halt", "halted")])
def test_an_answer_ends_it_with_the_name_of_who_gave_it(answered, status):
    (event,) = answer(OPEN, said(answered))
    case = apply(OPEN, event)["E1"]
    assert (case.status, case.answered.by, case.late, case.remaining(AT)) == (status, "alice", False, 0)


def test_an_approval_may_have_conditions_and_changes_of_trades():
    given_answer = said(conditions=("sell Materials first",), changes=(Change("T1", drop=True), Change("T2", 10**18, "IRA")))
    case = apply(OPEN, answer(OPEN, given_answer)[0])["E1"]
    assert (case.status, case.answered.conditions, case.answered.changes[1].account) == ("approved", ("sell Materials first",), "IRA")


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (said(by=" "), "needs the name"),
        (said(reason=""), "needs a reason"),
        (said("maybe"), "approve, defer or halt"),
        (said("halt", conditions=("x",)), "conditions go with an approval"),
        (said(at=AT - 1), "correct the clock"),
        (said()._replace(escalation_id="E9"), "no escalation 'E9'"),
    ],
)
def test_an_answer_that_cannot_be_is_refused_with_the_way_out(wrong, text):
    with pytest.raises(WrongUse, match=text):
        answer(OPEN, wrong)


def test_the_same_answer_again_is_nothing_new_and_another_one_is_refused():
    answered = apply(OPEN, said())
    assert answer(answered, said(at=AT + 9 * MINUTE)) == ()
    with pytest.raises(WrongUse, match="was approved by alice already"):
        answer(answered, said("halt", "bob"))
    assert apply(answered, said("halt", "bob")) is answered


def test_it_expires_on_the_clock_at_its_own_end_and_only_once():
    assert expired(OPEN, MADE.due_at - 1) == ()
    (event,) = expired(OPEN, MADE.due_at)
    assert expired(OPEN, MADE.due_at + 7 * MINUTE) == (event,)
    assert event == Expired(MADE.due_at, "E1")
    over = apply(OPEN, event)
    assert (over["E1"].status, over["E1"].expired_at) == ("expired", MADE.due_at)
    assert expired(over, MADE.due_at + 8 * MINUTE) == () and apply(over, event) is over
    assert [one.escalation.escalation_id for one in waiting(over)] == ["E1"]


def test_an_expired_one_grants_nothing_and_takes_a_late_answer_that_is_marked_so():
    over = apply(OPEN, Expired(MADE.due_at, "E1"))
    case = apply(over, answer(over, said(at=MADE.due_at + MINUTE))[0])["E1"]
    assert (case.status, case.late, case.expired_at) == ("approved", True, MADE.due_at)


def test_one_that_is_answered_in_time_never_expires():
    answered = apply(OPEN, said())
    assert expired(answered, 10 * MADE.due_at) == () and apply(answered, Expired(MADE.due_at, "E1")) is answered


def test_an_event_of_an_unknown_escalation_is_an_error():
    with pytest.raises(KeyError):
        apply(NO_CASES, Expired(AT, "E1"))


def test_events_have_one_identity_each_and_names_with_a_slash_stay_their_own():
    events = (Opened(AT, MADE), said(), Expired(MADE.due_at, "E1"))
    assert len({key_of("main", one) for one in events}) == 3 and stream_of("a/b") == "escalations/a%2Fb"
    assert [encode_event(one)[0] for one in events] == list(NAMES)
    for one in events:
        name, data = encode_event(one)
        canonical_bytes(data, floats=False)
        assert decode_event(name, data) == one


@given(st.lists(st.tuples(st.sampled_from(["approve", "defer", "halt", "expire"]), st.integers(0, 60)), max_size=6), st.data())
def test_the_fold_gives_the_same_with_events_that_come_twice_and_the_first_answer_stands(told, data):
    events = [Opened(AT, MADE)]
    for what, minutes in told:
        at = AT + minutes * MINUTE
        events.append(Expired(at, "E1") if what == "expire" else said(what, at=at))  # type: ignore[arg-type]
    twice = [one for event in events for one in [event] * data.draw(st.integers(1, 2))]
    assert replay(twice) == replay(events)
    for before, after in pairwise(replay(events[:end])["E1"] for end in range(1, len(events) + 1)):
        assert before.answered is None or after == before
