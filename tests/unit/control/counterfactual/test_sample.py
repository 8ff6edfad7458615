"""The sample: the past comes out as it was, the facts are those that the control plane is fed, the page says what the numbers say."""

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from portfolio_platform.cli.main import app
from portfolio_platform.control.counterfactual.calibrate import calibrate
from portfolio_platform.control.counterfactual.compare import counterfactual
from portfolio_platform.control.counterfactual.inputs import read_record
from portfolio_platform.control.counterfactual.replay import Prepared, recorded_drawdowns, replay
from portfolio_platform.control.counterfactual.thresholds import AS_IT_IS, candidates, without_limits
from portfolio_platform.control.pipeline.fills import read_money
from portfolio_platform.control.pipeline.sessions import read_sessions
from portfolio_platform.lake import derived
from portfolio_platform.policy.assigned import policies_in_time
from portfolio_platform.policy.load import default_policy
from portfolio_platform.render import counterfactual as pages
from portfolio_platform.render import counterfactual_charts as charts
from portfolio_platform.render import counterfactual_documentation as documentation

PORTFOLIOS = ("core", "macro")
DOCS = Path(__file__).parents[4] / "docs"


@pytest.fixture(scope="module")
def prepared(sample_home):
    accounting = default_policy().accounting
    return {name: Prepared.of(read_record(sample_home, name, accounting)) for name in PORTFOLIOS}


@pytest.fixture(scope="module")
def found(prepared):
    return {name: counterfactual(one, default_policy(), one.record.window(None, None)) for name, one in prepared.items()}


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_without_limits_the_recorded_equity_comes_out_at_every_session(prepared, portfolio):
    one = prepared[portfolio]
    free = replay(one, without_limits(default_policy()), one.record.window(None, None))
    assert {decision.code for _, decision in free.decisions} == {"approved_full"}
    assert (np.abs(free.equity / one.record.equity - 1.0) < 1e-6).all()


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_with_nothing_granted_equity_is_what_was_paid_in(prepared, portfolio):
    one = prepared[portfolio]
    shut = default_policy().model_copy(update={"heat": default_policy().heat.model_copy(update={"cap": 1e-12})})
    flat = replay(one, shut, one.record.window(None, None))
    assert flat.equity == pytest.approx(np.cumsum(one.record.net_flow), rel=1e-12)
    assert not flat.scales.any()


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_the_recorded_regime_is_that_of_the_drawdown_diagnostic(sample_home, prepared, portfolio):
    import pyarrow.compute as pc

    record = prepared[portfolio].record
    rows = sample_home.lake.read(derived.DRAWDOWN_STATE, ["day", "regime", "drawdown"], pc.field("portfolio") == portfolio).sort_by("day")
    mine = recorded_drawdowns(record, default_policy().drawdown, record.sessions - 1)
    assert [day.regime for day in mine] == rows["regime"].to_pylist()
    assert [day.drawdown for day in mine] == pytest.approx(rows["drawdown"].to_pylist(), abs=1e-9)


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_in_full_the_stated_facts_are_those_that_the_control_plane_is_fed(sample_home, prepared, portfolio):
    """Positions, risks, buckets, equity of every session: two ways of reading the lake, told apart by nothing but the regime."""
    one = prepared[portfolio]
    free = replay(one, without_limits(default_policy()), one.record.window(None, None))
    since, money = {portfolio: sample_home.first_day}, read_money(sample_home)
    fed = read_sessions(sample_home, since, date(2010, 12, 31), policies_in_time(sample_home), money)[portfolio].stated
    assert [mine.facts.day for mine in free.stated] == [event.facts.day for event in fed]
    for mine, event in zip(free.stated, fed, strict=True):
        assert [each[:3] + each[5:] for each in mine.positions] == [each[:3] + each[5:] for each in event.positions]
        assert [each[3:5] for each in mine.positions] == [pytest.approx(each[3:5], abs=1) for each in event.positions]
        assert mine.buckets == event.buckets
        assert mine.facts.equity == pytest.approx(event.facts.equity, abs=1)
        assert mine.facts.gross == pytest.approx(event.facts.gross, abs=len(event.positions) + 1)
        assert mine.facts.at == event.facts.at


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_every_intent_is_decided_and_explained_and_the_sums_agree(found, portfolio):
    one = found[portfolio]
    assert len(one.outcomes) == {"core": 1_135, "macro": 325}[portfolio]
    assert all(len(outcome.decision.headrooms) >= 9 for outcome in one.outcomes)
    assert one.now.pnl == pytest.approx(one.now.realised + one.now.unrealised - one.now.fees, abs=0.01)
    assert one.now.pnl == pytest.approx(sum(outcome.kept for outcome in one.outcomes), abs=0.01)
    assert one.then.pnl - one.now.pnl == pytest.approx(one.refusals.missed - one.refusals.avoided, abs=0.01)
    assert sum(rule.risk for rule in one.rules) == pytest.approx(one.refusals.requested - one.refusals.granted, abs=0.01)
    assert one.days[-1].equity == one.now.equity


def test_the_shipped_policy_halves_the_drawdown_of_macro_and_costs_profit(found):
    """The project's own claim about the sample: what its documentation says in words."""
    one = found["macro"]
    assert one.then.max_drawdown == pytest.approx(0.270, abs=0.001)
    assert one.now.max_drawdown < 0.6 * one.then.max_drawdown
    assert one.now.pnl < one.then.pnl


def test_the_page_needs_nothing_from_elsewhere_and_names_from_outside_are_text(found):
    one = found["macro"]
    strange = one.outcomes[0]._replace(
        decision=one.outcomes[0].decision._replace(intent_id="<script>x</script>", symbol="<b>"), fate="refused"
    )
    page = pages.to_html(
        [replace(one, outcomes=(strange, *one.outcomes[1:]), days=one.days[:40]), replace(found["core"], days=found["core"].days[:40])]
    )
    assert "<script" not in page and "&lt;script&gt;x" in page
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert page.count("<svg ") == 12
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert page.index("First-order") < page.index("Maximum drawdown")
    assert charts.chart("refusals", one, "p0") == charts.chart("refusals", one, "p0")


def test_the_documentation_says_what_the_sample_says(found):
    page = (DOCS / "counterfactual.md").read_text(encoding="utf-8")
    assert documentation.between(page, documentation.FOUND, documentation.found_text(list(found.values()))) == page


@pytest.mark.parametrize("portfolio", PORTFOLIOS)
def test_the_documented_calibration_is_that_of_the_sample(prepared, portfolio):
    """The policy as it is and the chosen one, over both windows; what else was tried takes longer than a test should."""
    page = (DOCS / "counterfactual.md").read_text(encoding="utf-8").split(documentation.CHOSEN[0])[1]
    mine = page.split(f"### Thresholds of `{portfolio}`")[1].split("###")[0]
    chosen = re.search(r"^\| (.*) \(chosen\) \|", mine, re.MULTILINE)
    assert chosen is not None
    some = [one for one in candidates(default_policy()) if one.name in (AS_IT_IS, chosen[1])]
    again = calibrate(prepared[portfolio].record, default_policy(), last=documentation.LAST, tried=some)
    rows = documentation.table(documentation.blocks.trade_off(again)).splitlines()[4:]
    assert rows
    assert [row for row in rows if row not in mine] == []


def test_the_command_prints_a_table_a_page_and_one_json_document(sample_home, tmp_path):
    home, file = ["--home", str(sample_home.root)], tmp_path / "page.html"
    window = ["-p", "macro", "--from", "2008-01-01", "--to", "2008-12-31", "--policy", "shipped"]
    printed = CliRunner().invoke(app, ["control", "counterfactual", *window, *home, "--html", str(file)])
    assert printed.exit_code == 0, printed.output
    assert "Maximum drawdown" in printed.output
    assert "First-order" in printed.output
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    said = json.loads(CliRunner().invoke(app, ["control", "counterfactual", *window, *home, "--json"]).output)
    assert [(one["portfolio"], one["first"], one["last"]) for one in said] == [("macro", "2008-01-01", "2008-12-31")]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["-p", "nobody"], "no intents to replay"),
        (["--from", "2009-01-01", "--to", "2008-01-01"], "swap them"),
        (["--policy", "nothing"], "names no policy"),
        (["--from", "2030-01-01"], "has no session"),
    ],
)
def test_wrong_use_is_said_with_its_remedy(sample_home, arguments, why):
    result = CliRunner().invoke(app, ["control", "counterfactual", *arguments, "--home", str(sample_home.root)])
    assert result.exit_code == 2
    assert why in " ".join(result.output.split())


def test_a_home_without_intents_says_what_to_import(home):
    result = CliRunner().invoke(app, ["control", "counterfactual", "--home", str(home.root)])
    assert result.exit_code == 2
    assert "no intents are imported yet" in " ".join(result.output.split())
