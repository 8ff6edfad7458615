"""Paper fills as rows: the normal import takes them, and what it stores is what was filled."""

from datetime import date
from decimal import Decimal

from portfolio_platform.broker.model import UNIT, Filled, Labels
from portfolio_platform.broker.rows import COLUMNS, bar_of, fill_row, fills_csv
from portfolio_platform.broker.terms import BrokerTerms
from portfolio_platform.home import Home
from portfolio_platform.lake.facts import FILLS
from portfolio_platform.sources.pipeline import import_paths
from tests.unit.broker.broker_examples import MINUTE, START, bar, order, played, px

LABELS = Labels("p", "trend", "sig-1", "int-1", "breakout", "squeeze", "trg-1", "policy", "USD", px(99.5), px(95), px(110))


def filled() -> list[Filled]:
    inputs = [order(labels=LABELS), order("o2", "sell", lot=1, labels=LABELS)._replace(quantity=UNIT // 8), bar(0, 100.25, 101, 99, 100)]
    return [one for one in played(inputs, BrokerTerms(fee=333, slippage=1_000))[1] if isinstance(one, Filled)]


def test_a_row_has_the_columns_of_the_file_of_fills_with_exact_values():
    row = fill_row(filled()[0], 2)
    assert tuple(row) == COLUMNS == tuple(column.name for column in FILLS.columns)
    assert (row["quantity"], row["price"], row["fee"]) == ("100", "100.3503", "3.35")  # 100.25 and 10 bps, up to the tick
    assert (row["side"], row["order_id"], row["execution_id"]) == ("buy", "o1", f"o1@{START + MINUTE}")
    assert (row["decision_price"], row["stop_price"], row["target_price"]) == ("99.5", "95", "110")
    assert row["ts"] == "2024-10-04T15:01:00Z" and row["decision_ts"] == "2024-10-04T15:00:00Z"
    assert fill_row(filled()[1], 2)["quantity"] == "0.125"


def test_what_has_no_value_is_an_empty_cell():
    inputs = [order(), bar(0, 100, 101, 99, 100)]
    row = fill_row(next(one for one in played(inputs)[1] if isinstance(one, Filled)), 2)
    assert {row[name] for name in ("stop_price", "target_price", "decision_price", "signal_id", "currency")} == {""}


def test_the_normal_import_takes_the_file_and_stores_what_was_filled_once(home: Home, tmp_path):
    home.pin_clock(date(2024, 12, 31))
    path = tmp_path / "fills.csv"
    path.write_bytes(fills_csv(filled(), 2))
    import_paths(home, [path])
    path.write_bytes(fills_csv([*filled(), *filled()], 2))
    import_paths(home, [path])
    rows = sorted(home.lake.read(FILLS.table).to_pylist(), key=lambda row: row["execution_id"])
    assert [(one["portfolio"], one["symbol"], one["side"], one["quantity"], one["price"], one["fee"]) for one in rows] == [
        ("p", "AAA", "buy", Decimal(100), Decimal("100.3503"), Decimal("3.35")),
        ("p", "AAA", "sell", Decimal("0.125"), Decimal("100.1497"), Decimal("0.01")),
    ]


def test_a_bar_of_the_lake_becomes_one_of_the_broker_and_what_it_does_not_state_is_its_close():
    made = bar_of("AAA", START, START + 1, Decimal("10.5"), (Decimal(10), None, Decimal("9.75")), Decimal(7))
    assert (made.open, made.high, made.low, made.close) == (px(10), px(10.5), px(9.75), px(10.5)) and made.volume == 7 * UNIT
    assert bar_of("AAA", START, START + 1, Decimal(3)).volume is None
