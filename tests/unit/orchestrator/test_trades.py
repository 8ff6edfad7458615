"""Step 1: which holdings are sold and which picks are bought, worked by hand."""

from datetime import date
from decimal import Decimal

import pytest

from portfolio_platform.orchestrator.directive import Directive
from portfolio_platform.orchestrator.model import Holding, Restriction, RestrictionList, Snapshot
from portfolio_platform.orchestrator.planned import Trade
from portfolio_platform.orchestrator.profile import Profile, shipped_profile
from portfolio_platform.orchestrator.resolve import resolve
from portfolio_platform.orchestrator.trades import Generated, generate_trades
from tests.unit.orchestrator.examples import (
    AT,
    NO_RESTRICTIONS,
    account,
    asked,
    holding,
    instrument,
    lot,
    rankings,
    snapshot,
    to,
    with_rules,
)

V8 = shipped_profile()
PRICES = (
    instrument("AAA", "Old", "100"),
    instrument("BBB", "Old", "50"),
    instrument("CCC", "Old", "20"),
    instrument("NNN", "New", "100"),
    instrument("OOO", "New", "30"),
    instrument("PPP", "New", "7"),
    instrument("QQQ", "New", "11"),
)
RANKED = rankings({"New": ["NNN", "OOO", "PPP", "QQQ"], "Old": ["AAA"]})


def portfolio(*holdings: Holding, cash: str = "10000", fractional: bool = False) -> Snapshot:
    return snapshot((account("one", cash, *holdings, fractional=fractional),), PRICES)


def generated(
    made: Snapshot, *directives: Directive, profile: Profile = V8, barred: tuple[str, ...] = (), ranked: object = RANKED
) -> Generated:
    listed = RestrictionList(as_of=AT, source="test", entries=tuple(Restriction(ticker=name, reason="test") for name in barred))
    targets = resolve(asked(*directives), made, RANKED, profile).targets
    return generate_trades(made, targets, ranked, listed if barred else NO_RESTRICTIONS, profile, AT.date())  # type: ignore[arg-type]


def short(trades: tuple[Trade, ...]) -> list[tuple[str, str, str]]:
    return [(trade.side, trade.ticker, f"{trade.quantity:f}") for trade in trades]


LESS = Directive(kind="reduce", sector="Old", change_amount=Decimal(1020), change_currency="USD")
# 100,000 in all: AAA 30,000 (gain 25 %), BBB 40,000 (gain 100 %), CCC 20,000 (loss), cash 10,000
HELD = (holding("AAA", "300", "80"), holding("BBB", "800", "25"), holding("CCC", "1000", "30"))


def test_the_highest_gain_in_percent_is_sold_first_and_the_rest_of_the_next() -> None:
    found = generated(portfolio(*HELD), to("Old", 45))
    assert short(found.trades) == [("sell", "BBB", "800"), ("sell", "AAA", "50")]
    assert [trade.gain_ppm for trade in found.trades] == [1_000_000, 250_000]
    assert sum(trade.amount_minor for trade in found.trades) == 4_500_000


def test_a_sell_is_rounded_up_to_a_share_and_the_residue_is_shown() -> None:
    found = generated(portfolio(*HELD), LESS)
    assert short(found.trades) == [("sell", "BBB", "21")]
    assert found.trades[0].residue_minor == 3_000


def test_a_sell_is_rounded_down_where_rounding_up_would_end_farther_from_the_target() -> None:
    made = portfolio(holding("AAA", "1", "1"), cash="150")
    rules = with_rules(V8, "trades", minimum_ticket=Decimal(1))
    found = generated(made, Directive(kind="reduce", sector="Old", change_amount=Decimal(40), change_currency="USD"), profile=rules)
    assert found.trades == ()
    assert "one lot of AAA is more than what is left to sell" in found.findings[0].message


def test_a_restricted_holding_is_skipped_and_the_sector_says_why_it_stays_short() -> None:
    found = generated(portfolio(*HELD), to("Old", 0), barred=("BBB",))
    assert short(found.trades) == [("sell", "AAA", "300"), ("sell", "CCC", "1000")]
    assert [(finding.code, finding.subject) for finding in found.findings] == [("sector_short", "Old")]
    assert "40,000.00 of 90,000.00 stay unsold: BBB is restricted" in found.findings[0].message


def test_an_account_with_fractions_sells_parts_of_a_share() -> None:
    found = generated(portfolio(*HELD, fractional=True), LESS)
    assert short(found.trades) == [("sell", "BBB", "20.4")]
    assert found.trades[0].residue_minor == 0


def test_lots_of_a_hundred_are_kept() -> None:
    made = snapshot((account("one", "50000", holding("LOT", "1000", "1")),), (instrument("LOT", "Old", "50", lot_size=100), *PRICES[3:]))
    found = generated(made, to("Old", 33))
    assert short(found.trades) == [("sell", "LOT", "400")]


@pytest.mark.parametrize(("choice", "taken"), [("highest_gain", ["b", "c"]), ("lowest_gain", ["a", "c"]), ("oldest", ["c", "a"])])
def test_the_tax_lots_are_taken_in_the_profiles_order_and_recorded(choice: str, taken: list[str]) -> None:
    lots = (lot("a", "10", "90", date(2021, 1, 1)), lot("b", "10", "20", date(2022, 1, 1)), lot("c", "10", "60", date(2020, 1, 1)))
    made = portfolio(Holding(ticker="AAA", lots=lots), cash="7000")
    found = generated(
        made, Directive(kind="reduce", sector="Old", change_points=Decimal(15)), profile=with_rules(V8, "trades", lot_choice=choice)
    )
    assert short(found.trades) == [("sell", "AAA", "15")]
    assert [one.lot_id for one in found.trades[0].lots] == taken
    assert [one.quantity for one in found.trades[0].lots] == [10, 5]
    first = {"a": 10_000, "b": 80_000, "c": 40_000}[taken[0]]
    assert found.trades[0].lots[0].gain_minor == first


def test_a_holding_that_cost_nothing_has_the_highest_gain() -> None:
    found = generated(portfolio(holding("AAA", "300", "0"), holding("BBB", "800", "0.01")), to("Old", 50))
    assert found.trades[0].ticker == "AAA"
    assert found.trades[0].gain_ppm is None


def test_buys_go_to_three_picks_in_shares_of_50_30_and_20() -> None:
    found = generated(portfolio(cash="100000"), to("New", 10))
    assert short(found.trades) == [("buy", "NNN", "50"), ("buy", "OOO", "100"), ("buy", "PPP", "285")]
    assert [trade.pick for trade in found.trades] == [1, 2, 3]
    assert found.trades[2].residue_minor == 500  # 2,000.00 - 285 * 7.00


@pytest.mark.parametrize(
    ("barred", "bought"),
    [
        (("NNN",), [("OOO", 500_000), ("PPP", 300_000), ("QQQ", 200_000)]),
        (("NNN", "QQQ"), [("OOO", 625_000), ("PPP", 375_000)]),
        (("NNN", "OOO", "PPP"), [("QQQ", 1_000_000)]),
    ],
)
def test_fewer_picks_share_and_a_restricted_one_makes_room_for_the_next(barred: tuple[str, ...], bought: list[tuple[str, int]]) -> None:
    found = generated(portfolio(cash="100000", fractional=True), to("New", 10), barred=barred)
    assert [(trade.ticker, trade.amount_minor + trade.residue_minor) for trade in found.trades] == bought
    assert all(trade.residue_minor <= 1 for trade in found.trades)


def test_without_picks_nothing_is_bought_and_the_sector_says_so() -> None:
    found = generated(portfolio(cash="100000"), to("New", 10), barred=("NNN", "OOO", "PPP", "QQQ"))
    assert found.trades == ()
    assert [(finding.code, finding.severity) for finding in found.findings] == [("no_picks", "warning")]
    assert generated(portfolio(cash="100000"), to("New", 10), ranked=None).findings[0].code == "no_picks"


def test_a_pick_is_bought_up_to_the_limit_of_a_position_and_the_rest_stays_cash() -> None:
    found = generated(portfolio(cash="100000"), to("New", 40))
    spent = {trade.ticker: trade.amount_minor for trade in found.trades}
    assert spent["NNN"] == 1_500_000
    assert spent["OOO"] == 1_200_000
    slim = generated(portfolio(cash="100000"), to("New", 40), profile=with_rules(V8, "trades", fee_fixed=Decimal(1)))
    assert slim.trades[0].amount_minor == 1_490_000, "fees take from the value, and the limit is kept after them"
    assert any("NNN may be at most 15 %" in finding.message and finding.severity == "warning" for finding in found.findings)


def test_buys_share_the_cash_that_is_above_the_reserve() -> None:
    made = portfolio(*HELD)  # cash 10,000 of 100,000; the floor of 5 % stays
    found = generated(made, to("New", 20))
    assert sum(trade.amount_minor for trade in found.trades) <= 500_000
    assert sum(trade.amount_minor for trade in found.trades) > 480_000
    assert [finding.code for finding in found.findings][:1] == ["cash_short"]
    stated = generated(made, to("New", 20), Directive(kind="cash", target_pct=Decimal(8)))
    assert sum(trade.amount_minor for trade in stated.trades) <= 200_000


def test_several_accounts_pay_together_the_fullest_first_and_none_is_overdrawn() -> None:
    made = snapshot((account("small", "3000"), account("large", "7000")), PRICES)
    found = generated(made, to("New", 60), profile=with_rules(with_rules(V8, "limits", position_pct=60), "trades", pick_shares=(100,)))
    assert [(trade.account, f"{trade.quantity:f}") for trade in found.trades] == [("large", "60")]
    made = snapshot((account("small", "4000"), account("large", "6000")), PRICES)
    found = generated(made, to("New", 80), profile=with_rules(with_rules(V8, "limits", position_pct=100), "trades", pick_shares=(100,)))
    assert [(trade.account, f"{trade.quantity:f}") for trade in found.trades] == [("large", "60"), ("small", "20")]


def test_a_trade_below_the_smallest_ticket_is_left_out_and_said() -> None:
    found = generated(portfolio(cash="10000"), to("New", 3))  # 300: 150, 90 and 60 against a ticket of 100
    assert short(found.trades) == [("buy", "NNN", "1")]
    assert "OOO: 90.00 is no whole step or below the smallest ticket" in found.findings[0].message


def test_fees_come_out_of_the_cash_above_the_reserve() -> None:
    rules = with_rules(V8, "trades", fee_fixed=Decimal(10), fee_bps=Decimal(10))
    found = generated(portfolio(cash="10000", fractional=True), to("New", 95), profile=with_rules(rules, "limits", position_pct=100))
    assert all(trade.fee_minor == 1_000 - (-trade.amount_minor // 1000) for trade in found.trades)
    assert 1_000_000 + sum(trade.cash_minor for trade in found.trades) >= 50_000


def test_the_limit_price_and_the_worst_case_are_against_the_trade() -> None:
    found = generated(portfolio(*HELD, cash="10000"), to("Old", 80), to("New", 1))
    sale, purchase = found.trades[0], next(trade for trade in found.trades if trade.ticker == "NNN")
    assert (sale.limit_price, sale.worst_amount_minor) == (Decimal("49.75"), sale.amount_minor * 995 // 1000)
    assert (purchase.limit_price, purchase.worst_amount_minor) == (Decimal("100.5"), purchase.amount_minor * 1005 // 1000)
    assert sale.amount_minor == 1_000_000
    assert sale.worst_fee_minor == 695 + 100  # 6.95 and a basis point of 9,950.00, rounded up


def test_what_one_purchase_took_from_an_account_is_gone_for_the_next() -> None:
    made = snapshot((account("small", "4000"), account("large", "6000")), PRICES)
    rules = with_rules(with_rules(V8, "limits", position_pct=100, sector_cap_pct=100), "trades", pick_shares=(50, 50))
    found = generated(made, to("New", 80), profile=rules)
    assert [(trade.account, trade.ticker, f"{trade.quantity:f}") for trade in found.trades] == [
        ("large", "NNN", "40"),
        ("small", "OOO", "133"),
    ]


def test_a_sector_whose_money_is_less_than_fees_may_take_says_so() -> None:
    costly = with_rules(V8, "trades", fee_fixed=Decimal("4.95"), fee_bps=Decimal(3))
    tiny = portfolio(cash="1")
    made = generated(tiny, to("New", 1), profile=costly)
    assert not made.trades
    assert [finding.subject for finding in made.findings if finding.code == "sector_short"] == ["New"]
