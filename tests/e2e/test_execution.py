"""`portfolio execution`: from an approved plan to what was done of it, as it is typed; and a plan of the ledger, closed in the ledger."""

from datetime import date
from pathlib import Path

import pytest

from portfolio_platform.home import Home
from tests.e2e.running import Ran, portfolio
from tests.unit.desk.desk_examples import SAMPLE, with_samples
from tests.unit.desk.execution_examples import approved, copy_of, home_with_approved_plan, ledger_rows

NOW = "2026-01-05T15:00:00Z"
COMMANDS = ("report", "status", "log", "due", "paper", "watch")


@pytest.fixture(scope="module")
def approved_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The samples, with an approved plan; tests work on copies."""
    return home_with_approved_plan(tmp_path_factory.mktemp("approved") / "home")


@pytest.fixture
def desk(approved_home: Home, tmp_path: Path) -> Home:
    """A copy of it, at 2026-01-05 14:45 UTC."""
    return copy_of(approved_home, tmp_path / "desk")


def run(home: Home, *arguments: str | Path, now: str = NOW, group: str = "execution", width: int = 80) -> Ran:
    return portfolio(group, *arguments, "--home", home.root, "--as-of", now, width=width)


def test_every_command_has_help_with_the_home_and_the_as_of_time() -> None:
    for command in COMMANDS:
        ran = portfolio("execution", command, "--help")
        assert ran.exit_code == 0 and all(option in ran.stdout for option in ("--home", "--as-of")), command


def test_a_trader_fills_in_the_template_in_two_parts_and_the_plan_is_over(desk: Home, tmp_path: Path) -> None:
    name = approved(desk).execution_id
    file = tmp_path / "fills.csv"
    assert "a row for each trade that is left" in run(desk, "report", name[-8:], "--template", "-o", file).text
    text = file.read_text()
    sells = "\n".join(line.replace(",0.00,", ",4.95,2026-01-05T14:50:00Z") if line[:1] == "S" else line for line in text.splitlines())
    file.write_text(sells)
    ran = run(desk, "report", name, "--csv", file, "--by", "bob")
    assert ran.exit_code == 0, ran.text
    assert "2 taken, 8 passed over (no quantity or time); 2 came into the ledger" in ran.text
    assert "fee: S01 sell NEM: fees of 4.95, planned 0.00" in ran.text
    assert "2 of 10 trades done" in ran.text and "all limits hold" in ran.text and "What must hold afterwards:" in ran.text
    again = run(desk, "report", name, "--csv", file, "--by", "bob")
    assert "nothing of it is new: nothing has changed" in again.text and "0 came into the ledger" in again.text
    one = run(desk, "report", name, "--by", "bob", "--trade", "B01", "--quantity", "310", "--price", "150")
    assert one.exit_code == 0 and "B01" in one.text
    rest = run(desk, "report", name, "--template").stdout.replace(",0.00,", ",,2026-01-05T14:55:00Z")
    file.write_text(rest)
    assert run(desk, "report", name, "--csv", file, "--by", "bob").exit_code == 0
    over = run(desk, "status", name)
    assert "executed; 10 of 10 trades done" in over.text and "next due:" in over.text
    log = run(desk, "log", name)
    assert "sell 975 NEM at 80, fee 4.95" in log.text and "buffer then" in log.text and "conviction" in log.text
    folder = desk.root / "executions" / name
    assert {"execution_report.html", "execution_report.md", "execution_report.json", "portfolio_document.r1.md"} <= {
        path.name for path in folder.iterdir()
    }
    due = run(desk, "due", "--json", now="2026-01-06T15:00:00Z").json
    assert {one["kind"] for one in due if one["is_due"]} == {"daily_allocation", "next_review"}
    first = due[0]["item_id"]
    assert "done: " in run(desk, "due", "--done", first, "--by", "ann", now="2026-01-06T15:00:00Z").text
    assert run(desk, "due", "--done", first, "--by", "ann", now="2026-01-06T15:00:00Z").exit_code == 2
    assert "nothing new" in run(desk, "watch", now="2026-01-06T16:00:00Z").text


def test_the_form_asks_trade_by_trade_enter_takes_the_planned_and_what_cannot_be_right_is_asked_again(desk: Home) -> None:
    from typer.testing import CliRunner

    from portfolio_platform.cli.main import app

    name = approved(desk).execution_id
    answers = ["y", "", "79.9", "", "2026-01-05T14:50:00Z", "x", "no buyer", "y", "lots", "", "", "", "", "", "", "", "q", "bob"]
    given = ["execution", "report", name, "--interactive", "--home", str(desk.root), "--as-of", NOW]
    ran = CliRunner().invoke(app, given, input="\n".join(answers) + "\n", env={"COLUMNS": "200"})
    assert ran.exit_code == 0, ran.output
    assert "is not a number" in ran.output
    rows = [(row["symbol"], row["quantity"], float(row["price"])) for row in ledger_rows(desk)]
    assert rows == [("NVDA", 310, 150.0), ("NEM", 975, 79.9)]
    status = run(desk, "status", name, "--json").json
    assert [row["status"] for row in status["trades"][:3]] == ["filled", "given_up", "filled"]
    again = CliRunner().invoke(app, [*given, "--by", "bob"], input="q\n", env={"COLUMNS": "200"})
    assert again.exit_code == 0 and "your name" not in again.output, "who is named is not asked again"


def test_rows_that_the_ledger_set_aside_are_said(desk: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from portfolio_platform.desk import execution
    from portfolio_platform.desk.execution_files import Brought

    monkeypatch.setattr(execution, "bring_fills", lambda home: Brought(0, 1, 9))
    fill = ("--trade", "B01", "--quantity", "310", "--price", "150", "--by", "bob")
    ran = run(desk, "report", approved(desk).execution_id, *fill, width=200)
    assert "1 rows of it are not in the ledger, which set them aside" in ran.text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "say what was done"),
        (("--csv", "x.csv", "--quantity", "1"), "report in one way at a time"),
        (("--placed",), "say of which trade"),
        (("--trade", "S01", "--placed"), "--by NAME"),
        (("--trade", "S01", "--quantity", "1", "--price", "80", "--by", "bob", "--at", "2026-01-05"), "is in the future"),
    ],
)
def test_a_report_that_cannot_be_meant_says_what_to_do(desk: Home, arguments: tuple[str, ...], text: str) -> None:
    ran = run(desk, "report", approved(desk).execution_id, *arguments)
    assert ran.exit_code in (1, 2) and text in ran.text


def test_a_bad_row_is_said_and_the_exit_code_tells_while_the_good_ones_are_taken(desk: Home, tmp_path: Path) -> None:
    name = approved(desk).execution_id
    file = tmp_path / "f.csv"
    file.write_text("trade_id,quantity,price,at\nS01,975,80,2026-01-05T14:50:00Z\nZ9,1,1,2026-01-05T14:50:00Z\n")
    ran = run(desk, "report", name, "--csv", file, "--by", "bob")
    assert ran.exit_code == 1
    assert "set aside: f.csv line 3: trade_id 'Z9' is no trade of this plan" in ran.text and "1 came into the ledger" in ran.text
    assert "1 rows of reports were set aside" in run(desk, "status", name).text


def test_a_plan_that_was_never_approved_and_a_plan_that_is_not_there_are_refused(home: Home) -> None:
    from portfolio_platform.desk.prepare import prepare

    desk = with_samples(home)
    name = prepare(desk, SAMPLE).execution_id
    ran = run(desk, "report", name, "--trade", "S01", "--quantity", "1", "--price", "80", "--by", "bob")
    assert ran.exit_code == 2 and "was never approved" in ran.text
    assert run(desk, "status", "nothing-here").exit_code == 2
    assert "no plan was approved" in run(desk, "status").text


LEDGER = {
    "cash_flows.csv": "flow_id,ts,portfolio,amount,currency,kind\nf1,2026-01-02T10:00:00Z,own,100000,USD,initial_funding\n",
    "portfolios.csv": "portfolio,mode,base_currency\nown,paper,USD\n",
    "instruments.csv": "symbol,sector,currency,calendar\nFCX,Materials,USD,XNYS\nNVDA,Technology,USD,XNYS\n",
    "fills.csv": "execution_id,ts,portfolio,strategy,symbol,side,quantity,price\nx1,2026-01-02T15:00:00Z,own,trend,FCX,buy,700,50\n",
    "bars.csv": "symbol,ts,close\n"
    + "".join(f"{name},2026-01-0{day}T21:00:00Z,{price}\n" for day in (2, 5) for name, price in (("FCX", 50), ("NVDA", 150))),
}
ASKED = "## ACTION PLAN\n\n- Reduce Materials to 10%\n- Add Technology to 10%\n"


def test_a_plan_of_the_ledger_sells_what_a_strategy_holds_and_is_verified_on_the_ledger_itself(home: Home, tmp_path: Path) -> None:
    from portfolio_platform.ledger.pipeline import build
    from portfolio_platform.sources.pipeline import import_paths

    for file, content in LEDGER.items():
        (tmp_path / file).write_text(content)
    with_samples(home)
    desk = Home(home.root)
    desk.pin_clock(date(2026, 1, 5))
    import_paths(desk, [tmp_path / file for file in LEDGER])
    build(desk)
    (tmp_path / "asked.md").write_text(ASKED)
    at = "2026-01-06T00:10:00Z"
    made = run(desk, "plan", "--portfolio", "own", "--document", tmp_path / "asked.md", "--json", group="orchestrate", now=at)
    name = str(made.json["execution_id"])
    said = run(desk, "approve", name, "--by", "ann", "--reason", "ok", "--accept-conditions", group="orchestrate", now=at)
    assert said.exit_code == 0, said.text
    trades = run(desk, "status", name, "--json", now=at).json["trades"]
    assert [(row["side"], row["ticker"]) for row in trades] == [("sell", "FCX"), ("buy", "NVDA")]
    for row in trades:
        given = ("--trade", row["trade_id"], "--quantity", row["left"], "--price", row["planned_price"], "--by", "bob")
        assert run(desk, "report", name, *given, now=at).exit_code == 0
    done = run(desk, "status", name, "--json", now=at).json
    assert (done["status"], done["verification"]["source"], done["verification"]["notes"]) == ("executed", "ledger", [])
    assert done["verification"]["cash_minor"] == done["verification"]["planned_cash_minor"]
    booked = {(row["symbol"], row["strategy"], row["side"]): int(row["quantity"]) for row in ledger_rows(desk)}
    assert booked == {("FCX", "trend", "buy"): 700, ("FCX", "trend", "sell"): 500, ("NVDA", "orchestrator", "buy"): int(trades[1]["left"])}
