"""`portfolio show` and `portfolio report`: formats, filters, days, near matches, and standard output for data alone."""

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from portfolio_platform.home import Home
from portfolio_platform.lake.derived import TABLES
from tests.e2e.running import fill, fills, portfolio


@pytest.mark.parametrize("table", TABLES)
def test_every_table_is_strict_json(sample_home: Home, table: str) -> None:
    day = ("--from", "2010-12-30") if {"day", "ts"} & set(TABLES[table].column_names) else ()
    ran = portfolio("show", table, "--json", *day, "--home", sample_home.root)
    assert ran.exit_code == 0 and isinstance(ran.json, list)


def test_the_tables_are_listed(sample_home: Home) -> None:
    assert {row["name"] for row in portfolio("show", "tables", "--json").json} == set(TABLES)
    assert "drawdown_state" in portfolio("show", "tables", "--home", sample_home.root).stdout


def test_the_formats_hold_the_same_rows(sample_home: Home, tmp_path: Path) -> None:
    base = ("show", "fills", "--portfolio", "core", "--from", "2010-12-01", "--to", "2010-12-20", "--home", sample_home.root)
    rows = portfolio(*base, "--json").json
    assert rows and {row["portfolio"] for row in rows} == {"core"}
    assert all("2010-12-01" <= row["ts"] <= "2010-12-21T00:00:00Z" for row in rows)
    listed = list(csv.DictReader(io.StringIO(portfolio(*base, "--format", "csv").stdout)))
    assert [row["execution_id"] for row in listed] == [row["execution_id"] for row in rows]
    for form in ("csv", "json", "parquet"):
        file = tmp_path / f"fills.{form}"
        assert portfolio(*base, "--format", form, "--output", file).exit_code == 0 and file.stat().st_size
    assert pq.read_table(tmp_path / "fills.parquet").num_rows == len(rows) == len(json.loads((tmp_path / "fills.json").read_text()))
    printed = portfolio(*base, "--limit", "3")
    assert f"fills: 3 of {len(rows)} rows" in printed.stdout and "older rows" in printed.stderr


def test_a_printed_table_fits_a_narrow_terminal(sample_home: Home) -> None:
    ran = portfolio("show", "portfolio_equity", "--limit", "3", "--home", sample_home.root, width=80)
    assert ran.exit_code == 0 and max(map(len, ran.stdout.splitlines())) <= 80 and "reason" in ran.stdout


def test_a_past_as_of_time_leaves_out_what_came_later(sample_home: Home) -> None:
    for table, column in (("fills", "ts"), ("portfolio_equity", "day"), ("round_trips", "day")):
        rows = portfolio("show", table, "--json", "--as-of", "2007-06-30", "--home", sample_home.root).json
        assert rows and max(row[column] for row in rows) <= "2007-07-01T00:00:00Z"
    report = portfolio("report", "--json", "--portfolio", "core", "--as-of", "2007-06-30", "--home", sample_home.root)
    assert report.json["day"] == "2007-06-29"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "fils"), "did you mean fills"),
        (("show", "zzz"), "portfolio show tables"),
        (("show", "fills", "--portfolio", "Core"), "did you mean core"),
        (("show", "fills", "--portfolio", "zzz"), "there is core, macro"),
        (("show", "bars", "--portfolio", "core"), "has no portfolios"),
        (("show", "instruments", "--from", "2010-01-01"), "has no days"),
        (("show", "fills", "--from", "2010-02-01", "--to", "2010-01-01"), "swap them"),
        (("show", "fills", "--limit", "-1"), "--limit"),
        (("report", "--portfolio", "Core"), "core"),
        (("report", "--provenance"), "--format json"),
        (("report", "--format", "html"), "choose one with --portfolio"),
        (("report", "--output", "x.md"), "choose one with --portfolio"),
    ],
)
def test_a_wrong_name_is_wrong_use_and_what_was_meant_is_told(sample_home: Home, arguments: tuple[str, ...], said: str) -> None:
    ran = portfolio(*arguments, "--home", sample_home.root)
    assert ran.exit_code == 2 and said in " ".join(ran.stderr.split()) and ran.stdout == ""


def test_a_portfolio_without_rows_in_a_table_is_no_mistake(sample_home: Home) -> None:
    ran = portfolio("show", "fills", "--portfolio", "core", "--to", "2006-12-31", "--home", sample_home.root)
    assert ran.exit_code == 0 and ran.stdout.strip() == "fills: no rows"


def test_a_file_that_cannot_be_written_is_a_problem(sample_home: Home, tmp_path: Path) -> None:
    missing = tmp_path / "no" / "file"
    for arguments in (("show", "instruments", "--json"), ("report", "--portfolio", "core")):
        ran = portfolio(*arguments, "--output", missing, "--home", sample_home.root)
        assert ran.exit_code == 1 and "No such file" in ran.stderr


@pytest.mark.parametrize(("form", "start"), [("md", "#"), ("html", "<!doctype"), ("json", "{"), ("text", "core")])
def test_every_format_of_a_report(sample_home: Home, tmp_path: Path, form: str, start: str) -> None:
    base = ("report", "--portfolio", "core", "--day", "2010-12-30", "--format", form, "--home", sample_home.root)
    ran = portfolio(*base)
    assert ran.exit_code == 0 and ran.stderr == "" and ran.stdout.lower().startswith(start)
    file = tmp_path / "report"
    assert portfolio(*base, "--output", file).stdout == ""
    assert file.read_text(encoding="utf-8").lower().startswith(start)


def test_reports_of_all_portfolios_are_one_json_document(sample_home: Home) -> None:
    ran = portfolio("report", "--json", "--home", sample_home.root)
    assert [report["portfolio"] for report in ran.json] == ["core", "macro"]


def test_a_report_is_the_same_twice_and_provenance_says_what_it_rests_on(sample_home: Home) -> None:
    base = ("report", "--portfolio", "macro", "--json", "--home", sample_home.root)
    assert portfolio(*base).stdout == portfolio(*base).stdout
    whole = portfolio(*base, "--provenance").json
    assert whole["revision"] == 1 and whole["provenance"]["import_seq"] == 1 and len(whole["content_hash"]) == 64
    assert whole["content"] == portfolio(*base).json


@pytest.mark.parametrize("day", ["2010-12-25", "2011-06-01", "2006-01-01"])
def test_a_day_without_a_session_is_a_problem_that_names_one_that_had_one(sample_home: Home, day: str) -> None:
    ran = portfolio("report", "--portfolio", "core", "--day", day, "--home", sample_home.root)
    assert ran.exit_code in (1, 2) and ran.stdout == "" and ran.stderr


def test_a_warning_stays_off_standard_output(sample_copy: Home, tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    path.write_text(fills(fill(1, portfolio="core")), encoding="utf-8")
    portfolio("import", path, "--home", sample_copy.root)
    ran = portfolio("report", "--portfolio", "core", "--json", "--home", sample_copy.root)
    assert ran.json["portfolio"] == "core" and "not accounted for yet" in ran.stderr
