"""Making plans: what is recorded, what replaces what, what is asked of whom, and the folder that follows from the log."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from portfolio_platform.book.chain import verify_chain
from portfolio_platform.book.events import StoredEvent, read
from portfolio_platform.desk import log
from portfolio_platform.desk.escalations import cases_of
from portfolio_platform.desk.folder import executions
from portfolio_platform.desk.prepare import SUPERSEDED, plan_named, prepare, preview
from portfolio_platform.desk.sources import Asked, folder_of
from portfolio_platform.errors import DataProblem, StoreProblem, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.orchestrator.papers import papers_of
from tests.unit.desk.desk_examples import SAMPLE, at, blocked, document, plan_of
from tests.unit.orchestrator.examples import sample_inputs

pytestmark = pytest.mark.usefixtures("plain_files")


def events(home: Home, prefix: str = "") -> list[StoredEvent]:
    with home.book.reading() as connection:
        return [event for event in read(connection) if event.stream.startswith(prefix)]


def types(found: Iterable[StoredEvent]) -> list[str]:
    return [event.type for event in found]


def test_the_specifications_rebalancing_is_planned_recorded_and_written(desk: Home) -> None:
    made = prepare(desk, SAMPLE)
    after = {row.sector: row.after_ppm for row in made.papers.plan.dry_run.sectors}
    assert made.papers.plan.verdict == "CONDITIONAL"
    assert (after["Materials"], after["Technology"], after["Cash"]) == (250_000, 160_000, 50_020) and after["Healthcare"] == 99_980
    recorded = plan_of(desk, made.execution_id).made
    assert (recorded.plan_hash, recorded.portfolio_hash) == (made.papers.plan.hash, made.papers.snapshot.state_hash)
    assert (recorded.source, recorded.trades, recorded.topic) == ("portfolio_document.md", 10, "rebalancing")
    assert dict(recorded.sources)["restrictions"] == "orchestrator/restriction_list.json"
    assert made.folder == executions(desk) / made.execution_id
    assert types(events(desk, "orchestration/")) == ["plan_made", "plan_papers"]


def test_a_plan_is_recorded_once_however_often_it_is_made_at_its_time(desk: Home) -> None:
    first = prepare(desk, SAMPLE)
    before = len(events(desk))
    again = prepare(desk, SAMPLE)
    assert again.repeated and not first.repeated and again.execution_id == first.execution_id
    assert len(events(desk)) == before


def test_a_preview_records_nothing_and_writes_nothing(desk: Home) -> None:
    assert preview(desk, SAMPLE).papers.plan.trades
    assert events(desk) == [] and not executions(desk).exists()


def test_the_plan_can_be_worked_out_again_from_the_log_alone(desk: Home) -> None:
    made = prepare(desk, SAMPLE)
    for path in folder_of(desk).iterdir():
        path.unlink()
    with desk.book.reading() as connection:
        kept = log.papers_of(connection, made.execution_id)
        assert verify_chain(connection).ok
    assert kept.canonical() == made.papers.canonical()
    assert papers_of(kept.inputs, kept.directives, kept.further).plan.canonical() == made.papers.plan.canonical()


def test_a_folder_that_cannot_be_written_leaves_the_plan_in_the_log(desk: Home) -> None:
    executions(desk).write_text("in the way")
    with pytest.raises(StoreProblem, match="the plan is in the log"):
        prepare(desk, SAMPLE)
    assert types(events(desk, "orchestration/")) == ["plan_made", "plan_papers"]
    executions(desk).unlink()
    assert prepare(desk, SAMPLE).folder.is_dir()


def test_a_newer_plan_takes_the_place_of_one_on_the_same_topic_and_of_no_other(desk: Home) -> None:
    first = prepare(desk, SAMPLE)
    stock = prepare(desk, Asked("sample", recommendation=folder_of(desk) / "stock_recommendation.json"))
    newer = prepare(at(desk, 5), SAMPLE)
    assert newer.superseded == (first.execution_id,)
    assert plan_of(desk, first.execution_id).superseded is not None
    assert plan_of(desk, stock.execution_id).stage == plan_of(desk, newer.execution_id).stage == "made"
    other = prepare(at(desk, 6), Asked("sample", recommendation=folder_of(desk) / "stock_recommendation_rejected.json"))
    assert other.superseded == (), "another stock is another topic"


def test_a_violated_constraint_is_escalated_as_the_specification_states_it(desk: Home) -> None:
    made = blocked(desk)
    assert made.papers.plan.verdict == "BLOCKED"
    (case,) = cases_of(desk)
    asked = case.escalation
    assert (asked.trigger, asked.routing, asked.sla_minutes) == ("constraint_violation", "Master-Architect", 30)
    assert asked.request == "Approve exception to sector cap OR modify plan"
    (violation,) = asked.violations
    assert violation[:5] == ("sector_cap", "Materials", 400_000, 420_000, "ppm") and "42 % of at most 40 %" in violation.text
    assert json.loads(asked.plan)["verdict"] == "BLOCKED" and asked.plan_hash == made.papers.plan.hash
    assert asked.dry_run.startswith("# Dry run") and asked.subject == made.execution_id
    assert plan_of(desk, made.execution_id).made.escalation_id == asked.escalation_id
    assert types(events(desk, "escalations/")) == ["escalation_opened"]
    blocked(desk)
    assert types(events(desk, "escalations/")) == ["escalation_opened"], "the same plan asks once"


def test_nobody_is_asked_where_the_inputs_or_the_document_are_at_fault(desk: Home) -> None:
    over = document(desk, "## ACTION PLAN\n- Raise Technology to 80%\n- Raise Healthcare to 50%\n")
    assert prepare(desk, Asked("sample", document=over)).papers.plan.verdict == "BLOCKED"
    stale = prepare(at(desk, 4 * 24 * 60), SAMPLE)
    assert stale.papers.plan.verdict == "BLOCKED" and not stale.papers.plan.manifest.released
    rejected = prepare(desk, Asked("sample", recommendation=folder_of(desk) / "stock_recommendation_rejected.json"))
    assert rejected.papers.validation is not None and rejected.papers.validation.status == "REJECTED"
    assert cases_of(desk) == []


def test_the_escalation_of_a_plan_that_was_replaced_is_halted_so_nobody_decides_in_vain(desk: Home) -> None:
    blocked(desk)
    newer = prepare(at(desk, 1), SAMPLE)
    (case,) = cases_of(desk)
    assert case.status == "halted" and case.answered is not None
    assert case.answered.by == SUPERSEDED and newer.execution_id in case.answered.reason


def test_the_queue_is_planned_in_its_order_with_the_older_profile(desk: Home) -> None:
    files = folder_of(desk)
    asked = Asked(profile="v8.0.3", queue=files / "approved_queue.json", snapshot=files / "portfolio_with_cash.json")
    made = prepare(desk, asked)
    assert [trade.trade_id for trade in made.papers.plan.trades] == [trade.trade_id for trade in made.papers.queue.trades]  # type: ignore[union-attr]
    assert (made.papers.plan.verdict, made.papers.plan.profile, made.state.made.topic) == ("SAFE", "v8.0.3", "queue")


def test_a_profile_may_be_a_file(desk: Home, tmp_path: Path) -> None:
    from portfolio_platform.orchestrator.profile import FOLDER

    own = tmp_path / "own.toml"
    own.write_text((FOLDER / "v8_1_1.toml").read_text().replace('name = "v8.1.1"', 'name = "house"'))
    assert prepare(desk, Asked("sample", profile=str(own))).papers.plan.profile == "house"
    with pytest.raises(WrongUse, match="no profile 'v9'"):
        preview(desk, Asked("sample", profile="v9"))


def test_a_plan_is_found_by_the_end_of_its_id_where_that_is_clear(desk: Home) -> None:
    made = prepare(desk, SAMPLE)
    assert plan_named(desk, made.execution_id[-8:])[1].execution_id == made.execution_id
    for wrong in (made.execution_id[-5:], "nothing", ""):
        with pytest.raises(WrongUse, match="there is no plan"):
            plan_named(desk, wrong)
    with desk.book.reading() as connection, pytest.raises(WrongUse, match="there is no plan"):
        log.papers_of(connection, "nothing")
    with desk.book.reading() as connection, pytest.raises(WrongUse, match="there is no plan"):
        log.portfolio_of(connection, "nothing")


@pytest.mark.parametrize("missing", ["restriction_list.json", "portfolio_document.md", "portfolio.json"])
def test_a_missing_input_is_said_with_the_remedy(desk: Home, missing: str) -> None:
    (folder_of(desk) / missing).unlink()
    with pytest.raises(WrongUse, match=r"orchestrate init|--snapshot FILE"):
        preview(desk, SAMPLE)
    assert events(desk) == []


def test_missing_rankings_block_what_is_bought_by_them_and_not_a_sale(desk: Home) -> None:
    (folder_of(desk) / "sector_rankings.json").unlink()
    (folder_of(desk) / "accounts.json").unlink()
    assert any("sector rankings" in reason for reason in preview(desk, SAMPLE).papers.plan.reasons)
    sale = document(desk, "## ACTION PLAN\n- Reduce Materials to 30%\n")
    assert preview(desk, Asked("sample", document=sale)).papers.plan.verdict == "SAFE"


def test_one_thing_at_a_time_is_planned_and_a_wrong_kind_of_file_is_said(desk: Home) -> None:
    files = folder_of(desk)
    two = Asked("sample", document=files / "portfolio_document.md", queue=files / "approved_queue.json")
    with pytest.raises(WrongUse, match="--document and --queue are given"):
        preview(desk, two)
    with pytest.raises(WrongUse, match="--directives takes a JSON file"):
        preview(desk, Asked("sample", directives=files / "portfolio_document.md"))
    with pytest.raises(WrongUse, match="is portfolio 'sample', not 'other'"):
        preview(desk, Asked("other", snapshot=files / "portfolio.json"))
    with pytest.raises(DataProblem, match=r"gone\.md: it cannot be read"):
        preview(desk, Asked("sample", document=files / "gone.md"))
    with pytest.raises(DataProblem, match="ACTION PLAN alone"):
        preview(desk, Asked("sample", document=document(desk, "x" * 4_000_001)))


def test_directives_in_json_give_the_trades_of_the_document(desk: Home) -> None:
    of_json = preview(desk, Asked("sample", directives=folder_of(desk) / "rebalancing_directives.json")).papers
    of_document = preview(desk, SAMPLE).papers
    assert of_json.plan.trades == of_document.plan.trades
    assert of_json.document_source == "rebalancing_directives.json"


def test_the_samples_are_put_once_and_what_is_there_stays(home: Home) -> None:
    from portfolio_platform.desk.sources import put_samples

    copied, kept = put_samples(home)
    assert len(copied) == 10 and kept == []
    (folder_of(home) / "accounts.json").write_text("mine")
    (folder_of(home) / "portfolio.json").unlink()
    assert put_samples(home) == (["portfolio.json"], [name for name in copied if name != "portfolio.json"])
    assert (folder_of(home) / "accounts.json").read_text() == "mine"


def test_papers_are_made_from_one_thing() -> None:
    inputs = sample_inputs()
    with pytest.raises(ValueError, match="these are 0"):
        papers_of(inputs)
