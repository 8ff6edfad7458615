"""The steps of `make run` in a temporary home, with the environment that is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(home: Path) -> str:
    environment = {
        **os.environ,
        "PORTFOLIO_HOME": str(home),
        "PORTFOLIO_DAGSTER_STORAGE": str(home / "dagster"),
        "DAGSTER_HOME": str(ROOT),
        "COLUMNS": "120",
        "HOME": str(home.parent),
    }
    done = subprocess.run(
        [sys.executable, "-m", "sensors.run_now", "--sample", "sample_data"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("make") / "home"


@pytest.fixture(scope="module")
def first(home: Path) -> str:
    return run(home)


def test_it_imports_runs_both_jobs_and_prints_the_newest_reports(first, home):
    assert "imported 2,527 fills" in first
    assert "ran job refresh: 27 materialisations, 13 of 14 checks held" in first
    assert "ran job publish_reports: 2,918 materialisations" in first
    for portfolio, equity in (("core", "1,998,988"), ("macro", "498,662")):
        assert portfolio in first and equity in first
        page = home / "reports" / portfolio / "2010-12-31.html"
        assert str(page) in first and page.read_text().startswith("<!DOCTYPE html>")


def test_a_second_run_imports_nothing_twice_and_runs_nothing(first, home):
    second = run(home)
    assert "nothing new" in second
    assert "up to date" in second
    assert "ran job" not in second


def test_its_portfolios_are_under_control_and_the_log_is_audited(first, home):
    assert "ran job control_cycle: 3 materialisations" in first
    assert "ran job daily_audit: 1 materialisations, 3 of 3 checks held" in first
    assert "under control core, macro" in first and "control state core" in first


def test_a_paper_portfolio_closes_the_loop_in_a_home_of_its_own(first, home):
    assert "On paper by itself: 2008-01-02 to 2008-12-31" in first
    assert "closed trades" in first and "most by" in first and "figures" in first
    page = home / "paper-home" / "paper" / "paper" / "page.html"
    assert str(page) in first and page.read_text().startswith("<!DOCTYPE html>")
    assert not (home / "paper").exists()


def test_what_dagster_stores_lies_in_the_home(first, home):
    assert (home / "dagster").is_dir()
    assert {path.name for path in home.iterdir()} >= {"lake", "book.sqlite", "policies", "inbox", "reports", "dagster"}
