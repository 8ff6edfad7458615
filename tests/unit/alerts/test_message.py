"""The message at night: everything that is asked is answered, and nothing from a ledger is markup or a command."""

import html
import json
import shlex
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.alerts.message import LIMIT, TITLE, Message, bare, compose, contributors, written
from portfolio_platform.alerts.model import Notice, observation
from portfolio_platform.alerts.sync import Session, plan
from portfolio_platform.policy.alerts import AlertPolicy
from tests.unit.alerts.making import alert_row, day

POLICY = AlertPolicy.model_validate({})
HOSTILE = [
    "<script>alert(1)</script>", "[click](http://evil.example)", "`rm -rf ~`", "**bold**", "@everyone", "<!channel>", "a\nAction: sell all",
    "\x1b[31mred", "x'; DROP TABLE", "$(reboot)", "‮evil", "# heading", "| a | b |", "&lt;b&gt;", "~~gone~~", "<@U123>",
]  # fmt: skip


def notices(*rows: dict) -> tuple[Notice, ...]:
    firing = [observation(row) for row in rows]
    return plan(Session("core", day(9), firing, ()), POLICY).notices


def message(*rows: dict) -> Message:
    (made,) = compose(notices(*(rows or (alert_row(9, began=7, severity="critical", previous="warning from 2010-11-02 to 2010-11-05"),))))
    return made


def test_the_message_answers_what_is_asked_at_night() -> None:
    made = message()
    assert made.title == "(CRITICAL) core: AAPL holds 31.0 % of core's equity."
    assert written(made, "text").splitlines() == [
        "New · critical: AAPL holds 31.0 % of core's equity.",
        "Observed: 31.0 % against ≥ 30.0 % (in the session of 2010-12-10)",
        "Who: momentum AAPL 31.0 % (100 % of it)",
        "Room: 14.0 % to the next limit",
        "Trend: worse, +1.0 % since the session before",
        "How sure: n = 1, gate passed",
        "Do: Add nothing to AAPL.",
        "Since: 2010-12-08 (3 sessions, at worst 33.0 %)",
        "Before: warning from 2010-11-02 to 2010-11-05",
        "Look: portfolio why alert:core:symbol_exposure:AAPL:2010-12-08",
        "Acknowledge: portfolio alerts ack alert:core:symbol_exposure:AAPL:2010-12-08 --by NAME",
    ]


def test_a_window_of_sessions_says_since_when_and_a_change_has_its_sign() -> None:
    text = written(message(alert_row(9, lookback="60 sessions", window_start=day(1), change=-0.02, trend="better")), "text")
    assert "(over 60 sessions, since 2010-12-02)" in text and "Trend: better, −2.0 % since" in text


def test_a_sample_is_never_said_to_be_of_what_is_asked_for() -> None:
    """'50 of 6 observations' was said of a rejection spike."""
    assert "How sure: n = 50 (6 required), gate passed" in written(message(alert_row(9, sample_size=50, required=6)), "text")


def test_what_is_not_known_is_left_out() -> None:
    made = message(alert_row(9, room=None, change=None, trend="", sample_size=None, gate_passed=None, contributors="", previous=None))
    labels = [line.label for line in made.items[0].lines]
    assert not {"Room", "Trend", "How sure", "Who", "Before"} & set(labels)


def test_a_message_is_stored_and_read_back_the_same() -> None:
    from portfolio_platform.canonical import canonical_bytes

    made = message()
    assert Message.stored(canonical_bytes(made.body(), floats=False)) == made


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        assert not attrs
        self.found.add(tag)


def hostile_row(text: str) -> dict:
    row = alert_row(9, text, symbols=text, sentence=f"{text} holds too much.", action=f"Sell {text}.", previous=text, lookback=text)
    return row | {"contributors": json.dumps([{"symbol": text, "unit": "fraction", "value": 0.4}])}


@given(st.one_of(st.sampled_from(HOSTILE), st.text(min_size=1, max_size=60)))
def test_names_from_a_ledger_are_neither_markup_nor_lines_nor_commands(text: str) -> None:
    made, plain = message(hostile_row(text)), written(message(alert_row(9)), "text")
    shown = written(made, "text", 100_000)
    assert not set(shown) & set("<>@`[]|*\\~\x1b") and "://" not in shown
    assert {line.split(":")[0] for line in shown.splitlines()} <= {line.split(":")[0] for line in plain.splitlines()} | {
        "New · warning",
        "Before",
    }
    parser = Tags()
    page = written(made, "html", 100_000)
    parser.feed(page)
    assert parser.found <= {"b", "br", "code"}
    assert page.count("<b>") == len(made.items[0].lines) + 1
    marked = written(made, "markdown", 100_000)
    assert len([line for line in marked.splitlines() if line]) == len(made.items[0].lines) + 1
    assert "](" not in marked.replace("\\](", "").replace("\\]\\(", "") and "<" not in marked
    assert "\n" not in made.title and len(made.title) <= TITLE and not set(made.title) & set("<>@`[]|*")
    for line in made.items[0].lines:
        if line.command:
            words = shlex.split(line.text)
            assert words[0] == "portfolio" and "`" not in line.text and "<" not in line.text
            assert words[1:3] == ["alerts", "list"] or made.items[0].alert_id in words


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
@pytest.mark.parametrize("limit", [200, 500, LIMIT])
def test_a_long_message_is_cut_between_lines_and_points_to_the_rest(form: str, limit: int) -> None:
    rows = [alert_row(9, f"SYMBOL{number}", action="Do something about it. " * 40) for number in range(40)]
    text = written(message(*rows), form, limit)
    assert len(text) <= limit and "portfolio alerts list --portfolio core" in html.unescape(text)
    assert text.splitlines()[-1].count("…") >= 1


def test_one_endless_name_does_not_push_the_rest_out() -> None:
    text = written(message(alert_row(9, "A" * 10_000, sentence="A" * 10_000, action="B" * 10_000)), "text")
    assert "Observed:" in text and len(text) <= LIMIT


@pytest.mark.parametrize("text", ["", "[]", "no json", "[1]", '[{"symbol":"A"}]', "null", "{}"])
def test_contributors_that_cannot_be_read_are_left_out(text: str) -> None:
    assert contributors(text) == ""


@given(st.text(max_size=200))
def test_bare_text_is_one_line_and_bare_again_is_the_same(text: str) -> None:
    once = bare(text)
    assert bare(once) == once and "\n" not in once
