"""Every command: help, JSON on standard output alone, the as-of time, exit codes, and words that need no guessing."""

from pathlib import Path

import pytest

from portfolio_platform.home import Home
from portfolio_platform.version import __version__
from tests.conftest import SAMPLE
from tests.e2e.running import fill, fills, portfolio

COMMANDS = ("init", "doctor", "import", "quarantine", "build", "compact", "show", "report")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_the_home_and_the_as_of_time(command: str) -> None:
    ran = portfolio(command, "--help")
    assert ran.exit_code == 0
    for option in ("--home", "--as-of", "--json"):
        assert option in ran.stdout


def test_without_a_command_the_help_lists_all_of_them() -> None:
    assert all(command in portfolio("--help").stdout for command in COMMANDS)
    assert portfolio("--version").stdout.strip() == __version__


WRONG = [("frobnicate",), ("show",), ("show", "fills", "--colour"), ("import",), ("report", "--format", "pdf")]


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_use_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    assert portfolio(*arguments).exit_code == 2


@pytest.mark.parametrize(
    "arguments", [("import", "x.csv"), ("quarantine",), ("build",), ("show", "fills"), ("report",)], ids=lambda arguments: arguments[0]
)
def test_a_home_that_does_not_exist_names_init_and_creates_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ran = portfolio(*arguments, "--home", tmp_path / "nowhere")
    assert ran.exit_code == 2 and "portfolio init" in ran.stderr and ran.stdout == ""
    assert not (tmp_path / "nowhere").exists()


def test_doctor_of_a_home_that_does_not_exist_fails_and_names_init(tmp_path: Path) -> None:
    ran = portfolio("doctor", "--home", tmp_path / "nowhere")
    assert ran.exit_code == 1 and "portfolio init" in ran.text
    assert [item["level"] for item in portfolio("doctor", "--json", "--home", tmp_path / "nowhere").json].count("fail") == 1


@pytest.mark.parametrize("value", ["yesterday", "2010-13-01", "2010-12-31T10:00:00", "9999-12-31", "0001-01-01", "1969-12-31", ""])
@pytest.mark.parametrize("command", ["show", "build", "report"])
def test_an_as_of_time_that_is_none_is_wrong_use(home: Home, command: str, value: str) -> None:
    arguments = (command, "fills") if command == "show" else (command,)
    assert portfolio(*arguments, "--as-of", value, "--home", home.root).exit_code == 2


@pytest.mark.parametrize("option", ["--from", "--to"])
@pytest.mark.parametrize("value", ["9999-12-31", "0001-01-01", "May"])
def test_a_day_that_is_none_is_wrong_use(home: Home, option: str, value: str) -> None:
    assert portfolio("show", "fills", option, value, "--home", home.root).exit_code == 2


def test_init_twice_keeps_what_is_there(tmp_path: Path) -> None:
    root = tmp_path / "home"
    first = portfolio("init", "--pin-clock", "2010-12-31", "--json", "--home", root)
    assert first.exit_code == 0 and first.json["home"] == str(root)
    (root / "policies" / "default.toml").write_text("version = 3\n", encoding="utf-8")
    again = portfolio("init", "--home", root)
    assert again.exit_code == 0 and "portfolio import" in again.text and "2010-12-31" in again.text
    assert Home(root).policy().version == 3
    assert portfolio("init", "--unpin-clock", "--home", root).exit_code == 0 and Home(root).pinned_at is None
    assert portfolio("init", "--pin-clock", "2010-12-31", "--unpin-clock", "--home", root).exit_code == 2


def test_the_way_from_fills_to_a_report_is_told_at_each_step(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "my trades.csv"
    path.write_text(fills(fill(1), fill(2), fill(3, side="sell")), encoding="utf-8")
    assert "portfolio import" in portfolio("build", "--home", home.root).text
    ran = portfolio("import", path, "--home", home.root, width=80)
    assert ran.exit_code == 0 and "recognised as fills" in ran.text
    for hint in ("bars.csv", "cash_flows.csv", "instruments.csv", "next: portfolio build"):
        assert hint in ran.text
    assert "…" not in ran.stdout, "nothing is cut on a narrow terminal"
    built = portfolio("build", "--home", home.root)
    assert built.exit_code == 0 and "next: portfolio report" in built.text
    assert portfolio("report", "--home", home.root).exit_code == 0
    again = portfolio("import", path, "--home", home.root)
    assert again.exit_code == 0 and "next:" not in again.text
    assert "up to date" in portfolio("build", "--home", home.root).text


def test_initial_cash_funds_the_portfolio_once_and_another_amount_is_refused(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    path.write_text(fills(fill(1, portfolio="")), encoding="utf-8")
    ran = portfolio("import", path, "--portfolio", "mine", "--initial-cash", "5000.50", "--home", home.root)
    assert ran.exit_code == 0 and "mine starts with 5000.50" in ran.text and "--initial-cash gives" not in ran.text
    assert portfolio("import", path, "--portfolio", "mine", "--initial-cash", "5000.5", "--home", home.root).exit_code == 0
    other = portfolio("import", path, "--portfolio", "mine", "--initial-cash", "6000", "--home", home.root)
    assert other.exit_code == 1 and "5000.5" in other.stderr
    (row,) = portfolio("show", "cash_flows", "--json", "--home", home.root).json
    assert (row["portfolio"], row["amount"], row["ts"]) == ("mine", "5000.5", "2010-05-03T14:29:59.999999999Z")


@pytest.mark.parametrize("amount", ["much", "-1", "0", "nan", "inf", "1e30", "0.0000000000000000001"])
def test_an_initial_cash_that_is_no_amount_is_wrong_use(home: Home, tmp_path: Path, amount: str) -> None:
    path = tmp_path / "fills.csv"
    path.write_text(fills(fill(1)), encoding="utf-8")
    ran = portfolio("import", path, f"--initial-cash={amount}", "--home", home.root)
    assert ran.exit_code == 2 and amount in ran.stderr
    assert portfolio("show", "fills", "--json", "--home", home.root).json == []


def test_paths_that_hold_nothing_are_wrong_use(home: Home, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert portfolio("import", tmp_path / "nothing.csv", "--home", home.root).exit_code == 2
    ran = portfolio("import", tmp_path / "empty", "--home", home.root)
    assert ran.exit_code == 2 and "fills.csv" in ran.stderr
    (tmp_path / "random.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    unknown = portfolio("import", tmp_path / "random.csv", "--home", home.root)
    assert unknown.exit_code == 2 and "random.csv" in unknown.stderr
    assert portfolio("import", tmp_path / "empty", "--format", "xml", "--home", home.root).exit_code == 2


def test_the_sample_imported_twice_changes_nothing(sample_copy: Home) -> None:
    ran = portfolio("import", SAMPLE, "--json", "--home", sample_copy.root)
    assert ran.exit_code == 0
    assert sum(fact["imported"] for fact in ran.json["facts"]) == 0
    assert sum(fact["known"] for fact in ran.json["facts"]) == sum(fact["read"] for fact in ran.json["facts"]) > 17_000
    built = portfolio("build", "--json", "--home", sample_copy.root)
    assert built.exit_code == 0
    assert {result["changed_from"] for result in built.json.values()} == {None}


def test_build_until_stops_there_and_as_of_does_the_same(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    path.write_text(fills(fill(1), fill(2)), encoding="utf-8")
    portfolio("import", path, "--home", home.root)
    assert portfolio("build", "--until", "2010-05-03", "--json", "--home", home.root).json["ledger"]["until"] == "2010-05-03"
    assert portfolio("build", "--as-of", "2010-05-05", "--json", "--home", home.root).json["ledger"]["until"] == "2010-05-05"
    assert portfolio("build", "--until", "2011-05-05", "--json", "--home", home.root).json["ledger"]["until"] == "2010-12-31"


def test_a_damaged_table_is_a_problem_with_a_remedy(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    path.write_text(fills(fill(1)), encoding="utf-8")
    portfolio("import", path, "--home", home.root)
    for file in (home.root / "lake" / "fills").rglob("*.parquet"):
        file.write_bytes(b"no parquet")
    ran = portfolio("show", "fills", "--home", home.root)
    assert ran.exit_code == 1 and "portfolio doctor" in ran.stderr
    assert portfolio("doctor", "--home", home.root).exit_code == 1


def test_quarantine_of_an_unknown_portfolio_is_wrong_use(sample_home: Home) -> None:
    ran = portfolio("quarantine", "--portfolio", "cor", "--home", sample_home.root)
    assert ran.exit_code == 2 and "did you mean core" in ran.stderr
    assert portfolio("quarantine", "--portfolio", "core", "--json", "--home", sample_home.root).json == []


def test_doctor_prints_json_and_ends_well_on_the_sample(sample_home: Home) -> None:
    ran = portfolio("doctor", "--json", "--home", sample_home.root)
    assert ran.exit_code == 0 and {item["level"] for item in ran.json} <= {"ok", "info", "warn"}
