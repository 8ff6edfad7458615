"""A portfolio of a file, after fills of it were reported: it is not traded a second time, and not mistaken for the ledger's."""

from datetime import timedelta

import pytest

from portfolio_platform.desk import sources
from portfolio_platform.desk.approvals import Wanted, approve
from portfolio_platform.desk.execution import Given, report
from portfolio_platform.desk.prepare import prepare
from portfolio_platform.desk.sources import Asked, folder_of
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from tests.unit.desk.desk_examples import AT, SAMPLE, at, changed
from tests.unit.desk.execution_examples import approved, everything, row, told

pytestmark = pytest.mark.usefixtures("plain_files")
FILE = "input_fills_missing"


def codes(home: Home, asked: Asked = SAMPLE) -> set[str]:
    return {finding.code for finding in prepare(home, asked).papers.plan.findings if finding.severity == "error"}


def test_a_file_older_than_the_fills_that_were_reported_is_not_planned_from_again(desk: Home) -> None:
    everything(at(desk, 30), approved(desk))
    again = prepare(at(desk, 40), SAMPLE)
    assert again.papers.plan.verdict == "BLOCKED" and not again.state.made.escalation_id
    assert any("10 fills were reported after it" in reason for reason in again.papers.plan.reasons)


def test_a_file_of_a_later_time_is_planned_from_where_more_than_its_time_is_new(desk: Home) -> None:
    everything(at(desk, 30), approved(desk))
    later = (AT + timedelta(minutes=35)).isoformat()
    changed(desk, "portfolio.json", lambda content: content.update(as_of=later))
    again = prepare(at(desk, 40), SAMPLE).papers.plan
    assert any("has the cash and holdings from before the 10 fills" in reason for reason in again.reasons)
    changed(desk, "portfolio.json", lambda content: content["accounts"][0].update(cash="45020.00"))
    assert FILE not in codes(at(desk, 40))


def test_fills_that_were_withdrawn_are_not_missing(desk: Home) -> None:
    made = approved(desk)
    taken = told(at(desk, 30), made, row(made.papers.plan, "S01")).taken.fresh
    report(at(desk, 31), made.execution_id, Given("bob", withdrawn=tuple(fill.fill_id for fill in taken)))
    assert FILE not in codes(at(desk, 40))


def test_a_plan_made_before_the_fills_of_another_is_not_approved_after_them(desk: Home) -> None:
    first, stock = approved(desk), folder_of(desk) / "stock_recommendation.json"
    everything(at(desk, 30), first)
    # a file that had the fills when the second plan was made, and is brought back as it was before them
    old = (folder_of(desk) / "portfolio.json").read_bytes()
    changed(desk, "portfolio.json", lambda content: content.update(as_of=(AT + timedelta(minutes=35)).isoformat()))
    changed(desk, "portfolio.json", lambda content: content["accounts"][0].update(cash="220000.00"))
    other = prepare(at(desk, 40), Asked("sample", recommendation=stock))
    assert other.papers.plan.verdict != "BLOCKED"
    (folder_of(desk) / "portfolio.json").write_bytes(old.replace(b'"20000.00"', b'"220000.00"'))
    outcome = approve(at(desk, 41), Wanted(other.execution_id, by="ann", reason="read it", accept_conditions=True))
    assert outcome.refused is not None and outcome.refused.code == "moved" and "fills were reported after it" in outcome.refused.reason


def test_the_ledger_is_not_taken_for_a_portfolio_whose_file_was_planned_from(desk: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(desk, SAMPLE)
    monkeypatch.setattr(sources, "ledger_portfolios", lambda home: ["sample"])
    with pytest.raises(WrongUse, match=r"last planned on orchestrator/portfolio\.json, and the ledger has it too"):
        prepare(at(desk, 10), SAMPLE)
    given = Asked("sample", snapshot=folder_of(desk) / "portfolio.json")
    assert prepare(at(desk, 10), given).papers.plan.verdict == "CONDITIONAL"
    (folder_of(desk) / "portfolio.json").unlink()
    with pytest.raises(WrongUse, match="the ledger has no portfolio 'sample'"):  # the ledger is asked, as it was said to be
        prepare(at(desk, 20), SAMPLE)
