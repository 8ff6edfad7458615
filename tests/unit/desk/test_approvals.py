"""Approving a plan: what it binds, everything that refuses it, and the plan that is made in its place."""

import shutil
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from portfolio_platform.book.approvals import SignedApproval, listed
from portfolio_platform.control.operators import add_operator
from portfolio_platform.control.signing import read_key
from portfolio_platform.days import nanoseconds
from portfolio_platform.desk.approvals import Outcome, Wanted, approve, sign_plan, withdraw
from portfolio_platform.desk.escalations import answer_escalation
from portfolio_platform.desk.events import PlanApproved
from portfolio_platform.desk.prepare import Prepared, prepare
from portfolio_platform.desk.sources import Asked, folder_of
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from tests.unit.desk.desk_examples import OVER_THE_CAP, SAMPLE, at, blocked, changed, document, plan_of, under_control

pytestmark = pytest.mark.usefixtures("plain_files")


def accept(home: Home, made: Prepared, **changes: object) -> Outcome:
    wanted = {"by": "ann", "reason": "read it", "accept_conditions": True, **changes}
    return approve(home, Wanted(made.execution_id, **wanted))  # type: ignore[arg-type]


def refused(outcome: Outcome) -> str:
    assert outcome.refused is not None
    return outcome.refused.code


def more_cash(home: Home) -> Path:
    return changed(home, "portfolio.json", lambda content: content["accounts"][0].update(cash="20001.00"))


def test_an_approval_binds_plan_and_portfolio_and_every_condition_until_the_plan_expires(desk: Home) -> None:
    made = prepare(desk, SAMPLE)
    outcome = accept(at(desk, 30), made)
    assert outcome.refused is None
    kept = plan_of(desk, made.execution_id)
    assert kept.approved == PlanApproved(
        at=nanoseconds(at(desk, 30).clock.now()),
        execution_id=made.execution_id,
        plan_hash=made.papers.plan.hash,
        portfolio_hash=made.papers.snapshot.state_hash,
        by="ann",
        reason="read it",
        conditions=made.papers.plan.conditions,
        expires_at=nanoseconds(made.papers.plan.expires_at),
    )
    assert len(kept.approved.conditions) == 3 and kept == outcome.state


def test_the_same_approval_again_changes_nothing_and_another_one_is_refused(desk: Home) -> None:
    made = prepare(desk, SAMPLE)
    accept(desk, made)
    assert accept(desk, made).repeated
    assert refused(accept(desk, made, by="bob")) == "approved"
    kept = plan_of(desk, made.execution_id)
    assert kept.approved is not None and kept.approved.by == "ann" and len(kept.refusals) == 1


def test_conditions_have_to_be_accepted_and_the_refusal_names_them(desk: Home) -> None:
    made = prepare(desk, SAMPLE)
    outcome = accept(desk, made, accept_conditions=False)
    assert refused(outcome) == "conditions" and "confirm that no payment is due" in outcome.refused.reason  # type: ignore[union-attr]
    assert plan_of(desk, made.execution_id).refusals == (outcome.refused,)
    assert accept(desk, made).refused is None, "a refusal is no end"


def test_a_portfolio_that_moved_refuses_the_plan_and_a_new_one_is_made_at_once(desk: Home) -> None:
    made = prepare(desk, SAMPLE)
    more_cash(desk)
    outcome = accept(at(desk, 10), made)
    assert refused(outcome) == "moved" and outcome.refused.portfolio_hash != made.papers.snapshot.state_hash  # type: ignore[union-attr]
    newer = outcome.regenerated
    assert newer is not None and newer.papers.snapshot.cash_minor == made.papers.snapshot.cash_minor + 100
    assert newer.papers.document == made.papers.document and newer.folder.is_dir()
    assert newer.state.made.instead_of == made.execution_id
    assert plan_of(desk, made.execution_id).status(0) == "superseded"
    assert accept(at(desk, 11), newer).refused is None


def test_a_plan_whose_time_is_over_is_refused_and_made_again(desk: Home) -> None:
    made = prepare(desk, SAMPLE)
    outcome = accept(at(desk, 120), made)
    assert refused(outcome) == "expired" and outcome.regenerated is not None
    assert outcome.regenerated.papers.plan.made_at == at(desk, 120).clock.now()
    fresh = prepare(at(desk, 121), Asked("sample", recommendation=folder_of(desk) / "stock_recommendation.json"))
    assert accept(at(desk, 240.99), fresh).refused is None or fresh.papers.plan.verdict == "BLOCKED"


def test_a_replaced_a_withdrawn_and_a_wrongly_read_plan_are_refused(desk: Home) -> None:
    first = prepare(desk, SAMPLE)
    second = prepare(at(desk, 1), SAMPLE)
    assert refused(accept(at(desk, 2), first)) == "superseded"
    assert refused(accept(at(desk, 2), second, plan_hash="0123456789")) == "other_hash"
    withdraw(at(desk, 3), second.execution_id, by="ann", reason="changed my mind")
    assert refused(accept(at(desk, 4), second)) == "closed"


def test_while_one_plan_is_under_way_no_other_is_approved_or_released(desk: Home) -> None:
    stock = prepare(desk, Asked("sample", recommendation=folder_of(desk) / "stock_recommendation.json", snapshot=_with_cash(desk)))
    other = prepare(
        desk, Asked("sample", document=document(desk, "## ACTION PLAN\n- Reduce Materials to 27%\n"), snapshot=_with_cash(desk))
    )
    assert accept(desk, stock).refused is None
    assert refused(accept(desk, other)) == "pending"
    later = prepare(at(desk, 1), SAMPLE)
    assert later.papers.plan.verdict == "BLOCKED" and "approved; report or withdraw it" in later.papers.plan.reasons[0]
    withdraw(at(desk, 2), stock.execution_id, by="ann", reason="not today")
    assert accept(at(desk, 3), other).refused is None, "what waits for its inputs took nobody's place"


def _with_cash(home: Home) -> Path:
    return folder_of(home) / "portfolio_with_cash.json"


def test_a_name_that_was_restricted_since_refuses_the_plan(desk: Home) -> None:
    made = prepare(desk, SAMPLE)
    changed(desk, "restriction_list.json", lambda content: content["entries"].append({"ticker": "NVDA", "reason": "earnings"}))
    outcome = accept(desk, made)
    assert refused(outcome) == "restricted" and "NVDA (earnings)" in outcome.refused.reason  # type: ignore[union-attr]


def test_the_envelope_is_looked_at_again(desk: Home) -> None:
    made = prepare(desk, SAMPLE)
    under_control(desk, positions=2)
    outcome = accept(at(desk, 1), made)
    assert refused(outcome) == "envelope" and "rejected_position_count" in outcome.refused.reason  # type: ignore[union-attr]


def test_a_file_of_the_portfolio_that_is_gone_is_asked_for(desk: Home, tmp_path: Path) -> None:
    moved = shutil.copy(folder_of(desk) / "portfolio.json", tmp_path / "mine.json")
    made = prepare(desk, Asked(snapshot=Path(moved)))
    Path(moved).unlink()
    with pytest.raises(WrongUse, match=r"mine\.json, which is gone; give the portfolio as it is now"):
        accept(desk, made)
    assert accept(desk, made, snapshot=folder_of(desk) / "portfolio.json").refused is None


@pytest.mark.parametrize(("by", "reason", "said"), [("", "x", "name"), ("ann", "  ", "reason"), ("an\x1bn", "x", "name")])
def test_an_approval_wants_a_name_and_a_reason(desk: Home, by: str, reason: str, said: str) -> None:
    made = prepare(desk, SAMPLE)
    with pytest.raises(WrongUse, match=said):
        accept(desk, made, by=by, reason=reason)
    with pytest.raises(WrongUse):
        withdraw(desk, made.execution_id, by=by, reason=reason)
    assert plan_of(desk, made.execution_id).stage == "made"


def test_a_blocked_plan_is_refused_until_the_exception_is_approved_and_its_conditions_are_accepted(desk: Home) -> None:
    made = blocked(desk)
    case = made.state.made.escalation_id
    assert refused(accept(desk, made)) == "blocked"
    answer_escalation(desk, case, "approve", by="arch", reason="staged sale", conditions=["sell the rest by March"])
    outcome = accept(desk, made, accept_conditions=False)
    assert refused(outcome) == "conditions" and "sell the rest by March" in outcome.refused.reason  # type: ignore[union-attr]
    approved = accept(desk, made).state.approved
    assert approved is not None and approved.escalation_id == case and approved.conditions[-1] == "sell the rest by March"


@pytest.mark.parametrize("answer", ["defer", "halt"])
def test_another_answer_lets_no_blocked_plan_through(desk: Home, answer: str) -> None:
    made = blocked(desk)
    answer_escalation(desk, made.state.made.escalation_id, answer, by="arch", reason="no")  # type: ignore[arg-type]
    outcome = accept(desk, made)
    assert refused(outcome) == "blocked" and f"arch answered {made.state.made.escalation_id}" in outcome.refused.reason  # type: ignore[union-attr]


def test_an_exception_is_of_one_plan_and_ends_with_it(desk: Home) -> None:
    made = blocked(desk)
    answer_escalation(desk, made.state.made.escalation_id, "approve", by="arch", reason="staged sale")
    assert refused(accept(at(desk, 120), made)) == "expired"
    again = prepare(at(desk, 121), Asked("sample", document=document(desk, OVER_THE_CAP)))
    assert refused(accept(at(desk, 122), again)) == "blocked"


@pytest.mark.parametrize(("shares", "target", "said"), [("500", 46, "cash_buffer"), ("800", 30, "position_size")])
def test_no_exception_can_be_approved_beyond_those_of_the_profile(desk: Home, shares: str, target: int, said: str) -> None:
    def more(content: Any) -> None:
        content["accounts"][0]["holdings"][4]["lots"][0]["quantity"] = shares  # JPM at 240: 12 % with 500, 18 % with 800

    changed(desk, "portfolio.json", more)
    made = prepare(desk, Asked("sample", document=document(desk, f"## ACTION PLAN\n- Reduce Materials to {target}%\n")))
    assert made.papers.plan.verdict == "BLOCKED"
    with pytest.raises(WrongUse, match=f"no exception can be approved.*{said}"):
        answer_escalation(desk, made.state.made.escalation_id, "approve", by="arch", reason="go")
    assert refused(accept(desk, made)) == "blocked"
    assert answer_escalation(desk, made.state.made.escalation_id, "halt", by="arch", reason="modify it").status == "halted"


def test_a_restriction_list_that_is_gone_lets_nothing_through(desk: Home) -> None:
    made = prepare(desk, SAMPLE)
    (folder_of(desk) / "restriction_list.json").unlink()
    with pytest.raises(WrongUse, match=r"orchestrator/restriction_list\.json, is gone; put it back"):
        accept(desk, made)
    assert plan_of(desk, made.execution_id).approved is None


def test_a_clock_behind_the_plan_approves_nothing_and_makes_no_other_plan(desk: Home) -> None:
    made = prepare(desk, SAMPLE)
    outcome = accept(at(desk, -1), made)
    assert refused(outcome) == "clock" and "ahead of the clock" in outcome.refused.reason  # type: ignore[union-attr]
    assert outcome.regenerated is None and accept(desk, made).refused is None


def test_a_restricted_name_is_never_excepted(desk: Home) -> None:
    restrict = {"ticker": "JPM", "reason": "insider"}
    changed(desk, "restriction_list.json", lambda content: content["entries"].append(restrict))
    files = folder_of(desk)
    made = prepare(desk, Asked(profile="v8.0.3", queue=files / "approved_queue.json", snapshot=_with_cash(desk)))
    assert made.papers.plan.verdict == "BLOCKED" and made.state.made.escalation_id
    with pytest.raises(WrongUse, match="no exception can be approved"):
        answer_escalation(desk, made.state.made.escalation_id, "approve", by="arch", reason="go")


def test_approvals_at_once_leave_one_and_the_others_refused(desk: Home) -> None:
    made = prepare(desk, SAMPLE)
    outcomes: list[Outcome] = []

    def one(name: str) -> None:
        home = Home(desk.root, as_of=desk.as_of)
        outcomes.append(accept(home, made, by=name))
        home.book.close()

    threads = [threading.Thread(target=one, args=(name,)) for name in ("ann", "bob", "cy", "di")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome.refused is None for outcome in outcomes) == [False, False, False, True]
    kept = plan_of(desk, made.execution_id)
    winner = next(outcome for outcome in outcomes if outcome.refused is None)
    assert kept.approved == winner.state.approved and len(kept.refusals) == 3


def test_a_live_portfolio_asks_for_the_signature_of_an_operator_on_plan_portfolio_and_conditions(desk: Home, tmp_path: Path) -> None:
    made = prepare(desk, SAMPLE)
    under_control(desk, live=True)
    assert refused(accept(desk, made)) == "unsigned"
    add_operator(desk, "ann", key_out=tmp_path / "ann.pem")
    signed = sign_plan(desk, made.execution_id, read_key(tmp_path / "ann.pem"), "read it")
    wanted = Wanted(made.execution_id, "ann", "read it", accept_conditions=True)
    forged = SignedApproval(signed.content, bytes(64))
    assert refused(approve(desk, wanted, signed=forged)) == "forged"
    other = prepare(at(desk, 1), Asked("sample", recommendation=folder_of(desk) / "stock_recommendation.json", snapshot=_with_cash(desk)))
    elsewhere = Wanted(other.execution_id, "ann", "read it", accept_conditions=True)
    assert refused(approve(at(desk, 1), elsewhere, signed=signed)) == "other_subject"
    again = sign_plan(at(desk, 2), made.execution_id, read_key(tmp_path / "ann.pem"), "read it")
    outcome = approve(at(desk, 2), wanted, signed=again)
    assert outcome.refused is None and outcome.state.approved is not None and outcome.state.approved.approval_id
    with desk.book.reading() as connection:
        assert [one.state for one in listed(connection, portfolio="sample")].count("accepted") == 1


def test_a_plan_is_withdrawn_once_and_not_when_its_execution_has_begun(desk: Home) -> None:
    made = prepare(desk, SAMPLE)
    accept(desk, made)
    gone = withdraw(desk, made.execution_id, by="ann", reason="not today")
    assert gone.status(0) == plan_of(desk, made.execution_id).status(0) == "withdrawn"
    with pytest.raises(WrongUse, match="is withdrawn already"):
        withdraw(desk, made.execution_id, by="ann", reason="not today")


def test_a_fill_that_was_imported_since_moves_the_ledgers_portfolio_and_a_new_plan_is_made_on_it(sample_copy: Home, tmp_path: Path) -> None:
    from portfolio_platform.sources.pipeline import import_paths
    from tests.e2e.running import fills

    now = sample_copy.clock.now() + timedelta(hours=1)
    home = replace(sample_copy, as_of=now)
    folder_of(home).mkdir()
    (folder_of(home) / "restriction_list.json").write_text('{"as_of": "2010-12-31T12:00:00Z", "source": "none"}')
    text = (
        "## ACTION PLAN\n- Reduce Broad Market US to 14%\n- Reduce Information Technology to 14%\n- Reduce Communication Services to 14%\n"
    )
    made = prepare(home, Asked("core", document=document(home, text)))
    assert made.papers.plan.verdict == "SAFE" and dict(made.state.made.sources)["snapshot"] == "ledger"
    sold = "F-1,2011-01-01T00:30:00Z,core,GOOG,sell,65,600,1.25"
    (tmp_path / "fills.csv").write_text(fills(sold))
    import_paths(home, [tmp_path / "fills.csv"])
    outcome = accept(home, made)
    assert refused(outcome) == "moved" and outcome.regenerated is not None
    newer = outcome.regenerated.papers.snapshot
    assert newer.quantities["core", "GOOG"] == made.papers.snapshot.quantities["core", "GOOG"] - 65
    assert newer.cash_minor == made.papers.snapshot.cash_minor + 65 * 60_000 - 125
    assert accept(home, outcome.regenerated).refused is None
