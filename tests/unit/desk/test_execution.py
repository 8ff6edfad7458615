"""Reports of an approved plan: what is refused, what the ledger gets, what is verified, asked and told; and that all of it happens once."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from portfolio_platform.alerts import actions
from portfolio_platform.book import alerts as book
from portfolio_platform.book.notifications import listed
from portfolio_platform.desk import after_execution, execution, notices
from portfolio_platform.desk.escalations import answer_escalation, cases_of
from portfolio_platform.desk.execution import Given, follow, report
from portfolio_platform.desk.execution_events import refusals_of
from portfolio_platform.desk.execution_files import bring_fills, folder_of
from portfolio_platform.desk.execution_status import execution_report
from portfolio_platform.desk.prepare import prepare
from portfolio_platform.desk.watch import watch
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.orchestrator.directives import parse_directives
from tests.unit.desk.desk_examples import AT, SAMPLE, at, changed, with_samples
from tests.unit.desk.execution_examples import (
    approved,
    copy_of,
    events,
    everything,
    home_with_approved_plan,
    ledger_rows,
    row,
    rows,
    state,
    told,
)


@pytest.fixture(scope="module")
def approved_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The samples, with an approved plan; tests work on copies."""
    return home_with_approved_plan(tmp_path_factory.mktemp("approved") / "home")


@pytest.fixture
def desk(approved_home: Home, tmp_path: Path) -> Home:
    """A copy of it, at 2026-01-05 14:45 UTC."""
    return copy_of(approved_home, tmp_path / "desk")


def alerts(home: Home, rule: str = "") -> list[str]:
    with home.book.reading() as connection:
        return [one.said["sentence"] for one in book.open_alerts(connection) if not rule or one.rule == rule]


def messages(home: Home) -> list[str]:
    with home.book.reading() as connection:
        return [one.title for one in listed(connection)]


def refused(home: Home, made, given: Given | None = None) -> str:
    with pytest.raises(WrongUse) as error:
        report(home, made.execution_id, given or Given("bob", rows(home, row(made.papers.plan, "S01"))))
    with home.book.reading() as connection:
        codes = [one.code for one in refusals_of(connection, "sample", made.execution_id)]
    assert not ledger_rows(home)
    return f"{codes[-1] if codes else ''}: {error.value}"


def test_a_plan_that_nobody_approved_is_refused_and_the_refusal_is_in_the_log(home: Home) -> None:
    desk = with_samples(home)
    made = prepare(desk, SAMPLE)
    said = refused(at(desk, 10), made)
    for other in ("carol", "carol"):
        with pytest.raises(WrongUse, match="never approved"):
            report(at(desk, 10), made.execution_id, Given(other))
    assert events(desk).count("execution_refused") == 2
    assert said.startswith("not_approved: plan") and "portfolio orchestrate approve" in said


def test_an_approval_that_ended_before_anything_was_done_is_refused_and_what_was_done_before_it_may_still_be_reported(desk: Home) -> None:
    made = approved(desk)
    late = at(desk, 121)
    after_end = {"at": (late.clock.now() - timedelta(seconds=30)).isoformat()}
    assert refused(late, made, Given("bob", rows(late, row(made.papers.plan, "S01", **after_end)))).startswith("expired:")
    told(late, made, row(made.papers.plan, "S01"))
    assert state(late, made).plan.begun_at
    told(late, made, row(made.papers.plan, "S02", **after_end))
    assert [flag.code for flag in state(late, made).flags if flag.code != "no_fill"] == ["after_expiry"]


def test_a_withdrawn_plan_is_refused_and_so_is_a_report_of_nobody(desk: Home) -> None:
    from portfolio_platform.desk.approvals import withdraw

    made = approved(desk)
    with pytest.raises(WrongUse, match="--by NAME"):
        report(desk, made.execution_id, Given(" "))
    withdraw(desk, made.execution_id, by="ann", reason="no")
    assert refused(at(desk, 10), made).startswith("closed:")


def test_reported_fills_are_in_the_ledger_with_their_labels_and_the_same_report_again_changes_nothing(desk: Home) -> None:
    made, now = approved(desk), at(desk, 10)
    done = told(now, made, row(made.papers.plan, "S01", price="79.9", fee="1.5"))
    assert (done.imported, len(done.taken.fresh)) == (1, 1)
    (fill,) = ledger_rows(now)
    assert {name: fill[name] for name in ("portfolio", "strategy", "symbol", "side", "account", "template", "currency", "order_id")} == {
        "portfolio": "sample", "strategy": "orchestrator", "symbol": "NEM", "side": "sell", "account": "brokerage",
        "template": "rebalancing", "currency": "USD", "order_id": f"{made.execution_id}.S01",
    }  # fmt: skip
    assert (fill["quantity"], fill["price"], fill["fee"], fill["decision_price"]) == (975, Decimal("79.9"), Decimal("1.5"), 80)
    before = events(now)
    again = told(now, made, row(made.papers.plan, "S01", price="79.9", fee="1.5"))
    assert (again.report, again.taken.known, again.imported, events(now)) == (None, 1, 0, before)


def test_a_fill_from_before_the_plan_was_made_is_none_of_it_and_is_set_aside(desk: Home) -> None:
    made, now = approved(desk), at(desk, 10)
    plan = made.papers.plan
    done = told(now, made, row(plan, "S01", minutes=-6), row(plan, "S02", minutes=-5))
    assert [(bad.column, "before the plan was made" in bad.rule) for bad in done.taken.bad] == [("at", True)]
    assert (done.imported, done.not_imported) == (1, 0)
    assert [fill["symbol"] for fill in ledger_rows(now)] == ["FCX"], "what was done while it was looked at is a fill, and flagged where so"


def test_a_fill_of_a_name_that_was_restricted_since_the_approval_is_flagged(desk: Home) -> None:
    made, now = approved(desk), at(desk, 10)
    file = changed(desk, "restriction_list.json", lambda content: content["entries"].append({"ticker": "NEM", "reason": "earnings"}))
    done = told(now, made, row(made.papers.plan, "S01"), row(made.papers.plan, "S02"))
    assert [(flag.code, flag.text) for flag in done.fresh_flags] == [("restricted", "S01 sell NEM: the name is restricted (earnings)")]
    file.unlink()
    later = told(now, made, row(made.papers.plan, "B01"))
    assert later.imported == 1 and "was not looked at" in later.taken.notes[0], "what was done is taken all the same"


def test_a_correction_is_a_new_revision_in_the_ledger_and_a_withdrawn_fill_is_gone_from_it(desk: Home) -> None:
    made, now = approved(desk), at(desk, 10)
    told(now, made, row(made.papers.plan, "S01", price="79"))
    assert told(now, made, row(made.papers.plan, "S01", price="78")).taken.bad
    told(now, made, row(made.papers.plan, "S01", price="78"), corrections=True)
    (fill,) = ledger_rows(now)
    assert fill["price"] == 78
    report(now, made.execution_id, Given("bob", withdrawn=(state(now, made).executed.in_force[0].fill_id,)))
    assert ledger_rows(now) == []
    assert state(now, made).executed.trades[0].status == "open"


def test_what_was_reported_before_a_kill_comes_into_the_ledger_with_the_next_call(desk: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    made, now = approved(desk), at(desk, 10)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(execution, "follow", killed)
        with pytest.raises(KeyboardInterrupt):
            told(now, made, row(made.papers.plan, "S01"))
    assert (ledger_rows(now), len(state(now, made).reports)) == ([], 1)
    assert watch(now).fills == 1
    assert (len(ledger_rows(now)), bring_fills(now).fills) == (1, 0)
    assert state(now, made).verified is not None


@pytest.mark.parametrize("step", ["verified", "escalated", "routed"])
def test_killed_after_any_step_the_rest_is_done_by_the_next_call_and_nothing_twice(desk: Home, monkeypatch, step: str) -> None:
    made, now = approved(desk), at(desk, 30)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(after_execution, step, killed)
        with pytest.raises(KeyboardInterrupt):
            everything(now, made, price="70")
    follow(now, made.execution_id)
    once = events(now)
    assert state(now, made).plan.closed is not None
    follow(now, made.execution_id)
    assert events(now) == once
    assert {name: once.count(name) for name in ("execution_reported", "execution_verified", "document_revised", "plan_closed")} == {
        "execution_reported": 1, "execution_verified": 1, "document_revised": 1, "plan_closed": 1,
    }  # fmt: skip


def test_an_execution_as_planned_has_the_figures_of_the_dry_run_is_closed_and_told_to_the_named_recipients(desk: Home) -> None:
    made, now = approved(desk), at(desk, 30)
    done = everything(now, made)
    verified = done.state.verified[1]
    run = made.papers.plan.dry_run
    assert (verified.cash_minor, verified.equity_minor, verified.passed) == (run.cash_after_minor, run.equity_after_minor, True)
    assert (done.state.plan.closed.outcome, done.state.plan.closed.by, done.fresh_flags) == ("executed", "bob", ())
    assert [title.split(": ")[1] for title in messages(now) if title.startswith("(INFO)")] == ["For Quality-Assurance", "For Client"]
    assert not alerts(now) and not cases_of(now)
    text = (folder_of(now, made.execution_id) / "portfolio_document.r1.md").read_text()
    assert "Nothing is left of the plan." in text


def test_each_report_makes_a_revision_of_the_document_that_says_what_is_left(desk: Home) -> None:
    made, now = approved(desk), at(desk, 30)
    told(now, made, row(made.papers.plan, "S01"), row(made.papers.plan, "S02"))
    told(now, made, row(made.papers.plan, "B01", 1))
    folder = folder_of(now, made.execution_id)
    read = [parse_directives((folder / f"portfolio_document.r{number}.md").read_text()) for number in (1, 2)]
    assert [[one.sector for one in document.directives] for document in read] == [["Technology", "Healthcare", "Cash"]] * 2
    assert [document.unread for document in read] == [(), ()]
    assert read[1].directives[0].current_pct > read[0].directives[0].current_pct


def test_flags_are_logged_once_and_told_in_one_alert_for_each_report(desk: Home) -> None:
    made, now = approved(desk), at(desk, 10)
    done = told(now, made, row(made.papers.plan, "S01", price="79", quantity="500"))
    assert [flag.code for flag in done.fresh_flags] == ["slippage", "beyond_limit", "partial_fill"]
    (sentence,) = alerts(now, notices.FLAGGED)
    assert "has 3 flags" in sentence and "125 basis points worse than planned" in sentence
    told(now, made, row(made.papers.plan, "S01", 1, quantity="475", price="80"))
    assert [flag.code for flag in state(now, made).flags] == ["slippage", "beyond_limit", "partial_fill"]
    assert "partial_fill" not in [flag.code for flag in execution_report(now, state(now, made)).flags]
    assert len(alerts(now, notices.FLAGGED)) == 1


def test_orders_without_a_fill_are_flagged_by_the_clock_and_asked_about_together_once(desk: Home) -> None:
    made = approved(desk)
    watch(at(desk, 14.9))
    assert not cases_of(desk)
    watch(at(desk, 15))
    (case,) = cases_of(desk)
    free = [step.trade_id for step in made.papers.plan.path if not step.waits_for]
    assert (case.escalation.trigger, [one.scope for one in case.escalation.violations]) == ("no_fill", free)
    assert [flag.trade_id for flag in state(desk, made).flags] == free
    before = events(desk, "escalation_opened", "execution_flagged")
    watch(at(desk, 16))
    assert events(desk, "escalation_opened", "execution_flagged") == before
    assert len(alerts(desk, notices.OPENED)) == 1


def test_orders_that_are_filled_after_all_answer_what_was_asked_about_them(desk: Home) -> None:
    made = approved(desk)
    watch(at(desk, 15))
    everything(at(desk, 40), made)
    (case,) = cases_of(desk)
    assert (case.answered.by, alerts(desk, notices.OPENED)) == ("rule:filled", [])


def test_an_escalation_whose_time_is_over_alerts_once_and_its_answer_ends_the_alerts(desk: Home) -> None:
    approved(desk)
    watch(at(desk, 15))
    assert watch(at(desk, 44.9)).expired == 0
    assert watch(at(desk, 45)).expired == 1
    assert len(alerts(desk, notices.OVERDUE)) == 1
    sent = len(messages(desk))
    assert watch(at(desk, 46)).expired == 0
    assert len(messages(desk)) == sent
    answer_escalation(at(desk, 50), cases_of(desk)[0].escalation.escalation_id, "approve", by="eve", reason="wait")
    watch(at(desk, 51))
    assert alerts(desk, notices.OVERDUE) == alerts(desk, notices.OPENED) == []


def test_alerts_can_be_acknowledged_silenced_and_resolved_and_a_resolved_one_does_not_come_again(desk: Home) -> None:
    made, now = approved(desk), at(desk, 10)
    told(now, made, row(made.papers.plan, "S01", price="79"))
    with now.book.reading() as connection:
        (alert,) = book.open_alerts(connection)
    actions.acknowledge(now, alert.id, by="ann")
    watch(now)
    with now.book.reading() as connection:
        assert book.by_id(connection, alert.id).state == "acknowledged"
    actions.resolve(now, alert.id, by="ann", reason="seen")
    for minutes in (11, 3000):
        watch(at(desk, minutes))
        assert not alerts(now, notices.FLAGGED)


def test_a_silence_keeps_an_alert_about_executions_from_being_told(desk: Home) -> None:
    made, now = approved(desk), at(desk, 10)
    actions.silence(now, rule=notices.FLAGGED, until=at(desk, 99).clock.now(), by="ann", reason="known")
    told(now, made, row(made.papers.plan, "S01", price="79"))
    with now.book.reading() as connection:
        assert [one.state for one in book.open_alerts(connection)] == ["silenced"]
    assert not messages(now)


def test_a_cap_that_the_fills_breach_is_asked_about_once_and_not_while_the_plan_still_mends_it(desk: Home) -> None:
    made, now = approved(desk), at(desk, 14)
    told(now, made, row(made.papers.plan, "S01", quantity="10"))
    assert not cases_of(now)  # Materials is over its cap, as it was before the plan
    told(now, made, row(made.papers.plan, "B01", 2, quantity="2600"))
    found = [case.escalation for case in cases_of(now) if case.escalation.subject == made.execution_id]
    assert {one.trigger for one in found} == {"sector_cap_breach", "buffer_breach", "constraint_violation"}
    cap = next(one for one in found if one.trigger == "sector_cap_breach")
    assert [(one.rule, one.scope, one.limit) for one in cap.violations] == [("sector_cap", "Technology", 400_000)]
    told(now, made, row(made.papers.plan, "S01", 3, quantity="10"))
    assert len(cases_of(now)) == len(found)


def test_trades_that_are_given_up_end_the_plan_and_are_told_to_who_analyses_them_again(desk: Home) -> None:
    made, now = approved(desk), at(desk, 30)
    told(now, made, row(made.papers.plan, "S01"))
    rest = tuple((one.trade_id, "market closed") for one in made.papers.plan.trades[1:])
    done = report(now, made.execution_id, Given("bob", given_up=rest))
    assert done.state.plan.closed.outcome == "partly_executed"
    assert any("For Stock-Analyst" in title for title in messages(now))
    with pytest.raises(WrongUse, match="'Z' is no trade of plan"):
        report(now, made.execution_id, Given("bob", given_up=(("Z", "x"),)))


def test_an_order_is_given_after_the_plan_and_not_in_the_future(desk: Home) -> None:
    made, now = approved(desk), at(desk, 10)
    for minutes in (-1, 11):
        with pytest.raises(WrongUse, match="the order of S01 cannot have been given then"):
            report(now, made.execution_id, Given("bob", placed=(("S01", AT + timedelta(minutes=minutes)),)))
    late = (AT + timedelta(minutes=6)).isoformat()
    bad = told(now, made, row(made.papers.plan, "S01", placed_at=late)).taken.bad
    assert [(one.column, one.rule.startswith("is not between the plan")) for one in bad] == [("placed_at", True)]
    report(now, made.execution_id, Given("bob", placed=(("S01", AT), ("S02", AT + timedelta(minutes=10)))))


def test_an_order_that_was_given_starts_the_time_without_a_fill(desk: Home) -> None:
    made, now = approved(desk), at(desk, 10)
    report(now, made.execution_id, Given("bob", placed=(("S01", now.clock.now()),)))

    def asked() -> set[str]:
        return {one.scope for case in cases_of(desk) for one in case.escalation.violations}

    watch(at(desk, 24))
    assert "S02" in asked() and "S01" not in asked()
    watch(at(desk, 25))
    assert "S01" in asked()


def test_rows_set_aside_are_counted_kept_once_and_written_for_people(desk: Home) -> None:
    made, now = approved(desk), at(desk, 10)
    bad = row(made.papers.plan, "S01", quantity="=1+1")
    for _ in range(2):
        done = told(now, made, bad)
        assert len(done.taken.bad) == 1
    assert len(execution_report(now, state(now, made)).set_aside) == 1
    assert "'=1+1" in (folder_of(now, made.execution_id) / "set_aside.csv").read_text()


def test_the_document_of_an_execution_is_the_same_from_the_same_log(desk: Home) -> None:
    made, now = approved(desk), at(desk, 30)
    everything(now, made, price="70")
    one, other = (execution_report(when, state(when, made), live=False) for when in (now, at(desk, 9000)))
    assert one.canonical() == other.canonical()
    assert (len(one.log), one.log[0].sector, one.log[-1].buffer_state) == (10, "Materials", one.log[-1].buffer_state)
