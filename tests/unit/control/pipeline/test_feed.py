"""The feed: all of the ledger in the order of time, once, exactly, whatever interrupts it; restatements move the newest session alone."""

import time
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow.compute as pc
import pytest

from portfolio_platform.book.chain import verify_chain
from portfolio_platform.book.events import read
from portfolio_platform.control.audit import audit
from portfolio_platform.control.events import FactsStated, stream_of
from portfolio_platform.control.log import envelopes_of, events_after
from portfolio_platform.control.pipeline import feed as feeding
from portfolio_platform.control.pipeline.feed import feed, in_order, is_fed
from portfolio_platform.control.pipeline.fills import Money, fill_of
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.state import Fill, Instrument, Position
from portfolio_platform.control.terms import Facts, Limits
from portfolio_platform.days import end_of_day_ns
from portfolio_platform.errors import StoreProblem
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.policy.load import default_policy
from tests.unit.control.pipeline.conftest import FILLS, LAST, at, imported, weekday

UNIT = 10**18


def events(home, portfolio="main"):
    with home.book.reading() as connection:
        return [one.event for one in events_after(connection, portfolio)]


def noticed(home, portfolio="main"):
    with home.book.reading() as connection:
        return [event.data for event in read(connection, stream_of(portfolio)) if event.type == "control_noticed"]


def state_of(home, portfolio="main"):
    return ControlPlane(home.book, home.clock).get_portfolio_state(portfolio)


def ledger_quantities(home, portfolio, day):
    where = (pc.field("day") == day) & (pc.field("portfolio") == portfolio)
    rows = home.lake.read(derived.LEDGER_SNAPSHOTS, ["strategy", "symbol", "quantity"], where).to_pylist()
    return {(row["strategy"], row["symbol"]): int(row["quantity"] * UNIT) for row in rows if row["quantity"]}


def test_every_session_of_the_sample_is_what_its_fills_add_up_to_in_good_time(sample_copy: Home) -> None:
    plane = ControlPlane(sample_copy.book, sample_copy.clock)
    for portfolio in ("core", "macro"):  # in charge from the beginning, so that every session is compared
        plane.open_portfolio(portfolio, Limits.of(default_policy()), since=1)
    begun = time.process_time()
    fed = feed(sample_copy, plane=plane)
    took = time.process_time() - begun
    assert [(one.portfolio, one.fills, one.sessions, one.newest) for one in fed.portfolios] == [
        ("core", 1841, 1008, date(2010, 12, 31)),
        ("macro", 686, 1457, date(2010, 12, 31)),
    ]
    for portfolio in ("core", "macro"):
        assert Counter(said["what"] for said in noticed(sample_copy, portfolio)).keys() == {"unreserved_fill"}
        state = plane.get_portfolio_state(portfolio)
        assert {key: one.quantity for key, one in state.positions.items()} == ledger_quantities(sample_copy, portfolio, date(2010, 12, 31))
        where = (pc.field("day") == date(2010, 12, 31)) & (pc.field("portfolio") == portfolio)
        (heat,) = sample_copy.lake.read(derived.PORTFOLIO_HEAT, ["active_risk"], where).to_pylist()
        assert abs(state.active_risk - heat["active_risk"] * 100) <= len(state.positions)
        with sample_copy.book.reading() as connection:
            assert audit(portfolio, events_after(connection, portfolio), envelopes_of(connection, portfolio)).fault is None
    assert took < 12.0  # about 1.5 on a quiet machine


def test_what_the_ledger_held_before_the_control_plane_took_charge_is_history_and_raises_nothing(small: Home) -> None:
    (one,) = feed(small).portfolios
    assert (one.opened, one.fills, one.sessions, one.newest) == (True, 12, 30, LAST)
    assert noticed(small) == []
    state = state_of(small)
    assert (state.since, state.digits, state.live) == (end_of_day_ns(LAST), 2, False)
    assert state.terms.limits == Limits.of(default_policy())
    assert state.positions["trend", "AAA"].quantity == 240 * UNIT
    assert state.active_symbols == ["AAA"] == sorted(state.issued)  # told once, at the end


def test_facts_are_the_ledgers_own_in_minor_units(small: Home) -> None:
    feed(small)
    facts = state_of(small).terms.facts
    where = pc.field("day") == LAST
    (equity,) = small.lake.read(derived.PORTFOLIO_EQUITY, None, where).to_pylist()
    (regime,) = small.lake.read(derived.DRAWDOWN_STATE, None, where).to_pylist()
    assert (facts.equity, facts.gross) == (round(equity["equity"] * 100), round(equity["gross_exposure"] * 100))
    assert (facts.regime, facts.regime_size) == (regime["regime"], round(regime["size_multiplier"] * 1_000_000))
    assert (facts.day, facts.at, facts.session) == (LAST.isoformat(), end_of_day_ns(LAST), 29)


def test_what_nobody_grouped_is_in_no_group(small: Home) -> None:
    feed(small)
    state = state_of(small)
    assert dict(state.instruments) == {"AAA": Instrument("large", "tech"), "BBB": Instrument("", "")}
    assert {key[0] for key in state.used} <= {"heat", "symbol", "cohort", "sector", "bucket"}  # templates are unclassified


def test_a_second_feed_finds_nothing_and_writes_nothing(small: Home) -> None:
    assert not is_fed(small)
    feed(small)
    assert is_fed(small)
    before = len(events(small))
    assert not feed(small).changed and not feed(small, ["main"]).changed
    assert feed(small, ["nobody"]).portfolios == ()
    assert len(events(small)) == before


@pytest.mark.parametrize("fails_at", range(5))
def test_a_feed_that_is_killed_goes_on_where_it_was(small: Home, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
    monkeypatch.setattr(feeding, "BATCH", 10)
    calls = iter(range(100))

    class Failing(ControlPlane):
        def take_in(self, *args, **kwargs):
            if next(calls) == fails_at:
                raise StoreProblem("the machine is gone")
            return super().take_in(*args, **kwargs)

    with pytest.raises(StoreProblem):
        feed(small, plane=Failing(small.book, small.clock))
    assert not is_fed(small)
    feed(small)
    found = events(small)
    assert sum(isinstance(one, FactsStated) for one in found) == 30
    assert Counter(type(one).__name__ for one in found)["FillRecorded"] == 12
    times = [
        one.facts.at if isinstance(one, FactsStated) else one.fill.at for one in found if hasattr(one, "facts") or hasattr(one, "fill")
    ]
    assert times == sorted(times)
    assert state_of(small).positions["trend", "AAA"].quantity == 240 * UNIT
    with small.book.reading() as connection:
        assert verify_chain(connection).ok


def test_a_late_fill_is_seen_by_the_newest_session_stated_anew_and_no_other(small: Home, tmp_path: Path) -> None:
    feed(small)
    before = events(small)
    imported(small, tmp_path / "late", "fills.csv", FILLS, f"LATE,{weekday(7)}T15:00:00Z,main,trend,AAA,buy,5,93,1,60,")
    (one,) = feed(small).portfolios
    assert (one.fills, one.sessions) == (1, 1)
    new = [event for event in events(small)[len(before) :] if isinstance(event, FactsStated)]
    assert [event.facts.day for event in new] == [LAST.isoformat()]
    assert noticed(small) == []
    assert state_of(small).positions["trend", "AAA"].quantity == 245 * UNIT == ledger_quantities(small, "main", LAST)["trend", "AAA"]
    assert not feed(small).changed


def test_a_corrected_fill_is_disputed_and_the_newest_facts_win(small: Home, tmp_path: Path) -> None:
    feed(small)
    corrected = f"E25A,{weekday(25)}T15:00:00Z,main,trend,AAA,buy,50,75,1,60,"
    imported(small, tmp_path / "late", "fills.csv", FILLS, corrected, corrections=True)
    feed(small)
    assert Counter(said["what"] for said in noticed(small)) == {"fill_disputed": 1, "quantity_drift": 1}
    assert state_of(small).positions["trend", "AAA"].quantity == 250 * UNIT == ledger_quantities(small, "main", LAST)["trend", "AAA"]


def test_a_session_that_returns_to_what_it_was_is_stated_once_more(small: Home) -> None:
    feed(small)
    plane = ControlPlane(small.book, small.clock)
    first = [one for one in events(small) if isinstance(one, FactsStated)][-1]
    plain = first._replace(facts=first.facts._replace(content=""))
    other = plain._replace(facts=plain.facts._replace(equity=1))
    assert plane.state_facts("main", [plain]) == 0
    assert plane.state_facts("main", [other]) == 1
    assert plane.state_facts("main", [plain]) == 1
    assert plane.state_facts("main", [other, plain, plain]) == 2
    assert plane.get_portfolio_state("main").terms.facts == first.facts


def test_an_older_session_that_is_restated_is_recorded_and_moves_nothing(small: Home) -> None:
    feed(small)
    plane = ControlPlane(small.book, small.clock)
    before = plane.get_portfolio_state("main")
    old = [one for one in events(small) if isinstance(one, FactsStated)][10]
    wrong = old._replace(positions=(), facts=old.facts._replace(equity=5, content=""))
    assert plane.state_facts("main", [wrong]) == 1
    assert plane.state_facts("main", [wrong]) == 0
    after = plane.get_portfolio_state("main")
    assert after._replace(version=0, now=0) == before._replace(version=0, now=0)
    assert noticed(small) == []


def test_a_split_is_no_drift(small: Home, tmp_path: Path) -> None:
    early = at(small, weekday(20))
    plane = ControlPlane(early.book, early.clock)
    plane.open_portfolio("main", Limits.of(default_policy()), since=1)
    split = f"S1,{weekday(17)}T00:00:00Z,AAA,split,2"
    imported(small, tmp_path / "split", "corporate_actions.csv", "action_id,ts,symbol,kind,ratio", split)
    feed(small)
    assert "quantity_drift" not in {said["what"] for said in noticed(small)}
    # four lots of 40 before it, which are 320, and two after it
    assert state_of(small).positions["trend", "AAA"].quantity == 400 * UNIT == ledger_quantities(small, "main", LAST)["trend", "AAA"]
    adjusted = {one.facts.day: one.adjusted for one in events(small) if isinstance(one, FactsStated) and one.adjusted}
    assert list(adjusted.values()) == [("AAA",)]


def test_another_policy_is_adopted_by_the_next_feed_and_is_archived(small: Home) -> None:
    feed(small)
    policy = small.policies / "default.toml"
    policy.write_text(policy.read_text().replace("[heat]\ncap = 0.06", "[heat]\ncap = 0.01"))
    changed = small.policy()
    assert changed.heat.cap == 0.01
    feed(small)
    state = state_of(small)
    assert state.terms.limits.policy_hash == changed.hash
    assert state.terms.cap("risk", "heat", "").amount == state.terms.facts.equity // 100
    from portfolio_platform.book import policies as archive

    with small.book.reading() as connection:
        assert archive.load(connection, changed.hash).hash == changed.hash


MONEY = Money({"eu": "EUR"}, "USD", {"FUT": Decimal(50)}, {"FUT": "GBP"}, {("GBP", "EUR"): ([100], [Decimal("1.25")])})
ROW = {
    "execution_id": "E1", "row_id": "eu|E1", "ts": 200, "portfolio": "eu", "strategy": "s", "symbol": "FUT", "side": "sell",
    "quantity": Decimal("0.123456789012345678"), "price": Decimal("100"), "currency": None, "stop_price": Decimal("104"),
    "intent_id": None, "template": "unclassified", "playbook": "p",
}  # fmt: skip


def test_a_fill_is_exact_in_quantity_and_in_the_portfolios_money_by_hand() -> None:
    # 0.123456789012345678 x 50 x 1.25 = 7.7160493...: at 100 an exposure of 771.60 EUR, at 4 to the stop a risk of 30.86 EUR
    found = fill_of(ROW, MONEY)
    assert found == Fill("E1", 200, "s", "FUT", -123456789012345678, 77160, 3086, "", "", "p")
    assert fill_of({**ROW, "execution_id": None}, MONEY).execution_id == "eu|E1"


def test_a_stop_that_the_price_is_beyond_protects_nothing() -> None:
    assert fill_of({**ROW, "stop_price": Decimal("99")}, MONEY).risk is None
    assert fill_of({**ROW, "stop_price": Decimal("100")}, MONEY).risk == 0
    assert fill_of({**ROW, "stop_price": None}, MONEY).risk is None


def test_a_fill_at_a_sessions_very_end_comes_before_its_facts() -> None:
    facts = [FactsStated(0, Facts(at=end), (), ()) for end in (100, 200)]
    fills = [Fill(str(at), at, "s", "A", 1, 0, 0) for at in (50, 100, 101, 200, 201)]
    merged = [one.at if isinstance(one, Fill) else f"facts {one.facts.at}" for one in in_order(fills, facts)]
    assert merged == [50, 100, "facts 100", 101, 200, "facts 200", 201]


def test_a_position_in_two_currencies_is_one_and_a_risk_that_is_not_known_is_its_whole_exposure() -> None:
    from portfolio_platform.control.pipeline.sessions import _positions

    row = {
        "strategy": "s",
        "symbol": "A",
        "currency": "EUR",
        "quantity": 5,
        "risk": None,
        "exposure": -10.0,
        "template": "t",
        "playbook": "",
    }
    (one,) = _positions([row, {**row, "currency": "USD", "quantity": 2, "risk": 1.005, "exposure": 7.0}], 2)
    assert Position(*one[2:]) == Position(7, 1000 + 100, 1700, "t", "")
