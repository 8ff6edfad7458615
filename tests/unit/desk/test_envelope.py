"""A plan of a portfolio under control keeps the control plane's envelope, or is blocked and says by how much."""

from datetime import timedelta

import pytest
from immutables import Map

from portfolio_platform.book.events import read
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.terms import Order
from portfolio_platform.days import nanoseconds
from portfolio_platform.desk.envelope import risk_of
from portfolio_platform.desk.prepare import Prepared, prepare, preview
from portfolio_platform.desk.sources import Asked, folder_of
from portfolio_platform.home import Home
from portfolio_platform.orchestrator.accounts import AccountTerms
from tests.unit.desk.desk_examples import SAMPLE, at, changed, document, plan_of, under_control

pytestmark = pytest.mark.usefixtures("plain_files")


def codes(made: Prepared) -> set[str]:
    return {one.code for one in made.conflicts}


def ordered(home: Home, plane: ControlPlane, kind: str, mode: str = "") -> None:
    now = nanoseconds(home.clock.now())
    order = Order("o1", kind, "operator", "ann", "storm", now, now + 10**15, mode=mode)
    plane.give_order("sample", [order])


def test_without_the_control_plane_there_is_no_envelope(desk: Home) -> None:
    made = prepare(desk, SAMPLE)
    assert made.conflicts == () and made.papers.plan.verdict == "CONDITIONAL"


def test_within_its_envelope_a_plan_is_what_it_is_without_one(desk: Home) -> None:
    alone = preview(desk, SAMPLE).papers.plan
    under_control(desk)
    made = prepare(desk, SAMPLE)
    assert made.conflicts == () and made.papers.plan.trades == alone.trades and made.papers.plan.verdict == alone.verdict


def test_risk_off_refuses_every_buy_and_no_sale(desk: Home) -> None:
    ordered(desk, under_control(desk), "mode", "risk_off")
    made = prepare(desk, SAMPLE)
    assert codes(made) == {"rejected_risk_off"} and len(made.conflicts) == 6
    assert made.papers.plan.verdict == "BLOCKED" and made.state.made.escalation_id
    sale = prepare(desk, Asked("sample", document=document(desk, "## ACTION PLAN\n- Reduce Materials to 30%\n")))
    assert sale.conflicts == () and sale.papers.plan.verdict == "SAFE"


def test_flatten_only_refuses_every_buy(desk: Home) -> None:
    ordered(desk, under_control(desk), "flatten")
    assert codes(prepare(desk, SAMPLE)) == {"rejected_flatten_only"}


def test_facts_that_are_too_old_refuse_every_buy(desk: Home) -> None:
    under_control(desk, minutes=-60, facts_age=30 * 60 * 10**9)
    assert codes(prepare(desk, SAMPLE)) == {"rejected_stale_state"}


def test_an_envelope_that_has_expired_refuses_the_buy_and_names_the_command(desk: Home) -> None:
    plane = under_control(desk, minutes=-60, envelope=30 * 60 * 10**9)
    plane.enlist("sample", ["NVDA"])
    (conflict,) = prepare(desk, SAMPLE).conflicts
    assert (conflict.code, conflict.symbol, conflict.version) == ("envelope_expired", "NVDA", 1) and "control cycle" in conflict.text


def test_the_heat_that_is_left_is_shared_by_the_buys_in_their_order(desk: Home) -> None:
    under_control(desk, caps=(("risk", "heat", 100_000), ("risk", "symbol", 200_000)))
    made = prepare(desk, SAMPLE)
    # 100,000 of heat: NVDA 46,500 and LLY 49,600 and 400 leave 3,500; AVGO at 27,750 and 150 is clipped, the rest refused
    assert [(one.symbol, one.trade_id, one.limit, one.wanted) for one in made.conflicts][:2] == [
        ("AVGO", "B04, B05", 350_000, 2_790_000),
        ("UNH", "B06", 0, 3_000_000),
    ]
    assert codes(made) == {"approved_clipped", "rejected_heat"}


def test_a_symbols_own_cap_binds(desk: Home) -> None:
    under_control(desk, caps=(("risk", "heat", 500_000), ("risk", "symbol", 40_000)))
    assert {(one.symbol, one.limit) for one in prepare(desk, SAMPLE).conflicts} == {("NVDA", 4_000_000), ("LLY", 4_000_000)}


def test_places_for_new_positions_are_counted_over_the_plan(desk: Home) -> None:
    under_control(desk, positions=2)
    made = prepare(desk, SAMPLE)
    assert codes(made) == {"rejected_position_count"}
    assert {one.symbol for one in made.conflicts} == {"AVGO", "UNH", "AAPL", "ABBV"}, "NVDA and LLY have the two places"


def test_a_symbol_that_the_control_plane_does_not_know_is_refused(desk: Home) -> None:
    under_control(desk)
    changed(desk, "portfolio.json", lambda content: content["instruments"].append({**content["instruments"][5], "ticker": "NEWX"}))
    changed(desk, "sector_rankings.json", lambda content: content["sectors"][0]["picks"].insert(0, {"ticker": "NEWX", "conviction": 99}))
    (conflict,) = prepare(desk, SAMPLE).conflicts
    assert (conflict.code, conflict.symbol) == ("rejected_invalid", "NEWX")


def test_a_stop_that_is_stated_or_planned_is_what_a_buy_puts_at_risk(desk: Home) -> None:
    caps = (("risk", "heat", 20_000), ("risk", "symbol", 20_000))
    under_control(desk, caps=caps)
    files = folder_of(desk)
    # 800 NVDA at 150 with a stop at 135: 12,000 at risk of the 20,000 that are left
    stock = Asked("sample", recommendation=files / "stock_recommendation.json", snapshot=files / "portfolio_with_cash.json")
    assert prepare(desk, stock).conflicts == ()
    assert len(prepare(desk, SAMPLE).conflicts) == 6
    changed(desk, "accounts.json", lambda content: content["accounts"].append({"portfolio": "sample", "planned_stop_pct": "10"}))
    assert prepare(at(desk, 1), SAMPLE).conflicts == (), "a tenth of 192,980 is within 20,000"


def test_the_risk_of_a_buy_is_rounded_up_and_the_whole_amount_without_a_usable_stop(desk: Home) -> None:
    trade = preview(desk, SAMPLE).papers.plan.trades[2]
    none, tenth = AccountTerms(portfolio="p"), AccountTerms(portfolio="p", planned_stop_pct="10")  # type: ignore[arg-type]
    assert (trade.ticker, trade.amount_minor) == ("NVDA", 4_650_000)
    assert risk_of(trade, None, none, 2) == 4_650_000
    assert risk_of(trade, trade.price, none, 2) == 4_650_000, "a stop at the price protects nothing"
    assert risk_of(trade, trade.price - 10, none, 2) == 310_000
    assert risk_of(trade, None, tenth, 2) == 465_000


def test_conflicts_are_recorded_both_ways_and_once(desk: Home) -> None:
    ordered(desk, under_control(desk), "mode", "risk_off")
    made = prepare(desk, SAMPLE)
    prepare(desk, SAMPLE)
    with desk.book.reading() as connection:
        noticed = [event.data for event in read(connection, "control/sample") if event.type == "control_noticed"]
    assert [one["symbol"] for one in noticed] == [one.symbol for one in made.conflicts]
    assert {one["what"] for one in noticed} == {"plan_conflict"} and {one["subject"] for one in noticed} == {made.execution_id}
    assert plan_of(desk, made.execution_id).made.conflicts == made.conflicts
    assert ControlPlane(desk.book, desk.clock).get_portfolio_state("sample").reservations == Map(), "asking reserves nothing"


@pytest.mark.parametrize("later", [1, 90])
def test_the_same_state_and_plan_have_the_same_conflicts(desk: Home, later: int) -> None:
    ordered(desk, under_control(desk), "mode", "risk_off")
    first, again = preview(desk, SAMPLE), preview(at(desk, later), SAMPLE)
    assert first.conflicts == again.conflicts and timedelta(minutes=later)
