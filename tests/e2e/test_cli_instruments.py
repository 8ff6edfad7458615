"""`portfolio instruments` on a month of a paper portfolio: what it lists, shows, explains and ends."""

import json
import re

from click.testing import Result
from typer.testing import CliRunner

from portfolio_platform.cli.main import app
from portfolio_platform.home import Home
from portfolio_platform.instruments.store import InstrumentLog, symbols_of
from tests.unit.paper.ran import bars_made, paper_copy, paper_home, paper_made

__all__ = ["bars_made", "paper_copy", "paper_home", "paper_made"]


def instruments(home: Home, *words: str, ends: int = 0) -> Result:
    result = CliRunner().invoke(app, ["instruments", *words, "--home", str(home.root)], env={"COLUMNS": "120"})
    assert result.exit_code == ends, result.output
    return result


def traded(home: Home) -> str:
    """Return a symbol that closed a trade or holds one."""
    with home.book.reading() as connection:
        log = InstrumentLog(home.book).load(connection, "paper", symbols_of(connection, "paper"))
    return next(symbol for symbol, one in sorted(log.items()) if one.state.position is not None or one.state.outcomes)


def test_the_list_has_a_row_for_every_workflow(paper_home: Home) -> None:
    view = json.loads(instruments(paper_home, "list", "--json").stdout)
    assert view["portfolio"] == "paper" and len(view["instruments"]) >= 3
    printed = instruments(paper_home, "list").output
    for row in view["instruments"]:
        assert row["symbol"] in printed
        assert row["last_event"]["version"] > 0 and row["last_event"]["at"].startswith("2007-0")
        assert row["waits_for"]


def test_show_says_plan_envelope_evaluations_and_what_was_asked_and_got(paper_home: Home) -> None:
    symbol = traded(paper_home)
    view = json.loads(instruments(paper_home, "show", symbol, "--json").stdout)
    assert view["plan"]["thesis"] and view["evaluations"][0]["words"]
    asked = view["asked_and_got"][0]
    assert asked["code"].startswith("approved") and re.match(r"ordered [\d,.]+ at a risk of [\d.]+", asked["became"])
    printed = instruments(paper_home, "show", symbol).output
    for part in ("it waits for", "plan", "activation", "Regime, the newest evaluations", "Asked and got"):
        assert part in printed
    assert not re.search(r"\d{13}", printed), "a price in units of 1e-18 is nothing to read"


def test_why_walks_from_the_screener_to_the_fill_and_works_it_out_again(paper_home: Home) -> None:
    symbol = traded(paper_home)
    with paper_home.book.reading() as connection:
        state = InstrumentLog(paper_home.book).load(connection, "paper", [symbol])[symbol].state
    number = (state.position or state.outcomes[-1]).trade_id.rpartition(":")[2]
    tree = json.loads(instruments(paper_home, "why", symbol, "--setup", number, "--json").stdout)
    parts = {child["title"]: child for child in tree["children"]}
    wanted = ("screener", "plan", "thesis", "activation", "R gate and exit contract", "intent", "envelope in force", "decision")
    for name in (*wanted, "orders and fills", "now", "replayed"):
        assert name in parts, name
    for name in ("screener", "plan", "thesis", "activation", "envelope in force", "decision"):
        assert re.search(r"2007-0\d-\d\dT.*version \d+", parts[name]["words"]), name
    (again,) = parts["screener"]["children"]
    assert again["text"] == "equal" and len(again["children"]) >= 4
    assert parts["replayed"]["text"] == "equal"
    assert all(child["text"].endswith(": holds") for child in parts["activation"]["children"])
    (decided,) = parts["decision"]["children"]
    texts = {child["title"]: child["text"] for child in decided["children"]}
    assert texts["worked out again"] == "equal" and "what every rule saw" in texts
    assert parts["orders and fills"]["children"][0]["title"] == "entry"


def test_why_no_entry_names_the_condition_that_did_not_hold(paper_home: Home) -> None:
    view = json.loads(instruments(paper_home, "list", "--json").stdout)
    found = []
    for row in view["instruments"]:
        tree = json.loads(instruments(paper_home, "why", row["symbol"], "--no-entry", "--json").stdout)
        assert tree["text"] == "no entry" and tree["words"]
        thesis = next((one for one in tree["children"] if one["title"] == "thesis"), None)
        if thesis is not None and "the thesis does not hold" in thesis["text"]:
            found.append([child["text"] for child in thesis["children"]])
    assert found and all(any(text.endswith(": does not hold") for text in texts) for texts in found)


def test_what_is_not_there_is_named_with_what_is(paper_home: Home) -> None:
    assert "it has:" in instruments(paper_home, "show", "NOPE", ends=2).output
    assert "AAPL" in instruments(paper_home, "why", "NOPE", ends=2).output
    assert "there is no number 99" in instruments(paper_home, "why", traded(paper_home), "--setup", "99", ends=2).output
    assert "'other' has no workflows" in instruments(paper_home, "list", "-p", "other", ends=2).output


def test_stop_flattens_what_is_held_and_twice_is_as_once(paper_copy: Home) -> None:
    with paper_copy.book.reading() as connection:
        log = InstrumentLog(paper_copy.book).load(connection, "paper", symbols_of(connection, "paper"))
    before = dict(log.items())
    symbol = next((name for name, one in sorted(before.items()) if one.state.position is not None), sorted(before)[0])
    holds = before[symbol].state.position is not None
    said = instruments(paper_copy, "stop", symbol, "--by", "ada", "--reason", "thin book").output
    assert ("flattening" if holds else "stopped") in said
    again = instruments(paper_copy, "stop", symbol, "--by", "ada", "--reason", "thin book").output
    assert again == said
    with paper_copy.book.reading() as connection:
        after = InstrumentLog(paper_copy.book).load(connection, "paper", [symbol])[symbol]
    assert after.version == before[symbol].version + 1
    assert after.state.stopping == "ada: thin book" or after.state.phase == "stopped"
    assert "wants a name" in instruments(paper_copy, "stop", symbol, "--by", " ", "--reason", "x", ends=2).output
