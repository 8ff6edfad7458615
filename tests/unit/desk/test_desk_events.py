"""The events of a plan keep what they say through the log, and their fold is a function of them alone."""

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portfolio_platform.desk.events import (
    NAMES,
    Conflict,
    DeskEvent,
    Other,
    PlanApproved,
    PlanClosed,
    PlanMade,
    PlanRefused,
    PlanSuperseded,
    decode_event,
    encode_event,
    stream_of,
)
from portfolio_platform.desk.model import PlanState, in_force, replay

CONFLICT = Conflict("rejected_heat", "NVDA", "B01", 3, 2**60, 5, "B01 buys NVDA")
MADE = PlanMade(
    at=100,
    execution_id="p-1",
    kind="rebalancing",
    topic="rebalancing",
    verdict="SAFE",
    plan_hash="aa",
    portfolio_hash="bb",
    profile="v8.1.1",
    profile_hash="cc",
    source="doc.md",
    source_hash="dd",
    trades=2,
    expires_at=200,
    papers_hash="ee",
    conflicts=(CONFLICT,),
    sources=(("snapshot", "ledger"),),
)
APPROVED = PlanApproved(110, "p-1", "aa", "bb", "ann", "read it", ("keep calm",), 200)
EVENTS: tuple[DeskEvent, ...] = (
    MADE,
    PlanRefused(105, "p-1", "aa", "zz", "ann", "moved", "cash differs"),
    APPROVED,
    PlanSuperseded(120, "p-1", "p-2", "newer"),
    PlanClosed(130, "p-1", "executed", "ann", "all filled"),
)


class Reported(NamedTuple):
    """An event of another part of the desk."""

    at: int
    execution_id: str
    fills: tuple[str, ...] = ()


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_from_the_log_as_it_was(event: DeskEvent) -> None:
    name, data = encode_event(event)
    assert decode_event(name, data) == event


def test_a_type_of_another_part_is_read_where_its_names_are_given_and_named_where_not() -> None:
    names = {**NAMES, "execution_reported": Reported}
    event = Reported(115, "p-1", ("f1",))
    name, data = encode_event(event, names)
    assert decode_event(name, data, names) == event
    assert decode_event(name, data) == Other(115, "p-1", "execution_reported")
    with pytest.raises(KeyError, match="Reported"):
        encode_event(event)


def test_a_field_that_an_older_log_lacks_has_its_default_and_one_of_a_newer_log_is_left_out() -> None:
    name, data = encode_event(MADE)
    older = {key: value for key, value in data.items() if key not in ("sources", "instead_of")}
    assert decode_event(name, older) == MADE._replace(sources=())
    assert decode_event(name, {**data, "colour": "blue"}) == MADE
    with pytest.raises(TypeError):
        decode_event(name, {"at": 1, "execution_id": "x"})


def test_names_with_slashes_stay_their_own_in_streams() -> None:
    assert stream_of("a/b") == "orchestration/a%2Fb"
    assert stream_of("a", "b/c") == "orchestration/a/b%2Fc" != stream_of("a/b", "c")


def folded(*events: DeskEvent) -> PlanState:
    return replay(events)["p-1"]


def test_a_plan_is_open_until_it_expires_approved_until_it_expires_and_executing_until_it_is_closed() -> None:
    assert [folded(MADE).status(now) for now in (100, 199, 200)] == ["open", "open", "expired"]
    assert folded(MADE._replace(verdict="BLOCKED")).status(150) == "blocked"
    assert [folded(MADE, APPROVED).status(now) for now in (150, 200)] == ["approved", "expired"]
    begun = folded(MADE, APPROVED, Reported(150, "p-1"))
    assert (begun.status(10**9), begun.begun_at) == ("executing", 150)
    assert folded(MADE, APPROVED, Reported(150, "p-1"), PlanClosed(1, "p-1", "executed", "", "")).status(10**9) == "executed"


def test_only_plans_that_may_be_under_way_are_in_force() -> None:
    other = MADE._replace(execution_id="p-2", at=50)
    plans = replay([MADE, other, APPROVED, APPROVED._replace(execution_id="p-2")])
    assert [plan.execution_id for plan in in_force(plans, 150)] == ["p-2", "p-1"]
    assert in_force(plans, 200) == []
    closed = replay([PlanClosed(120, "p-2", "withdrawn", "", "")], plans)
    assert [plan.execution_id for plan in in_force(closed, 150)] == ["p-1"]


def test_what_comes_too_late_changes_nothing_and_a_refusal_is_kept() -> None:
    late = folded(MADE, APPROVED, PlanSuperseded(120, "p-1", "p-2", ""), APPROVED._replace(by="bob"))
    assert late.approved == APPROVED and late.superseded is None
    gone = folded(MADE, PlanSuperseded(120, "p-1", "p-2", ""), APPROVED)
    assert gone.approved is None and gone.status(150) == "superseded"
    assert len(folded(*EVENTS[:2], EVENTS[1]).refusals) == 2
    with pytest.raises(KeyError):
        replay([APPROVED])


@settings(max_examples=50)
@given(st.lists(st.sampled_from(EVENTS), max_size=12), st.integers(1, 13))
def test_folding_in_two_stretches_is_folding_at_once(events: list[DeskEvent], cut: int) -> None:
    whole = [MADE, *events]
    assert replay(whole[cut:], replay(whole[:cut])) == replay(whole)
