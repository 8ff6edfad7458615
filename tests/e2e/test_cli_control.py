"""`portfolio control`: what a person types, what it says in a terminal of 80 columns, and how it ends when it is used wrongly."""

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from portfolio_platform.book.events import chain_head
from portfolio_platform.control.events import FactsStated, Stated
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.terms import Facts
from portfolio_platform.days import nanoseconds
from portfolio_platform.home import Home
from tests.e2e.running import Ran, portfolio
from tests.unit.control.examples import GROUPS, LIMITS, MONEY, UNIT

WIDE = 80
ORDERS = ("mode", "flatten", "override", "release", "cancel")
LOOKS = ("state", "envelopes", "decisions", "decide", "why", "replay", "verify", "cycle")
COMMANDS = (*ORDERS, *LOOKS, "checkpoint", "serve", "token")
ASK = ("decide", "p", "--symbol", "AAA", "--side", "long", "--strategy", "trend", "--template", "breakout")
WHO = ("--by", "ada", "--reason", "because")


@pytest.fixture
def held(home: Home) -> Home:
    """A home whose portfolio `p` is under control: a million, and 30,000 of its 60,000 of heat in CCC."""
    now = nanoseconds(home.clock.now())
    plane = ControlPlane(home.book, home.clock)
    plane.open_portfolio("p", LIMITS)
    plane.state_instruments("p", GROUPS)
    facts = Facts(equity=1_000_000 * MONEY, at=now, session=1, day="2010-12-31", regime="normal")
    position = Stated(
        "value", "CCC", 148_667_818_210_000_000 * 1_000, 30_000 * MONEY, 250_000 * MONEY, "carry", "a_playbook_of_a_long_name"
    )
    assert UNIT == 10**18
    plane.state_facts("p", [FactsStated(0, facts, (position,), ())])
    return home


def run(home: Home, *arguments: str | Path, width: int = WIDE) -> Ran:
    return portfolio("control", *arguments, "--home", home.root, width=width)


def events(home: Home) -> int:
    with home.book.reading() as connection:
        return chain_head(connection).seq


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_the_home_and_the_as_of_time(command: str) -> None:
    ran = portfolio("control", command, "--help")
    assert ran.exit_code == 0 and all(option in ran.stdout for option in ("--home", "--as-of"))
    assert ("--json" in ran.stdout) == (command in LOOKS)


def test_the_state_fits_a_narrow_terminal_and_breaks_no_name(held: Home) -> None:
    run(held, *ASK, "--risk", "5000.25", "--id", "an-intent-with-a-long-name-of-its-own")
    said = run(held, "state", "p").stdout
    assert max(map(len, said.splitlines())) <= WIDE
    for whole in ("equity 1,000,000 of 2011-01-01 00:00", "heat", "cohort energy", "playbook a_playbook_of_a_long_name", "new positions"):
        assert whole in said
    assert "58 %" in said and "30,000" in said and "148.6678" in said  # heat: 35,000.25 of 60,000
    assert "long AAA, trend" in said and "2011-01-05 00:00" in said
    assert ".25" not in said and "risk │" not in said


def test_json_has_every_digit_that_the_tables_leave_out(held: Home) -> None:
    run(held, *ASK, "--risk", "5000.25", "--id", "i1")
    told = run(held, "state", "p", "--json").json
    assert (told["reserved_risk"], told["positions"][0]["quantity"]) == ("5000.25", "148.66781821")
    assert told["reservations"][0]["expires_at"] == "2011-01-05T00:00:00Z"
    assert [one["symbol"] for one in run(held, "envelopes", "p", "--json").json] == ["AAA", "CCC"]
    assert run(held, "decisions", "p", "--json").json[0]["approved_risk"] == "5000.25"


def test_a_dry_run_says_what_it_would_be_answered_and_records_nothing(held: Home) -> None:
    before = events(held)
    said = run(held, *ASK, "--risk", "50000", "--dry-run")
    assert (
        said.exit_code == 0
        and "approved_clipped: 20,000 of 50,000 (constrained:symbol)" in said.text
        and "nothing was recorded" in said.text
    )
    told = run(held, *ASK, "--risk", "50000", "--dry-run", "--json").json
    after = {room["rule"]: room["after"] for room in told["headrooms"]}
    assert told["dry_run"] and (after["heat"], after["positions"], after["new_positions"]) == ("50000.00", "2", "1")
    assert after["bucket"] is None
    assert events(held) == before


def test_a_dry_run_no_longer_counts_what_is_over_on_the_clock(held: Home) -> None:
    run(held, *ASK, "--risk", "20000", "--id", "i1")
    full = run(held, *ASK, "--risk", "20000", "--dry-run", "--json").json
    late = (held.clock.now() + timedelta(days=4, hours=12)).isoformat()
    free = run(held, *ASK, "--risk", "20000", "--dry-run", "--json", "--as-of", late).json
    assert (full["decision_code"], free["decision_code"]) == ("rejected_symbol_cap", "approved_full")


def test_an_intent_is_answered_once_and_explained(held: Home) -> None:
    first = run(held, *ASK, "--risk", "50000", "--id", "i1")
    assert "reserved until 2011-01-05 00:00Z" in first.text
    before = events(held)
    assert "answered before" in run(held, *ASK, "--risk", "50000", "--id", "i1").text
    assert events(held) == before
    other = run(held, *ASK, "--risk", "40000", "--id", "i1")
    assert other.exit_code == 0 and "was used for another intent" in other.text
    tree = run(held, "why", "i1", width=200).text
    assert "symbol AAA 20000.00 left, it bit" in tree and "worked out again equal" in tree
    assert run(held, "why", "i1", "--json").json["evidence_id"] == "decision:p:i1"
    listed = run(held, "decisions", "p", "--code", "rejected_invalid").stdout
    assert "i1" in listed and "approved_clipped" not in listed and max(map(len, listed.splitlines())) <= WIDE
    assert "no decision with the code rejected_heat" in run(held, "decisions", "p", "--code", "rejected_heat").text


def test_orders_change_the_state_until_they_are_ended(held: Home) -> None:
    assert "1 symbol was told" in run(held, "mode", "p", "defensive", *WHO).text
    assert run(held, "override", "p", "symbol", "1%", "--scope", "AAA", *WHO, "--hours", "2").exit_code == 0
    assert run(held, "override", "p", "positions", "3", *WHO).exit_code == 0
    assert run(held, "flatten", "p", *WHO, "--until", "2011-01-03").exit_code == 0
    said = run(held, "state", "p").text
    for part in (
        "p defensive (operator:ada), size × 0.5; flatten only",
        "symbol AAA at 10,000 until 2011-01-01 02:00, by ada",
        "positions at 3",
    ):
        assert part in said
    told = run(held, "envelopes", "p").stdout
    assert "flatten" in told and "01-01 02:00" in told and max(map(len, told.splitlines())) <= WIDE
    ids = [one["order_id"] for one in run(held, "state", "p", "--json").json["orders"]]
    assert run(held, "release", "p", *WHO, "--order", ids[0]).text == f"ended {ids[0]}; 1 symbol was told"
    assert run(held, "release", "p", *WHO).text.count("ended") == 3
    nothing = run(held, "release", "p", *WHO)
    assert nothing.exit_code == 2 and "has no order of an operator" in nothing.text


def test_what_a_recommendation_ordered_is_ended_by_its_name_alone(held: Home) -> None:
    from portfolio_platform.control.terms import Order

    now = nanoseconds(held.clock.now())
    given = Order("recommendation:p:x/mode", "mode", "recommendation", "ada", "why", now, now + 10**15, mode="defensive")
    ControlPlane(held.book, held.clock).give_order("p", [given._replace(recommendation="recommendation:p:x")])
    assert "(recommendation:p:x)" in run(held, "state", "p").text
    assert run(held, "release", "p", *WHO).exit_code == 2
    assert run(held, "release", "p", *WHO, "--order", "recommendation:p:x/mode").exit_code == 0
    assert "(regime:normal)" in run(held, "state", "p").text


def test_a_reservation_is_given_up(held: Home) -> None:
    run(held, *ASK, "--risk", "5000", "--id", "i1")
    assert "released what was left for i1" in run(held, "cancel", "p", "i1", *WHO).text
    again = run(held, "cancel", "p", "i1", *WHO)
    assert again.exit_code == 2 and "nothing is reserved for intent 'i1'" in again.text


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("state", "nobody"), "not in charge of 'nobody'; it is of: p"),
        ((*ASK, "--risk", "1"), "wants an id (--id); or try it with --dry-run"),
        (("mode", "p", "wild", *WHO), "mode 'wild' is none of normal, defensive, risk_off"),
        (("override", "p", "luck", "1%", *WHO), "rule 'luck' is none of heat"),
        (("override", "p", "heat", "much", *WHO), "'much' is no amount; write 50000 or 4%"),
        (("override", "p", "positions", "4%", *WHO), "'4%' is no count"),
        (("mode", "p", "normal", *WHO, "--until", "2010-12-30"), "an end ahead"),
        (("mode", "p", "normal", "--reason", "because"), "name"),
        (("mode", "p", "normal", *WHO, "--key", "a", "--signature", "b"), "one of them"),
        (("release", "p", *WHO, "--risk-off"), "is not in risk_off but in normal"),
        (("why", "i9"), "no decision on an intent 'i9'"),
        (("serve",), "there is no token in"),
    ],
    ids=lambda item: " ".join(item)[:40] if isinstance(item, tuple) else "",
)
def test_wrong_use_ends_with_two_says_why_and_records_nothing(held: Home, arguments: tuple[str, ...], why: str) -> None:
    before = events(held)
    ran = run(held, *arguments, width=300)
    assert (ran.exit_code, why in ran.text) == (2, True), ran.text
    assert events(held) == before


def test_a_wrong_intent_is_an_answer_with_its_reason(held: Home) -> None:
    ran = run(held, *ASK, "--risk", "NaN", "--id", "i1")
    assert ran.exit_code == 0 and "rejected_invalid" in ran.text and "'NaN' is not finite" in ran.text


def test_the_log_replays_is_signed_and_verifies(held: Home, tmp_path: Path) -> None:
    run(held, *ASK, "--risk", "5000", "--id", "i1")
    assert "1 decisions" in run(held, "replay", "p").text
    assert run(held, "replay", "p", "--json").json["fault"] is None
    assert "is signed with key ed25519:" in run(held, "checkpoint", "--out", tmp_path / "copy.jsonl").text
    assert "whole" in run(held, "verify", "--checkpoints", tmp_path / "copy.jsonl").text
    told = run(held, "verify", "--json").json
    assert told["ok"] and told["store"] == [] and told["covered"] > 0


def test_a_log_that_was_changed_ends_with_one_and_names_the_event(held: Home, tmp_path: Path) -> None:
    run(held, *ASK, "--risk", "5000", "--id", "i1")
    held.book.close()
    copy = tmp_path / "copy"
    shutil.copytree(held.root, copy)
    with closing(sqlite3.connect(copy / "book.sqlite")) as book:
        (seq,) = book.execute("SELECT seq FROM events WHERE type = 'allocation_decided'").fetchone()
        book.execute("UPDATE events SET content = CAST(replace(CAST(content AS TEXT), 'long', 'flat') AS BLOB) WHERE seq = ?", (seq,))
        book.commit()
    ran = run(Home(copy), "verify")
    assert ran.exit_code == 1 and f"event {seq}:" in ran.text
    replayed = run(Home(copy), "replay", "p")
    assert replayed.exit_code == 1 and f"event {seq}" in replayed.text


def test_a_store_that_is_damaged_where_no_hash_looks_is_told(held: Home) -> None:
    """The chain reads the table; an index that says otherwise is found by the store's own check alone."""
    held.book.close()
    with closing(sqlite3.connect(held.root / "book.sqlite", isolation_level=None)) as book:
        book.execute("PRAGMA journal_mode = DELETE")
        (page,) = book.execute("SELECT rootpage FROM sqlite_master WHERE type = 'index' AND tbl_name = 'events'").fetchone()
        (size,) = book.execute("PRAGMA page_size").fetchone()
    with (held.root / "book.sqlite").open("r+b") as file:
        file.seek((page - 1) * size + size - 20)
        file.write(b"\x00" * 10)
    ran = run(held, "verify")
    assert ran.exit_code == 1 and ("its store is not" in ran.text or "is damaged" in ran.text)


def test_a_token_is_made_for_its_owner_alone_and_one_that_is_shared_is_refused(held: Home) -> None:
    assert len(run(held, "token").stdout.strip()) >= 32
    file = held.root / "control.token"
    assert run(held, "token", "--out", file).exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600 and len(file.read_text().strip()) >= 32
    assert run(held, "token", "--out", file).exit_code == 2
    assert run(held, "serve", "--host", "0.0.0.0").exit_code == 2
    file.chmod(0o644)
    refused = run(held, "serve", width=300)
    assert refused.exit_code == 2 and "others can read it; chmod 600" in refused.text


def test_a_cycle_of_a_home_without_a_ledger_finds_nothing(home: Home) -> None:
    assert run(home, "cycle").text == "nothing new; 0 portfolios under control"
    assert run(home, "cycle", "--json").json["portfolios"] == []
