"""`portfolio alerts`, `recommendations` and `annotate`: what a person types at night, and what a script reads."""

from pathlib import Path

import pytest

from portfolio_platform.alerts.pipeline import sync
from portfolio_platform.home import Home
from tests.e2e.running import Ran, portfolio
from tests.unit.alerts.making import alert_row, day, ended, put, told
from tests.unit.alerts.test_lifecycle import LOOSEN, TIGHTEN, publish, row

AAPL = "alert:core:symbol_exposure:AAPL:2010-12-02"
COMMANDS = [
    *(("alerts", name) for name in ("list", "show", "ack", "unack", "resolve", "silence", "silences", "end-silence", "deliver", "test")),
    *(("recommendations", name) for name in ("list", "show", "approve", "reject")),
    ("annotate",),
]


@pytest.fixture
def firing(home: Home) -> Home:
    put(home, 1, [alert_row(1), alert_row(1, "MSFT", severity="critical", observed=0.5)])
    sync(home)
    return home


def run(home: Home, *arguments: str) -> Ran:
    return portfolio(*arguments, "--home", home.root)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_the_home_the_as_of_time_and_json(command: tuple[str, ...]) -> None:
    ran = portfolio(*command, "--help")
    assert ran.exit_code == 0 and all(option in ran.stdout for option in ("--home", "--as-of", "--json"))


def test_the_list_shows_state_severity_portfolio_sentence_since_and_figures_the_gravest_first(firing: Home) -> None:
    ran = run(firing, "alerts", "list")
    assert ran.exit_code == 0
    for said in ("firing", "warning", "core", "AAPL holds 31.0 % of core's equity.", "2010-12-02", "31.0 % / 30.0 %", AAPL):
        assert said in ran.text
    assert ran.text.index("MSFT holds") < ran.text.index("AAPL holds")
    listed = run(firing, "alerts", "list", "--json").json
    assert [item["severity"] for item in listed] == ["critical", "warning"] and listed[1]["content"]["observed"] == "0.31"
    assert run(firing, "alerts", "list", "--portfolio", "macro", "--json").json == []


def test_an_alert_is_shown_with_who_did_what_and_remarks(firing: Home) -> None:
    assert run(firing, "alerts", "ack", AAPL, "--by", "Ada", "--note", "reducing").exit_code == 0
    assert run(firing, "annotate", AAPL, "--by", "Bob", "--text", "index change").exit_code == 0
    shown = run(firing, "alerts", "show", AAPL)
    for said in (
        "acknowledged",
        "Ada reducing",
        "31.0 % against ≥ 30.0 %",
        "momentum AAPL 31.0 %",
        "gate passed",
        "Bob: index change",
        "alert_fired",
    ):
        assert said in shown.text
    as_json = run(firing, "alerts", "show", AAPL, "--json").json
    assert [event["what"] for event in as_json["history"]] == ["alert_fired", "alert_acknowledged"]
    assert as_json["annotations"][0]["text"] == "index change"


def test_a_second_acknowledgement_is_a_problem_and_an_alert_that_is_not_there_wrong_use(firing: Home) -> None:
    run(firing, "alerts", "ack", AAPL, "--by", "Ada")
    second = run(firing, "alerts", "ack", AAPL, "--by", "Bob")
    assert second.exit_code == 1 and "acknowledged by Ada already" in second.text
    assert run(firing, "alerts", "unack", AAPL, "--by", "Bob").exit_code == 0
    assert run(firing, "alerts", "ack", "alert:nothing", "--by", "Ada").exit_code == 2
    assert run(firing, "alerts", "ack", AAPL).exit_code == 2  # a name is wanted
    assert run(firing, "alerts", "resolve", AAPL, "--by", "Ada", "--reason", "x", "--revision", "0").exit_code == 1
    assert run(firing, "alerts", "resolve", AAPL, "--by", "Ada", "--reason", "x").exit_code == 0
    assert "resolved" in run(firing, "alerts", "list", "--all").text


def test_silences_are_started_listed_and_ended(firing: Home) -> None:
    started = run(
        firing, "alerts", "silence", "--rule", "symbol_exposure", "--until", "2011-01-05", "--by", "Ada", "--reason", "rebalancing"
    )
    assert started.exit_code == 0 and "silence:1" in started.text
    assert {item["state"] for item in run(firing, "alerts", "list", "--json").json} == {"silenced"}
    assert "rebalancing" in run(firing, "alerts", "silences").text
    assert run(firing, "alerts", "end-silence", "silence:1", "--by", "Bob").exit_code == 0
    assert run(firing, "alerts", "silences").text == "nothing is silenced"
    assert run(firing, "alerts", "end-silence", "silence:1", "--by", "Bob").exit_code == 1
    assert run(firing, "alerts", "silence", "--until", "2011-01-05", "--by", "Ada", "--reason", "all of it").exit_code == 2


def test_deliver_follows_the_newest_session_and_sends_what_is_due(firing: Home) -> None:
    sent = run(firing, "alerts", "deliver")
    assert sent.exit_code == 0 and "1 sent" in sent.text
    put(firing, 2, [ended(2, 1), ended(2, 1, "MSFT")])
    assert "2 alerts changed, 1 message queued" in run(firing, "alerts", "deliver").text
    assert "MSFT" in (firing.root / "notifications.log").read_text(encoding="utf-8")
    assert told(firing) == ["fired:critical+fired:warning", "resolved:critical+resolved:warning"]
    assert run(firing, "alerts", "list").text == "no alert is open"


def test_deliver_of_alerts_that_are_behind_is_a_problem(home: Home) -> None:
    put(home, 2, [], built=1)
    ran = run(home, "alerts", "deliver")
    assert ran.exit_code == 1 and "portfolio build" in ran.text


def test_the_test_message_says_per_channel_what_happened_and_shows_no_url(home: Home) -> None:
    alone = run(home, "alerts", "test")
    assert alone.exit_code == 0 and "sent" in alone.text and (home.root / "notifications.log").exists()
    file = home.root / "channels.toml"
    file.write_text('[[channel]]\nname = "desk"\nurl = "json://ada:hunter2@127.0.0.1:1/T0KEN"\n', encoding="utf-8")
    file.chmod(0o600)
    for arguments in (("alerts", "test"), ("alerts", "test", "--json")):
        ran = run(home, *arguments)
        assert ran.exit_code == 1 and "the service cannot be reached" in ran.text and "json://…" in ran.text
        assert "hunter2" not in ran.text and "T0KEN" not in ran.text
    file.chmod(0o644)
    assert run(home, "alerts", "test").exit_code == 2


def test_a_recommendation_is_listed_shown_and_decided_with_its_hash(home: Home) -> None:
    publish(home, 3, row(3, LOOSEN))
    (one,) = run(home, "recommendations", "list", "--json").json
    assert one["state"] == "proposed" and one["content"]["mode"] == "normal"
    shown = run(home, "recommendations", "show", one["id"])
    assert one["content_hash"] in shown.text and "loosen" in shown.text
    decision = ("--by", "Ada", "--reason", "calm again")
    assert run(home, "recommendations", "approve", one["id"], *decision, "--hash", "abc").exit_code == 2
    refused = run(home, "recommendations", "approve", one["id"], *decision, "--hash", "0" * 12)
    assert refused.exit_code == 1 and "look at it again" in refused.text
    done = run(home, "recommendations", "approve", one["id"], *decision, "--hash", one["content_hash"][:12])
    assert done.exit_code == 0 and "approved by Ada" in done.text
    again = run(home, "recommendations", "reject", one["id"], *decision, "--hash", one["content_hash"])
    assert again.exit_code == 1 and "approved already" in again.text
    assert "Ada" in run(home, "recommendations", "list").text


def test_a_rule_that_approved_is_named(home: Home) -> None:
    publish(home, 3, row(3, TIGHTEN))
    assert "rule:paper-tightening" in run(home, "recommendations", "list").text
    home.pin_clock(day(20))
    publish(home, 20, row(3, TIGHTEN))
    assert run(home, "recommendations", "list").text == "no recommendation is open"
    assert "expired" in run(home, "recommendations", "list", "--all").text


@pytest.mark.parametrize("arguments", [("alerts", "list"), ("recommendations", "list"), ("alerts", "test")], ids=" ".join)
def test_a_home_that_does_not_exist_names_init(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ran = portfolio(*arguments, "--home", tmp_path / "nowhere")
    assert ran.exit_code == 2 and "portfolio init" in ran.text and not (tmp_path / "nowhere").exists()


def test_a_symbol_with_markup_is_shown_as_it_is(home: Home) -> None:
    put(home, 1, [alert_row(1, "[red]X[/]", sentence="[red]X[/] \x1b[31m holds too much.")])
    sync(home)
    ran = run(home, "alerts", "list")
    assert "[red]X[/]" in ran.text and "\x1b" not in ran.stdout
