"""Versions of a policy in the files of a home."""

from datetime import date
from pathlib import Path

import pytest

from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.policy.assigned import policy_in_force
from portfolio_platform.policy.load import load_policy, policy_names
from portfolio_platform.policy.timeline import NoPolicyInForce


def write(home: Home, file: str, text: str) -> None:
    (home.policies / file).write_text(text)


def test_a_home_has_the_policy_in_force_on_a_day(home: Home) -> None:
    write(home, "default@autumn.toml", "version = 2\neffective_from = 2010-10-01\n[heat]\ncap = 0.05\n")
    assert (home.policy(on=date(2010, 9, 30)).version, home.policy(on=date(2010, 10, 1)).version) == (1, 2)
    assert home.policy().heat.cap == 0.05, "today is the last day of 2010"
    assert policy_in_force(home, "core", date(2010, 9, 30)).heat.cap == 0.06
    assert policy_in_force(home, "core").heat.cap == 0.05
    assert policy_names(home.policies) == ["default"]


def test_a_file_that_does_not_say_its_name_has_that_of_its_file(home: Home) -> None:
    write(home, "tight.toml", "[heat]\ncap = 0.05\n")
    assert home.policy("tight").name == "tight"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("tight.toml", 'name = "loose"\n', r"tight\.toml: it says name = 'loose'.*write name = 'tight', or rename the file"),
        ("tight@1.toml", 'name = "tight@1"\n', "write name = 'tight'"),
        ("tight.toml", 'effective_from = "2010-01-01"\n', "effective_from: '2010-01-01' is no day; write effective_from = 2009-01-01"),
        ("tight.toml", "effective_from = 2010-01-01T00:00:00Z\n", "without quotes and without a time"),
        ("tight.toml", "expires = 5\n", "expires: 5 is no day"),
        ("tight.toml", "effective_form = 2010-01-01\n", "effective_form"),
        ("tight@a b.toml", "", "rename it"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_remedy(home: Home, file: str, text: str, said: str) -> None:
    write(home, file, text)
    with pytest.raises(DataProblem, match=said):
        home.timeline("tight")


def test_a_policy_needs_a_file_and_a_name_that_can_be_one(home: Home) -> None:
    with pytest.raises(DataProblem, match=r"tight\.toml is not there"):
        home.policy("tight")
    with pytest.raises(WrongUse, match="no name of a policy"):
        home.policy("../secret")


def test_the_same_text_in_another_file_is_read_anew(home: Home) -> None:
    for version in (2, 3):
        write(home, "default.toml", f"version = {version}\n")
        assert home.policy().version == version


def test_dates_change_nothing_of_the_policy_itself(home: Home) -> None:
    path = home.policies / "default.toml"
    plain = load_policy(path)
    path.write_text("effective_from = 2009-01-01\nexpires = 2011-01-01\n" + path.read_text())
    assert load_policy(path) == plain and home.policy().hash == plain.hash


def test_an_expired_policy_is_not_in_force_and_platform_messages_still_go_out(home: Home) -> None:
    from portfolio_platform.alerts.heartbeat import platform_alert

    write(home, "default.toml", "expires = 2010-12-30\n")
    with pytest.raises(NoPolicyInForce, match=r"expired on 2010-12-30.*default@2010-12-31\.toml"):
        home.policy()
    told = platform_alert(home, "run_failed", "refresh", "critical", "The run failed.", "Look at it.")
    assert told is not None and told.state != "resolved"


def test_a_backup_keeps_every_version(home: Home, tmp_path: Path) -> None:
    from portfolio_platform.upkeep.backup import back_up
    from portfolio_platform.upkeep.restore import restore

    write(home, "default@2010-10-01.toml", "version = 2\neffective_from = 2010-10-01\n")
    back_up(home, tmp_path / "kept.tar")
    again = Home(tmp_path / "again")
    restore(tmp_path / "kept.tar", again)
    assert again.timeline().hash == home.timeline().hash and len(again.timeline().versions) == 2
