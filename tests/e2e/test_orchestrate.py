"""`portfolio orchestrate` and `portfolio escalations`: a trader's way from the samples to an approved plan, as it is typed."""

import json
from pathlib import Path

import pytest

from portfolio_platform.book.events import chain_head
from portfolio_platform.control.operators import add_operator
from portfolio_platform.desk.sources import folder_of
from portfolio_platform.home import Home
from tests.e2e.running import Ran, portfolio
from tests.unit.desk.desk_examples import OVER_THE_CAP, changed, document, one_file, under_control, with_samples

NOW = "2026-01-05T14:45:00Z"
PLANS = ("plan", "preview", "validate", "guide", "approve", "sign", "withdraw", "list")
WHO = ("--by", "ann", "--reason", "read it")


@pytest.fixture
def desk(home: Home, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Home:
    """A home whose folder `orchestrator` has the samples; pages and charts only for tests that look at them: the rest is quicker."""
    if request.function not in PAGES:
        monkeypatch.setattr("portfolio_platform.render.orchestration.files.files_of", one_file)
    return with_samples(home)


def run(home: Home, *arguments: str | Path, width: int = 80, now: str = NOW, group: str = "orchestrate") -> Ran:
    return portfolio(group, *arguments, "--home", home.root, "--as-of", now, width=width)


def events(home: Home) -> int:
    with home.book.reading() as connection:
        return chain_head(connection).seq


def planned(home: Home, *arguments: str | Path, now: str = NOW) -> dict[str, object]:
    """Make a plan and return what `--json` says of it."""
    found: dict[str, object] = run(home, "plan", "--portfolio", "sample", "--json", *arguments, now=now).json
    return found


@pytest.mark.parametrize("command", PLANS)
def test_every_command_has_help_with_the_home_and_the_as_of_time(command: str) -> None:
    ran = portfolio("orchestrate", command, "--help")
    assert ran.exit_code == 0 and all(option in ran.stdout for option in ("--home", "--as-of"))
    for other in ("list", "show", "answer"):
        assert portfolio("escalations", other, "--help").exit_code == 0


def test_a_trader_goes_from_the_samples_to_an_approved_plan(home: Home) -> None:
    begun = run(home, "init")
    assert begun.exit_code == 0 and "10 samples" in begun.text and "orchestrate plan --portfolio sample" in begun.text
    ran = run(home, "plan", "--portfolio", "sample")
    assert ran.exit_code == 0
    for said in ("CONDITIONAL", "conditions:", "confirm that no payment is due", "Trades, in USD", "folder:", "--accept-conditions"):
        assert said in ran.text, said
    rows = [line.split() for line in ran.stdout.splitlines() if " SELL " in line or " BUY " in line]
    assert rows[0] == ["1", "SELL", "NEM", "975", "79.60", "78,000", "103,000", "brokerage"]
    assert [row[1] for row in rows] == ["SELL"] * 2 + ["BUY"] * 8
    assert rows[-1][5:7] == ["19,980", "50,020"], "the cash after each trade is beside it"
    name = ran.stdout.splitlines()[0].removeprefix("plan ").strip()
    refused = run(home, "approve", name, *WHO)
    assert refused.exit_code == 1 and "refused (conditions)" in refused.text
    approved = run(home, "approve", name[-12:], *WHO, "--accept-conditions")
    assert approved.exit_code == 0 and "begin it before 2026-01-05 16:45 UTC" in approved.text and "execution report" in approved.text
    assert "approved" in run(home, "list").text
    guide = run(home, "guide", name)
    assert guide.exit_code == 0 and "Phase 1: SELL orders" in guide.stdout and "status: approved" in guide.text


def test_a_command_that_is_shown_can_be_typed_whatever_the_portfolio_is_called(desk: Home) -> None:
    file = changed(desk, "portfolio.json", lambda content: content.update(portfolio="a; $(rm x) [b]"))
    ran = run(desk, "plan", "--snapshot", file, width=200)
    name = ran.stdout.splitlines()[0].removeprefix("plan ").strip()
    assert name.startswith("a; $(rm x) [b]-2026") and f"orchestrate approve '{name}' --accept-conditions" in ran.stdout


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_terminal_and_break_no_number_and_no_id(desk: Home, width: int) -> None:
    ran = run(desk, "plan", "--portfolio", "sample", width=width)
    table = ran.stdout[ran.stdout.index("Trades, in USD") : ran.stdout.index("folder:")]
    assert all(len(line) <= width for line in table.splitlines())
    assert all(number in table for number in ("140,000", "243,000", "1", "49.75", "brokerage", "retirement"))
    listed = run(desk, "list", width=width)
    assert ran.stdout.split()[1][-12:] in listed.stdout and all(len(line) <= width for line in listed.stdout.splitlines())


def test_lines_that_were_not_understood_are_shown_with_their_numbers(desk: Home) -> None:
    text = "# P\n\n## ACTION PLAN\n- Reduce Materials to 30%\n- Perhaps sell 5% of Energy, \x1b[31mif\x1b[0m it rises\n"
    ran = run(desk, "plan", "--portfolio", "sample", "--document", document(desk, text))
    assert ran.exit_code == 0 and "lines that were not understood" in ran.text and "line 5: Perhaps sell 5% of Energy" in ran.text
    assert "\x1b[31m" not in ran.stdout


def test_a_preview_shows_the_six_constraints_and_records_nothing(desk: Home) -> None:
    before = events(desk)
    ran = run(desk, "preview", "--portfolio", "sample", width=120)
    assert ran.exit_code == 0 and "Constraints" in ran.text and "restriction_list" in ran.text and "nothing was recorded" in ran.text
    assert run(desk, "preview", "--portfolio", "sample", "--json").json["plan"]["verdict"] == "CONDITIONAL"
    assert events(desk) == before and not (desk.root / "executions").exists()


def test_validate_answers_in_the_json_of_the_specification(desk: Home) -> None:
    files = folder_of(desk)
    with_cash = ("--snapshot", files / "portfolio_with_cash.json")
    good = run(desk, "validate", files / "stock_recommendation.json", *with_cash)
    assert good.exit_code == 0 and good.json == {
        "status": "APPROVED_FOR_PO",
        "ticker": "NVDA",
        "conviction": 74,
        "checks": dict.fromkeys(("conviction", "position_size", "sector_cap", "cash_buffer", "restriction_list", "regime_alignment"), True),
        "reasons": [],
        "message": "Stock-Analyst NVDA APPROVED_FOR_PO: All criteria pass",
    }
    bad = run(desk, "validate", files / "stock_recommendation_rejected.json", *with_cash)
    assert bad.exit_code == 0 and bad.json["status"] == "REJECTED" and bad.json["reasons"][:2] == ["conviction", "position_size"]
    assert events(desk) == 0


def test_a_portfolio_that_moved_is_refused_and_the_new_plan_is_shown(desk: Home) -> None:
    made = planned(desk)
    changed(desk, "portfolio.json", lambda content: content["accounts"][0].update(cash="20500.00"))
    ran = run(desk, "approve", str(made["execution_id"]), *WHO, "--accept-conditions", now="2026-01-05T14:50:00Z")
    assert ran.exit_code == 1
    assert "refused (moved)" in ran.text and "a new plan was made at once" in ran.text and "Trades, in USD" in ran.text
    listed = run(desk, "list", "--all", "--json").json
    assert [one["status"] for one in listed] == ["open", "superseded"] and listed[0]["instead_of"] == made["execution_id"]
    assert listed[1]["refusals"][0]["code"] == "moved"


def test_a_violated_constraint_goes_to_the_architect_and_back(desk: Home) -> None:
    path = document(desk, OVER_THE_CAP)
    ran = run(desk, "plan", "--portfolio", "sample", "--document", path)
    assert "BLOCKED" in ran.text and "Master-Architect is asked for an exception within 30 minutes" in ran.text
    (case,) = run(desk, "list", "--json", group="escalations").json
    name, plan = case["escalation_id"], case["subject"]
    assert (case["trigger"], case["sla_minutes"], case["status"]) == ("constraint_violation", 30, "open")
    listed = run(desk, "list", group="escalations")
    assert name in listed.stdout and all(len(line) <= 80 for line in listed.stdout.splitlines())
    shown = run(desk, "show", name, "--dry-run", group="escalations")
    assert "Approve exception to sector cap OR modify plan" in shown.text and "# Dry run" in shown.stdout
    assert "Materials 42 % of at most 40 %" in shown.text
    whole = run(desk, "show", name, "--json", group="escalations").json
    assert whole["rebalancing_plan"]["verdict"] == "BLOCKED" and whole["dry_run_report"].startswith("# Dry run")
    assert run(desk, "approve", plan, *WHO, "--accept-conditions").exit_code == 1
    answer = ("answer", name, "--answer", "approve", "--by", "arch", "--reason", "staged", "--condition", "finish by March")
    answered = run(desk, *answer, group="escalations")
    assert answered.exit_code == 0 and "is approved by arch" in answered.text and f"approve {plan}" in answered.text
    assert run(desk, *answer, group="escalations").exit_code == 0, "said twice, it is said once"
    halted = run(desk, "answer", name, "--answer", "halt", "--by", "arch", "--reason", "no", group="escalations")
    assert halted.exit_code == 2 and "was approved by arch already" in halted.text
    refused = run(desk, "approve", plan, *WHO)
    assert refused.exit_code == 1 and "finish by March" in refused.text
    assert run(desk, "approve", plan, *WHO, "--accept-conditions").exit_code == 0
    assert "condition: finish by March" in run(desk, "show", name, group="escalations").text


def test_an_escalation_whose_time_is_over_shows_it_before_anybody_recorded_it(desk: Home) -> None:
    planned(desk, "--document", document(desk, OVER_THE_CAP))
    (late,) = run(desk, "list", "--json", now="2026-01-05T15:15:00Z", group="escalations").json
    assert late["status"] == "expired"
    assert "nobody waits" in run(with_samples(desk), "list", "--portfolio", "other", group="escalations").text


def test_a_live_portfolio_is_approved_by_a_key_or_by_a_line_that_was_signed_elsewhere(desk: Home, tmp_path: Path) -> None:
    under_control(desk, live=True)
    name = str(planned(desk)["execution_id"])
    key = tmp_path / "ann.pem"
    add_operator(desk, "ann", key_out=key)
    assert "asks for a signature" in run(desk, "approve", name, *WHO, "--accept-conditions").text
    token = run(desk, "sign", name, "--key", key, "--reason", "read it").stdout.strip()
    both = run(desk, "approve", name, "--key", key, "--signature", token, "--accept-conditions")
    assert both.exit_code == 2 and "one of them" in both.text
    ran = run(desk, "approve", name, "--signature", token, "--accept-conditions", "--json")
    assert ran.exit_code == 0 and ran.json["approved"] and ran.json["by"] == "ann"
    run(desk, "withdraw", name, *WHO)
    again = str(planned(desk, now="2026-01-05T14:46:00Z")["execution_id"])
    by_key = run(desk, "approve", again, "--key", key, "--reason", "read it", "--accept-conditions", now="2026-01-05T14:46:00Z")
    assert by_key.exit_code == 0, by_key.text


def test_a_conflict_with_the_envelope_blocks_and_is_shown_on_both_sides(desk: Home) -> None:
    under_control(desk, positions=2)
    ran = run(desk, "plan", "--portfolio", "sample", width=200)
    assert "BLOCKED" in ran.text and "the control plane grants 0.00 (rejected_position_count" in ran.text
    assert "plan conflict" in portfolio("doctor", "--home", desk.root, "--as-of", NOW, width=200).text


def test_a_changed_folder_is_named_and_written_anew(desk: Home) -> None:
    made = planned(desk)
    page = Path(str(made["folder"])) / "plan.html"
    before = page.read_bytes()
    page.write_text("<b>sell everything</b>")
    ran = run(desk, "guide", str(made["execution_id"]))
    assert "written anew, for they were missing or changed: plan.html" in ran.text and page.read_bytes() == before
    assert run(desk, "guide", str(made["execution_id"]), "--json").json["mended"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("plan", "--portfolio", "sample", "--document", "gone.md"), 1, "gone.md: it cannot be read"),
        (("plan", "--portfolio", "nobody"), 2, "the ledger has no portfolio 'nobody'"),
        (("plan", "--portfolio", "sample", "--profile", "v7"), 2, "there is no profile 'v7'"),
        (("guide", "nothing"), 2, "there is no plan 'nothing'"),
        (("approve", "nothing", *WHO), 2, "there is no plan 'nothing'"),
        (("withdraw", "nothing", *WHO), 2, "there is no plan 'nothing'"),
        (("validate", "gone.json", "--portfolio", "sample"), 1, "gone.json: it cannot be read"),
    ],
)
def test_what_is_wrong_is_said_with_the_exit_code_of_its_kind(desk: Home, arguments: tuple[str, ...], code: int, said: str) -> None:
    ran = run(desk, *arguments)
    assert ran.exit_code == code and said in ran.text, ran.text
    assert events(desk) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "nothing"), "there is no escalation 'nothing'"),
        (("answer", "nothing", "--answer", "halt", "--by", "a", "--reason", "b"), "there is no escalation 'nothing'"),
        (("answer", "nothing", "--answer", "maybe", "--by", "a", "--reason", "b"), "'maybe' is no answer"),
    ],
)
def test_a_wrong_answer_is_wrong_use(desk: Home, arguments: tuple[str, ...], said: str) -> None:
    ran = run(desk, *arguments, group="escalations")
    assert ran.exit_code == 2 and said in ran.text


def test_a_home_that_is_not_there_is_said(tmp_path: Path) -> None:
    for arguments in (("list",), ("plan", "--portfolio", "sample"), ("init",)):
        ran = portfolio("orchestrate", *arguments, "--home", tmp_path / "none")
        assert ran.exit_code == 2 and "there is no home" in ran.text


def test_the_json_of_a_plan_can_be_read_back_and_has_its_hash(desk: Home) -> None:
    from portfolio_platform.orchestrator.loading import load_plan

    made = planned(desk)
    assert load_plan(Path(str(made["folder"])) / "plan.json").hash == made["plan_hash"]
    assert json.loads((Path(str(made["folder"])) / "trade_list.json").read_text())


PAGES = (test_a_changed_folder_is_named_and_written_anew, test_the_json_of_a_plan_can_be_read_back_and_has_its_hash)
"""The tests that look at pages and files."""
