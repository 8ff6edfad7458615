"""Reports of executions held against the plan: what is taken, known, corrected, set aside; and what is flagged, at its boundaries."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from portfolio_platform.errors import DataProblem
from portfolio_platform.orchestrator.booking import STRATEGY, booked
from portfolio_platform.orchestrator.executed import BookedTo, Executed, GivenUp, Protection, not_filled
from portfolio_platform.orchestrator.execution_flags import flags_of, slippage_bps
from portfolio_platform.orchestrator.execution_intake import after, take, withdraw
from portfolio_platform.orchestrator.execution_rows import COLUMNS, read_rows, set_aside_csv, template
from portfolio_platform.orchestrator.planned import LotSale
from portfolio_platform.orchestrator.profile import shipped_profile
from tests.unit.orchestrator.execution_examples import AT, NOW, UNTIL, approved, at, file, reported, row, taken

PROFILE = shipped_profile()


def codes(executed: Executed, now=NOW) -> list[str]:
    return [flag.code for flag in flags_of(executed, PROFILE, now)]


def test_a_fill_has_the_id_of_execution_trade_and_number_and_what_the_plan_says_where_the_row_does_not():
    (fill,) = taken(approved(), {**row(approved(), "S01"), "ticker": "", "side": "", "account": ""}).fresh
    assert fill.fill_id == f"{approved().execution_id}.S01.1"
    assert (fill.ticker, fill.side, fill.account, fill.quantity, fill.price, fill.fee_minor) == ("OLD", "sell", "C", 300, 100, 0)


def test_the_same_report_twice_changes_nothing_whatever_the_order_of_its_rows():
    begun = approved()
    given = [row(begun, "S01", quantity="100"), row(begun, "S01", quantity="100"), row(begun, "S01", 6, quantity="50")]
    once = reported(begun, *given)
    assert [fill.number for fill in once.in_force] == [1, 2, 3]
    again = taken(once, *reversed(given))
    assert (again.known, again.fills, again.bad) == (3, (), ())


def test_further_fills_of_a_trade_are_numbered_on():
    once = reported(approved(), row(approved(), "S01", quantity="100"))
    twice = reported(once, row(approved(), "S01", 7, quantity="150"))
    one = twice.trades[0]
    assert ([fill.number for fill in one.fills], one.filled, one.left, one.status) == ([1, 2], 250, 50, "partial")


def test_a_fill_that_was_reported_otherwise_is_set_aside_until_it_is_said_to_be_a_correction():
    once = reported(approved(), row(approved(), "S01", price="99"))
    typo = row(approved(), "S01", price="98")
    refused = taken(once, typo)
    assert not refused.fills
    assert "reported otherwise before (300 at 99" in refused.bad[0].sentence
    assert "--correct" in refused.bad[0].remedy
    corrected = taken(once, typo, corrections=True)
    assert [(fill.fill_id, fill.revision, fill.price) for fill in corrected.corrected] == [(f"{once.execution_id}.S01.1", 1, 98)]
    state = after(once, corrected.fills)
    assert (state.trades[0].price, len(state.in_force)) == (98, 1)
    assert taken(state, typo).known == 1


def test_a_correction_may_name_its_fill_and_move_its_time():
    once = reported(approved(), row(approved(), "S01"))
    found = taken(once, row(approved(), "S01", 8, fill="1"), corrections=True)
    assert [(fill.revision, fill.at) for fill in found.corrected] == [(1, at(8))]


def test_a_fill_that_never_happened_is_withdrawn_and_may_come_back_as_a_correction():
    once = reported(approved(), row(approved(), "S01"))
    name = once.in_force[0].fill_id
    gone = after(once, [withdraw(name, once)])
    assert (gone.in_force, gone.trades[0].status) == ((), "open")
    assert withdraw(name, gone) is None
    back = taken(gone, row(approved(), "S01", fill="1"), corrections=True)
    assert [(fill.revision, fill.withdrawn) for fill in back.corrected] == [(2, False)]


@pytest.mark.parametrize(
    ("said", "column", "rule"),
    [
        ({"trade_id": "Z9"}, "trade_id", "is no trade of this plan, which has S01, B01"),
        ({"quantity": "=1+1"}, "quantity", "is not a number"),
        ({"quantity": "-5"}, "quantity", "is negative"),
        ({"quantity": "0"}, "quantity", "is zero"),
        ({"quantity": "1,000"}, "quantity", "has a comma"),
        ({"price": ""}, "price", "is empty"),
        ({"price": "NaN"}, "price", "is not a number"),
        ({"price": "0.00000000001"}, "price", "decimals"),
        ({"fee": "1.005"}, "fee", "more than 2 decimals"),
        ({"at": "2026-01-05 15:05"}, "at", "has no offset"),
        ({"at": "2026-01-05T15:30:00Z"}, "at", "is in the future"),
        ({"at": "today"}, "at", "is not an ISO-8601 time"),
        ({"side": "short"}, "side", "is neither buy nor sell"),
        ({"account": "Z"}, "account", "is no account of the portfolio, which has C, M"),
        ({"ticker": "=CMD()"}, "ticker", "is no ticker"),
        ({"fill": "one"}, "fill", "is no number of a fill"),
        ({"profit_targets": "110 x"}, "profit_targets", "is not a number"),
        ({"stop_price": "-1"}, "stop_price", "is negative"),
        ({"note": "x" * 501}, "note", "has 501 characters"),
    ],
)
def test_a_bad_row_is_set_aside_with_value_rule_and_remedy_and_the_good_one_beside_it_is_taken(said, column, rule):
    begun = approved()
    found = taken(begun, row(begun, "S01", **said), row(begun, "B01", 6))
    assert [fill.trade_id for fill in found.fresh] == ["B01"]
    (bad,) = found.bad
    assert (bad.column, rule in bad.rule, bool(bad.remedy)) == (column, True, True)
    assert bad.file == "the report" or bad.file == "fills.csv"


def test_one_fill_twice_in_a_report_is_set_aside_the_second_time():
    begun = approved()
    found = taken(begun, row(begun, "S01", fill="1"), row(begun, "S01", 6, fill="1"))
    assert (len(found.fresh), found.bad[0].rule) == (1, "is in this report twice")


def test_a_fill_without_a_trade_is_that_of_the_plan_with_its_ticker_and_side_else_it_is_beyond_the_plan():
    begun = approved()
    found = taken(
        begun,
        {"ticker": "old", "side": "sell", "quantity": "1", "price": "100", "at": at(5).isoformat()},
        {"ticker": "AGE", "side": "buy", "account": "M", "quantity": "1", "price": "10", "at": at(5).isoformat()},
    )
    assert [(fill.trade_id, fill.ticker) for fill in found.fresh] == [("S01", "OLD"), ("", "AGE")]
    state = after(begun, found.fills)
    assert (state.beyond[0].fill_id, codes(state)[-1]) == (f"{begun.execution_id}.beyond-AGE-buy.1", "unplanned")


def test_the_template_names_every_column_and_reads_back_as_nothing_done_until_times_are_filled_in():
    begun = approved(S01=Protection(trade_id="B01", stop_price=Decimal(180), profit_targets=(Decimal(230), Decimal(250))))
    text = template(begun.plan, begun)
    assert all(f"# {name}: " in text for name in COLUMNS)
    empty = read_rows(text.encode(), "t.csv", NOW)
    assert (empty.given, empty.bad, empty.passed_over) == ((), (), 2)
    filled = text.replace(",0.00,,", f",0.00,{at(5).isoformat()},")
    found = take(read_rows(filled.encode("utf-8-sig"), "t.csv", NOW), begun, ["C", "M"])
    assert [(fill.trade_id, fill.quantity, fill.price) for fill in found.fresh] == [("S01", 300, 100), ("B01", 150, 200)]
    left = template(begun.plan, reported(begun, row(begun, "S01"), row(begun, "B01", quantity="50")))
    assert [line.split(",")[0] + line.split(",")[5] for line in left.splitlines() if not line.startswith("#")][1:] == ["B01100"]


def test_a_file_may_have_other_columns_other_separators_and_text_in_quotes():
    text = file("trade_id;Quantity;price;at;broker ref;note", f'S01;300;100;{at(5).isoformat()};x-1;"two\nlines; and more"')
    found = read_rows(text, "f.csv", NOW)
    assert (len(found.given), found.given[0].note, "broker ref was not read" in found.notes[0]) == (1, "two\nlines; and more", True)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "it is empty"),
        (b"# only a comment\n", "it is empty"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"trade_id,price,at\n", "there is no column quantity"),
        (b"trade_id,quantity,price,at,at\n", "'at' is there twice"),
        (b'trade_id,quantity,price,at\n"S01,1\n', "it is no CSV"),
        (b"x" * 5_000_001, "at most 5000000 are read"),
    ],
)
def test_a_file_that_is_no_table_of_fills_is_refused_with_the_way_out(content, text):
    with pytest.raises(DataProblem, match=text):
        read_rows(content, "f.csv", NOW)


def test_rows_set_aside_are_written_so_that_no_spreadsheet_runs_them():
    begun = approved()
    found = taken(begun, row(begun, "S01", quantity="=HYPERLINK(1)", note="+1"))
    text = set_aside_csv(found.bad)
    assert "'=HYPERLINK(1)" in text
    assert not any(cell.startswith(("=", "+", "@")) for line in text.splitlines() for cell in line.split(","))


# flags


@pytest.mark.parametrize(
    ("trade", "price", "flagged"),
    [("S01", "99.5", []), ("S01", "99.4999999999", ["slippage", "beyond_limit"]), ("S01", "101", []),
     ("B01", "201", []), ("B01", "201.0000000001", ["slippage", "beyond_limit"]), ("B01", "150", [])],
)  # fmt: skip
def test_slippage_is_flagged_strictly_beyond_fifty_basis_points_against_the_trade_alone(trade, price, flagged):
    begun = reported(approved(), row(approved(), "S01"))
    state = reported(begun, row(approved(), trade, price=price), corrections=True)
    assert codes(state) == flagged


def test_slippage_is_in_basis_points_and_positive_where_it_is_worse():
    assert slippage_bps("sell", Decimal(100), Decimal("99.5")) == 50
    assert slippage_bps("buy", Decimal(200), Decimal(199)) == -50


@pytest.mark.parametrize(("quantity", "flagged"), [("270", []), ("269.9999", ["partial_fill"]), ("300", [])])
def test_a_partial_fill_is_flagged_below_ninety_percent(quantity, flagged):
    assert codes(reported(approved(), row(approved(), "S01", quantity=quantity))) == flagged


@pytest.mark.parametrize(("minutes", "late"), [(14.99, []), (15, ["S01"]), (60, ["S01"])])
def test_a_trade_without_a_fill_is_found_by_the_clock_from_the_approval_and_a_buy_waits_for_its_sells(minutes, late):
    assert [one.trade_id for one in not_filled(approved(), at(minutes), 15)] == late


def test_the_time_without_a_fill_counts_from_the_order_and_for_a_buy_from_the_last_sell_it_waits_for():
    begun = approved()
    assert begun.trades[1].status == "waiting"
    sold = reported(begun, row(begun, "S01", 8))
    assert (sold.trades[1].waits_for, sold.trades[1].since) == ((), at(8))
    assert not not_filled(sold, at(22.9), 15)
    assert [one.trade_id for one in not_filled(sold, at(23), 15)] == ["B01"]
    placed = Executed(begun.execution_id, begun.plan, AT, UNTIL, placings={"S01": at(10)})
    assert (placed.trades[0].status, bool(not_filled(placed, at(24), 15)), bool(not_filled(placed, at(25), 15))) == ("placed", False, True)
    given_up = Executed(begun.execution_id, begun.plan, AT, UNTIL, given_up={"S01": GivenUp(trade_id="S01", at=at(1))})
    assert [one.trade_id for one in not_filled(given_up, at(16), 15)] == ["B01"]


def test_a_plan_that_nobody_began_is_late_up_to_the_end_of_its_approval_and_no_longer():
    begun = approved()
    short = Executed(begun.execution_id, begun.plan, AT, AT + timedelta(minutes=14))
    assert not not_filled(short, at(600), 15)


@pytest.mark.parametrize(("minutes", "flagged"), [(14, []), (15, ["late_fill"])])
def test_a_fill_long_after_its_order_is_flagged(minutes, flagged):
    state = reported(approved(), row(approved(), "S01", 1 + minutes, placed_at=at(1).isoformat()), now=UNTIL)
    assert codes(state, at(17)) == flagged


@pytest.mark.parametrize(
    ("said", "flagged"),
    [
        ({"quantity": "301"}, "more_than_planned"),
        ({"side": "buy"}, "wrong_side"),
        ({"ticker": "AGE"}, "other_symbol"),
        ({"account": "M"}, "other_account"),
        ({"fee": "0.01"}, "fee"),
    ],
)
def test_what_is_beyond_the_plan_is_taken_and_flagged(said, flagged):
    state = reported(approved(), row(approved(), "S01", **said))
    assert (len(state.in_force), flagged in codes(state)) == (1, True)


def test_fills_before_the_approval_and_after_its_end_are_taken_and_flagged():
    begun = approved()
    later = replace(begun, approved_at=at(5))  # than it was made
    assert codes(reported(later, row(later, "S01", 4))) == ["before_approval"]
    late = reported(begun, row(begun, "S01"), row(begun, "B01", 121), now=at(130))
    assert codes(late, at(130)) == ["after_expiry"]


def test_a_buy_before_the_sells_that_pay_for_it_is_flagged():
    begun = approved()
    assert "before_its_sells" in codes(reported(begun, row(begun, "B01", 4)))
    assert "before_its_sells" in codes(reported(begun, row(begun, "S01", 5), row(begun, "B01", 4)))
    assert codes(reported(begun, row(begun, "S01", 5), row(begun, "B01", 6))) == []


def test_an_execution_is_complete_when_every_trade_is_filled_or_given_up():
    begun = approved()
    sold = reported(begun, row(begun, "S01"))
    assert not sold.complete
    left = Executed(
        sold.execution_id, sold.plan, AT, UNTIL, fills=sold.fills, given_up={"B01": GivenUp(trade_id="B01", at=at(9), reason="no cash")}
    )
    assert (left.complete, [one.status for one in left.trades], left.trades[1].left) == (True, ["filled", "given_up"], 0)


# which strategy


def lots(*pairs: tuple[str, int]):
    trade = approved().by_trade["S01"]
    sold = [LotSale(lot_id=name, quantity=Decimal(many), cost=Decimal(50), acquired=AT.date(), gain_minor=0) for name, many in pairs]
    return trade.model_copy(update={"lots": tuple(sold)})


def test_a_sale_is_booked_to_the_strategies_whose_lots_the_plan_chose_and_its_later_fills_to_what_is_left_of_them():
    trade, holders = lots(("a", 200), ("b", 100)), {"a": "trend", "b": "value"}
    first = taken(approved(), row(approved(), "S01", quantity="250")).fresh[0]
    second = first.model_copy(update={"fill_id": "x.S01.2", "number": 2, "quantity": Decimal(60)})
    one = booked(first, trade, holders, [])
    assert one.booked == (BookedTo(strategy="trend", quantity=Decimal(200)), BookedTo(strategy="value", quantity=Decimal(50)))
    two = booked(second, trade, holders, [one])
    assert [(part.strategy, part.quantity) for part in two.booked] == [("value", 50), (STRATEGY, 10)]
    smaller = booked(first.model_copy(update={"quantity": Decimal(150), "revision": 1}), trade, holders, [one, two])
    assert ([(part.strategy, part.quantity) for part in smaller.booked], smaller.unbooked) == ([("trend", 150)], ("value",))


def test_a_purchase_and_what_nobody_is_known_to_hold_are_the_orchestrators_own():
    trade = lots(("a", 300))
    sale = taken(approved(), row(approved(), "S01")).fresh[0]
    assert booked(sale, trade, {}, []).booked[0].strategy == STRATEGY
    buy = taken(approved(), row(approved(), "B01")).fresh[0]
    assert booked(buy, approved().by_trade["B01"], {"a": "trend"}, []).booked[0].strategy == STRATEGY
