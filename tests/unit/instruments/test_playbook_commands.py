"""`portfolio playbooks`: what a person sees, and the exit code."""

from portfolio_platform.home import Home
from tests.e2e.running import portfolio


def test_a_playbook_is_begun_looked_through_and_listed_as_the_homes_own(home: Home) -> None:
    begun = portfolio("playbooks", "init", "my_channel", "--home", home.root)
    assert begun.exit_code == 0 and "my_channel.toml; change it, then `portfolio playbooks validate" in begun.text
    looked = portfolio("playbooks", "validate", "--home", home.root)
    assert looked.exit_code == 0 and "ok my_channel.toml, hash" in looked.text
    listed = portfolio("playbooks", "list", "--json", "--home", home.root).json
    assert [item["name"] for item in listed if item["own"]] == ["my_channel"]
    assert portfolio("playbooks", "init", "my_channel", "--home", home.root).exit_code == 2
    assert portfolio("playbooks", "init", "My Channel", "--home", home.root).exit_code == 2


def test_what_is_wrong_with_a_file_is_said_with_its_field_and_the_exit_code(home: Home) -> None:
    portfolio("playbooks", "init", "mine", "--like", "trend_rider", "--home", home.root)
    path = home.root / "playbooks" / "mine.toml"
    path.write_text(path.read_text().replace("close_vs_sma_20", "close_vs_sma_21").replace("above_high_5", "above_high_6"))
    looked = portfolio("playbooks", "validate", path, "--home", home.root)
    assert looked.exit_code == 1
    assert "thesis.long.1.feature: it is 'close_vs_sma_21', which is no feature; near names are close_vs_sma_20" in looked.text
    (told,) = portfolio("playbooks", "validate", path, "--json", "--home", home.root).json
    assert [fault["field"] for fault in told["faults"]] == ["thesis.long.1.feature", "activation.long.1.feature"]
    shown = portfolio("playbooks", "show", "mine", "--home", home.root)
    assert shown.exit_code == 1 and "playbook mine.toml: thesis.long.1.feature" in shown.text


def test_a_playbook_is_shown_in_words_with_what_is_expected_of_it(home: Home) -> None:
    shown = portfolio("playbooks", "show", "donchian_channel", "--home", home.root)
    assert "long entry at a close of 1d: above_high_20 above 0" in shown.text
    assert "stop: 2 times the average true range of 20 bars" in shown.text
    assert "│ all" in shown.text
    assert "never arms a thesis" in portfolio("playbooks", "show", "wait", "--home", home.root).text
    unknown = portfolio("playbooks", "show", "donchian", "--home", home.root)
    assert unknown.exit_code == 2 and "did you mean donchian_channel?" in unknown.text


def test_without_playbooks_of_its_own_there_is_nothing_to_look_through(home: Home) -> None:
    ran = portfolio("playbooks", "validate", "--home", home.root)
    assert ran.exit_code == 2 and "there is no playbook in this home; name a file, or write one with" in ran.text


def test_research_counts_each_regime_with_its_interval(sample_home: Home) -> None:
    span = ("--from", "2006-06-01", "--to", "2007-06-30", "--home", sample_home.root)
    told = portfolio("playbooks", "research", "donchian_channel", "--symbol", "AAPL", "--symbol", "SPX", "--json", *span).json
    total = told["records"][0]
    assert total["regime"] == "all" and total["n"] >= 5 and total["mean_low"] < total["mean"] < total["mean_high"]


def test_research_of_nothing_says_why(home: Home) -> None:
    span = ("--from", "2006-06-01", "--to", "2007-06-30", "--home", home.root)
    assert "never trades" in portfolio("playbooks", "research", "wait", *span).text
    swapped = portfolio("playbooks", "research", "donchian_channel", "--from", "2007-01-01", "--to", "2006-01-01", "--home", home.root)
    assert swapped.exit_code == 2 and "--to 2006-01-01 is before --from 2007-01-01; swap them" in swapped.text
