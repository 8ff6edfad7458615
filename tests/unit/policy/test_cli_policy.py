"""`portfolio policy`: what a person sees, and the exit code."""

from datetime import date
from pathlib import Path

from portfolio_platform.home import Home
from portfolio_platform.monitor.pipeline.reports import publish_reports
from tests.e2e.running import portfolio
from tests.unit.explain.conftest import weekday

TIGHT = "version = 2\neffective_from = {}\n[heat]\ncap = 0.01\n"


def put(home: Home, day: date, text: str = TIGHT) -> None:
    (home.policies / "default@tight.toml").write_text(text.format(day))


def test_show_prints_what_holds_on_a_day_and_where_it_is_not_the_shipped_value(home: Home) -> None:
    put(home, date(2010, 6, 1))
    now = portfolio("policy", "show", "--different", "--home", home.root)
    assert "in force from 2010-06-01 on" in now.text and "heat.cap" in now.text and "0.01" in now.text
    assert "turnover.window" not in now.text
    then = portfolio("policy", "show", "default", "--on", "2010-05-31", "--section", "heat", "--json", "--home", home.root).json
    (cap,) = [item for item in then["values"] if item["key"] == "heat.cap"]
    assert cap == {"key": "heat.cap", "value": 0.06, "shipped": 0.06, "differs": False}
    assert (then["version"], then["source"], then["effective_from"]) == (1, "default.toml", None)


def test_validate_says_what_is_wrong_and_fails(home: Home, tmp_path: Path) -> None:
    assert portfolio("policy", "validate", "--home", home.root).exit_code == 0
    bad = tmp_path / "bad.toml"
    bad.write_text("[heat]\ncapp = 1\n")
    ran = portfolio("policy", "validate", bad, "--home", home.root)
    assert ran.exit_code == 1 and "heat.capp: there is no such key; write heat.cap" in ran.text
    bad.write_text("[heat]\nsigma_minimum = 90\n")
    ran = portfolio("policy", "validate", bad, "--home", home.root)
    assert ran.exit_code == 0 and "odd bad.toml" in ran.text
    (told,) = portfolio("policy", "validate", bad, "--json", "--home", home.root).json
    assert told["ok"] and told["doubts"][0]["key"] == "heat.sigma_minimum"


def test_diff_shows_both_values_of_what_differs(home: Home) -> None:
    put(home, date(2010, 6, 1))
    ran = portfolio("policy", "diff", "default@2010-05-31", "default", "--home", home.root)
    assert "0.06" in ran.text and "0.01" in ran.text and "heat.cap" in ran.text and "heat.sigmas" not in ran.text
    told = portfolio("policy", "diff", "shipped", "default", "--json", "--home", home.root).json
    assert {item["key"]: (item["a"], item["b"]) for item in told["differences"]} == {"version": (1, 2), "heat.cap": (0.06, 0.01)}
    assert "they say the same" in portfolio("policy", "diff", "default", "default", "--home", home.root).text
    assert portfolio("policy", "diff", "default", "nothing", "--home", home.root).exit_code == 2


def test_history_tells_what_is_in_force_what_was_used_and_what_is_in_no_file_any_more(small: Home) -> None:
    publish_reports(small, [weekday(10)])
    (small.policies / "default.toml").write_text("[heat]\ncap = 0.05\n")
    put(small, weekday(15))
    entries = portfolio("policy", "history", "--json", "--home", small.root).json
    assert [(entry["source"], entry["in_force"], entry["reports"]) for entry in entries] == [
        ("default.toml", False, 0),
        ("default@tight.toml", True, 0),
        ("", False, 1),
    ]
    assert entries[2]["first_day"] == str(weekday(10)) and entries[2]["archived_at"] and not entries[1]["archived_at"]
    assert "in no file any more" in portfolio("policy", "history", "--home", small.root).text


def test_an_expired_policy_fails_with_a_remedy_wherever_it_is_asked_for(small: Home) -> None:
    (small.policies / "default.toml").write_text(f"expires = {weekday(28)}\n")
    for command in (("policy", "show"), ("policy", "validate"), ("build",)):
        ran = portfolio(*command, "--home", small.root)
        assert ran.exit_code == 1 and f"expired on {weekday(28)}" in ran.text and "effective_from" in ran.text, command
    assert "in no file" not in portfolio("policy", "history", "--home", small.root).text


def test_what_if_counts_what_would_have_been_told(small: Home, tmp_path: Path) -> None:
    tight = tmp_path / "tight.toml"
    tight.write_text("[heat]\ncap = 0.001\n")
    window = ("--from", weekday(10), "--to", weekday(20), "--home", small.root)
    ran = portfolio("policy", "what-if", "--policy", tight, *map(str, window))
    assert ran.exit_code == 0 and "days would have said something else" in ran.text
    told = portfolio("policy", "what-if", "--policy", tight, "-p", "main", "--json", *map(str, window)).json
    heat = next(item for item in told["counts"] if (item["of"], item["name"]) == ("sessions firing", "heat"))
    assert heat["instead"] > heat["told"] and told["days"]
    other = tmp_path / "other.toml"
    other.write_text("[accounting]\nmax_mark_age = 9\n")
    refused = portfolio("policy", "what-if", "--policy", other, *map(str, window))
    assert refused.exit_code == 1 and "one convention" in refused.text
    assert portfolio("policy", "what-if", "--policy", tight, "-p", "nobody", *map(str, window)).exit_code == 2
