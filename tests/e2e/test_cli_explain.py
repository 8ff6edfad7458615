"""`portfolio why` and `portfolio verify`: trees, limits, JSON, exit codes."""

from datetime import date

import pytest
from sqlalchemy import update

from portfolio_platform.book import schema
from portfolio_platform.home import Home
from portfolio_platform.monitor.pipeline.reports import publish_reports
from tests.e2e.running import portfolio

CELL = "portfolio_heat/core/2010-12-31/use"
EARLY = date(2007, 2, 1)
REPORT = f"report:daily:core:{EARLY}:r1"


def test_why_prints_a_tree_down_to_the_files(sample_home: Home) -> None:
    ran = portfolio("why", CELL, "--depth", "12", "--home", sample_home.root)
    assert ran.exit_code == 0 and "heat / cap" in ran.text and "fills.csv.gz line" in ran.text and "└──" in ran.stdout


def test_depth_and_rows_limit_the_tree(sample_home: Home) -> None:
    base = ("why", "portfolio_equity/core/2010-12-31/market_value", "--home", sample_home.root)
    few, many = portfolio(*base, "--depth", "2", "--rows", "2"), portfolio(*base, "--depth", "2", "--rows", "99")
    assert "and 3 more" in few.text and "more" not in many.stdout and len(many.stdout) > len(few.stdout)
    assert len(portfolio(*base, "--depth", "0").stdout.splitlines()) == 1


def test_the_json_is_the_same_tree(sample_home: Home) -> None:
    tree = portfolio("why", CELL, "--json", "--home", sample_home.root).json
    assert tree["evidence_id"] == CELL and [child["title"] for child in tree["children"]] == ["heat", "cap"]
    assert tree["value"] == tree["children"][0]["value"] / tree["children"][1]["value"]


def test_a_metric_takes_its_portfolio_and_day_as_words_or_options(sample_home: Home) -> None:
    words = portfolio("why", "heat", "core", "2010-12-31", "--json", "--home", sample_home.root)
    options = portfolio("why", "heat", "--portfolio", "core", "--day", "2010-12-31", "--json", "--home", sample_home.root)
    assert words.json == options.json


def test_an_unknown_id_is_wrong_use_and_says_what_ids_look_like(sample_home: Home) -> None:
    ran = portfolio("why", "[red]nothing", "--home", sample_home.root)
    assert ran.exit_code == 2 and "[red]nothing" in ran.text and "An id is an alert" in ran.text and not ran.stdout


def test_a_report_verifies_and_a_tampered_one_does_not(sample_copy: Home) -> None:
    publish_reports(sample_copy, [EARLY])
    ran = portfolio("verify", REPORT, "--home", sample_copy.root)
    assert ran.exit_code == 0 and ran.text.startswith("equal") and "recomputes to the same" in ran.text
    with sample_copy.book.writing() as connection:
        connection.execute(update(schema.reports).where(schema.reports.c.id == REPORT).values(content=b'{"[b]x":1}'))
    ran = portfolio("verify", REPORT, "--json", "--home", sample_copy.root)
    assert ran.exit_code == 1 and ran.json["equal"] is False and ran.json["same_code"] is True
    assert "[b]x" in {difference["path"] for difference in ran.json["differences"]}
    sample_copy.book.close()


@pytest.mark.parametrize("identity", ["report:daily:core:2001-01-01:r1", "nothing", "alert:core:heat::2001-01-01"])
def test_what_cannot_be_verified_is_wrong_use(sample_home: Home, identity: str) -> None:
    assert portfolio("verify", identity, "--home", sample_home.root).exit_code == 2
