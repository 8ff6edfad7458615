"""Single cells: what is accepted, and what is said of the others."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.days import nanoseconds
from portfolio_platform.lake.columns import Column
from portfolio_platform.sources.numerals import parse_floats
from portfolio_platform.sources.timestamps import parse_days, parse_timestamps

from .conftest import AS_OF_NS, FILLS_HEADER, Reader, fill, fills


def only(read: Reader, **changes: str) -> str:
    """Return the sentence of the one rejection that a changed fill gives."""
    parsed = read("fills", fills(fill(), fill(**changes)))
    assert parsed.rows.num_rows == 1
    (rejection,) = parsed.rejections
    return rejection.sentence.removeprefix("fills.csv line 3: ")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", "10"), ("10.50", "10.5"), ("1e-8", "0.00000001"), ("1E+3", "1000"), ("+5", "5"), (".5", "0.5"), ("5.", "5"),
        (" 7 ", "7"), ("0.000000000000000001", "0.000000000000000001"), ("1.2300000000000000000000000", "1.23"),
        ("99999999999999999999.999999999999999999", "99999999999999999999.999999999999999999"), ("007", "7"),
        ("0" * 50 + "1", "1"), ("12345e-18", "0.000000000000012345"),
    ],
)  # fmt: skip
def test_decimals_are_read_exactly(read: Reader, text: str, value: str) -> None:
    parsed = read("fills", fills(fill(quantity=text)))
    assert parsed.rejections == ()
    assert parsed.rows["quantity"].to_pylist() == [Decimal(value)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "price is empty, and is required; fill it in: price of one unit"),
        ("nan", "price nan is not a number; write the number"),
        ("-Infinity", "price -Infinity is not a number; write the number"),
        ("0x1F", "price 0x1F is not a number; write digits with a decimal point"),
        ("1_000", "price 1_000 is not a number"),
        ("$12", "price $12 is not a number"),
        ("١٢", "price ١٢ is not a number"),
        ("1 000", "price 1 000 is not a number"),
        ("1e99999", "price 1e99999 is not a number"),
        ("9" * 21, f"price {'9' * 21} has more than 20 digits before the point; check the number"),
        ("1e20", "price 1e20 has more than 20 digits before the point"),
        ("0.1234567890123456789", "price 0.1234567890123456789 has more than 18 decimals, which cannot be kept exactly; round it to 18"),
        ("1e-19", "price 1e-19 has more than 18 decimals"),
        ("0", "price 0 is zero: price is never zero; leave the row out if nothing happened"),
        ("-3.50", "price -3.50 is negative: price is always positive; write 3.5 or check the row at its source"),
    ],
)
def test_what_is_no_usable_number_is_set_aside_with_the_way_out(read: Reader, text: str, said: str) -> None:
    assert only(read, price=text).startswith(said)


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_negative_quantity_is_answered_with_the_side_that_is_meant(read: Reader, side: str) -> None:
    said = "quantity -0.50 is negative: quantity is always positive; write quantity 0.5 and side 'sell'"
    assert only(read, quantity="-0.50", side=side) == said


@pytest.mark.parametrize("zero", ["0", "-0", "0.000", "0e5"])
def test_a_quantity_of_zero_is_set_aside(read: Reader, zero: str) -> None:
    assert only(read, quantity=zero).startswith(f"quantity {zero} is zero: quantity is never zero")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,5", "has a decimal comma; write 1.5, with a decimal point"),
        ("1.234,56", "has a decimal comma; write 1234.56, with a decimal point"),
        ("1,500", "has a comma: is it thousands or decimals?; write 1500 or 1.500, without a comma"),
        ("1,234,567.8", "has a comma: is it thousands or decimals?; write 1234567.8, without a comma"),
    ],
)
def test_commas_in_numbers_are_never_guessed(read: Reader, text: str, said: str) -> None:
    semicolons = fills(fill(price="PRICE")).replace(",", ";").replace("PRICE", text)
    (rejection,) = read("fills", semicolons).rejections
    assert rejection.sentence == f"fills.csv line 2: price {text} {said}"


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2024-05-01T14:30:00Z", 1714573800_000000000),
        ("2024-05-01 14:30:00+00:00", 1714573800_000000000),
        ("2024-05-01T10:30:00-04:00", 1714573800_000000000),
        ("2024-05-01T16:30:00+0200", 1714573800_000000000),
        ("2024-05-01T16:30:00+02", 1714573800_000000000),
        ("2024-05-01t14:30z", 1714573800_000000000),
        ("2024-05-01T14:30:00.123456789Z", 1714573800_123456789),
        ("2024-05-01T14:30:00.1Z", 1714573800_100000000),
        ("2024-05-01T14:30:00.1234567890000Z", 1714573800_123456789),
        ("2024-02-29T00:00:00Z", 1709164800_000000000),
        ("2024-01-01T00:00:00+05:30", 1704047400_000000000),
    ],
)
def test_times_with_an_offset_are_read_to_the_nanosecond(read: Reader, text: str, ns: int) -> None:
    parsed = read("fills", fills(fill(ts=text)))
    assert parsed.rows["ts"].to_pylist() == [ns]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2024-05-01T14:30:00", "has no offset: it is not known which time zone it is in; append Z if it is UTC (2024-05-01T14:30:00Z)"),
        ("2024-05-01 14:30", "has no offset: it is not known which time zone it is in; append Z if it is UTC (2024-05-01T14:30Z)"),
        ("2024-05-01", "is a date without a time; write the time and its offset, for example 2024-05-01T21:00:00Z"),
        ("1714573800000", "is a bare number, and its unit is not known; write it as 2024-05-01T14:30:00Z"),
        ("20240501", "is a bare number"),
        ("01/05/2024 14:30", "is not an ISO-8601 time; write it as"),
        ("1969-12-31T23:59:59Z", "is before 1970; check the year"),
        ("1970-01-01T00:00:00+01:00", "is before 1970; check the year"),
        ("2027-01-15T08:00:00.000000001Z", "is in the future: the as-of time is 2027-01-15T08:00:00Z; if it is right, import with a later"),
        ("2250-01-01T00:00:00Z", "is in the future"),
        ("9999-12-31T00:00:00Z", "is after 2262-04-11, the last day that can be kept; check the year"),
        ("2023-02-29T00:00:00Z", "is on a day that does not exist; check the date"),
        ("2024-13-01T00:00:00Z", "is on a day that does not exist"),
        ("0000-00-00T00:00:00Z", "is on a day that does not exist"),
        ("2024-05-01T24:00:00Z", "has hour 24; write 00:00:00 of the next day, 2024-05-02"),
        ("9999-12-31T24:00:00Z", "has hour 24"),
        ("2016-12-31T23:59:60Z", "is a leap second"),
        ("2024-05-01T25:00:00Z", "is a time of day that does not exist"),
        ("2024-05-01T10:00:00+25:00", "is a time of day that does not exist"),
        ("2024-05-01T14:30:00.1234567891Z", "is finer than a nanosecond"),
    ],
)
def test_what_is_no_usable_time_is_set_aside_with_the_way_out(read: Reader, text: str, said: str) -> None:
    assert only(read, ts=text).startswith(f"ts {text} {said}")


def test_a_time_at_the_as_of_time_itself_is_not_in_the_future(read: Reader) -> None:
    assert read("fills", fills(fill(ts="2027-01-15T08:00:00Z"))).rejections == ()


def test_an_end_of_validity_may_be_in_the_future_but_not_beyond_what_can_be_kept(read: Reader) -> None:
    header = "signal_id,ts,symbol,direction,entry_price,valid_until\n"
    start = "S1,2024-05-01T14:30:00Z,AAPL,long,10,"
    assert read("signals", f"{header}{start}2100-01-01T00:00:00Z\n").rejections == ()
    (rejection,) = read("signals", f"{header}{start}9999-12-31T00:00:00Z\n").rejections
    assert rejection.remedy == "leave it empty if it has no end"


@given(st.integers(86_400 * 10**6, 7_258_000_000 * 10**6), st.integers(-14 * 60, 14 * 60), st.integers(0, 999), st.sampled_from("T "))
def test_the_quick_and_the_slow_way_read_any_time_alike(microseconds: int, offset: int, finer: int, between: str) -> None:
    import pyarrow as pa

    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    sign, minutes = ("-" if offset < 0 else "+"), abs(offset)
    zone = f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    text = f"{at:%Y-%m-%d}{between}{at:%H:%M:%S}.{at.microsecond:06d}{finer:03d}"
    values, faults = parse_timestamps(Column("valid_until", "timestamp", ""), pa.array([text + zone, text + " " + zone]), 0)
    expected = nanoseconds(at) - offset * 60_000_000_000 + finer
    assert (values.to_pylist(), faults) == ([expected, expected], {})


def test_text_is_stripped_normalised_and_otherwise_kept_as_it_is(read: Reader) -> None:
    odd = ["=1+1", "@cmd", "+x", "BTC/USD", "BRK B", "Robert'); DROP TABLE fills;--", "日経", "<b>", "a\tb"]
    parsed = read("fills", fills(*(fill(execution_id=str(number), symbol=f"  {text} ") for number, text in enumerate(odd))))
    assert parsed.rows["symbol"].to_pylist() == odd
    assert read("fills", fills(fill(symbol="e\u0301"))).rows["symbol"].to_pylist() == ["\u00e9"]


@pytest.mark.parametrize("character", ["\x01", "\x1b", "\x7f", "\x85"])
def test_control_characters_are_refused(read: Reader, character: str) -> None:
    assert "has a control character or a line break; remove it" in only(read, symbol=f"A{character}B")


def test_text_has_a_bounded_length(read: Reader) -> None:
    assert read("fills", fills(fill(symbol="é" * 4096))).rejections == ()
    assert "has 4,097 characters, more than 4,096; shorten it" in only(read, symbol="é" * 4097)


def test_choices_are_matched_in_any_case_and_stored_in_lower_case(read: Reader) -> None:
    assert read("fills", fills(fill(side=" SELL "))).rows["side"].to_pylist() == ["sell"]
    assert only(read, side="B") == "side B is not one of buy, sell; write one of buy, sell (did you mean buy?)"
    assert only(read, side="") == "side is empty, and is required; fill it in: one of buy, sell"


def test_empty_optional_cells_take_the_default_or_are_null(read: Reader) -> None:
    row = read("fills", fills(fill() + ", ,,,", header=FILLS_HEADER + ",fee,currency,template,stop_price")).rows.to_pylist()[0]
    assert (row["fee"], row["currency"], row["template"], row["stop_price"]) == (0, None, "unclassified", None)


def test_whole_numbers_may_be_written_with_a_point_and_no_fraction(read: Reader) -> None:
    header = "template,playbook,n,win_rate\n"
    parsed = read("playbook_expectations", header + "a,b,6.0,0.5\na,c,1e3,1\na,d,,\n")
    assert parsed.rows["n"].to_pylist() == [6, 1000, None]
    said = [
        item.sentence for item in read("playbook_expectations", header + "a,b,6.5,\na,c,-1,\na,d,1e18,\na,e,1,62\na,f,,620\n").rejections
    ]
    assert said == [
        "playbook_expectations.csv line 2: n 6.5 is not a whole number; write a whole number",
        "playbook_expectations.csv line 3: n -1 is negative: n is never negative; write 1 or check the row at its source",
        "playbook_expectations.csv line 4: n 1e18 has more than 18 digits; check the number",
        "playbook_expectations.csv line 5: win_rate 62 is more than 1: win_rate is a fraction from 0 to 1; write 0.62 for 62 %",
        "playbook_expectations.csv line 6: win_rate 620 is more than 1: win_rate is a fraction from 0 to 1; write 0..1",
    ]


def test_flags_are_true_or_false_in_the_usual_spellings(read: Reader) -> None:
    header = "signal_id,ts,symbol,direction,entry_price,qualified\n"
    start = "2024-05-01T14:30:00Z,AAPL,long,10,"
    parsed = read("signals", header + "".join(f"S{n},{start}{text}\n" for n, text in enumerate(["TRUE", "no", "1", "0", ""])))
    assert parsed.rows["qualified"].to_pylist() == [True, False, True, False, None]
    (rejection,) = read("signals", f"{header}S1,{start}maybe\n").rejections
    assert rejection.sentence == "signals.csv line 2: qualified maybe is neither true nor false; write true or false"


def test_kinds_that_no_fact_uses_yet_are_read_too() -> None:
    import pyarrow as pa

    values, faults = parse_floats(Column("x", "number", ""), pa.array(["1.5", None, "nan"]))
    assert (values.to_pylist(), list(faults)) == ([1.5, None, None], [2])
    values, faults = parse_days(Column("x", "day", ""), pa.array(["2024-05-01", None, "2024-02-30"]))
    assert (str(values[0]), list(faults)) == ("2024-05-01", [2])


def test_a_row_with_several_faults_is_told_once_by_its_first_column_and_names_the_others(read: Reader) -> None:
    said = only(read, ts="2024-05-01", quantity="x", price="-1", side="hold")
    assert said.startswith("ts 2024-05-01 is a date without a time (and 3 more: side, quantity, price); write the time")


def test_a_rejection_carries_its_time_and_portfolio_where_they_can_be_read(read: Reader) -> None:
    first, second = read("fills", fills(fill(price="x"), fill(ts="x", portfolio="macro"))).rejections
    assert (first.ts, first.portfolio) == (1714573800_000000000, "core")
    assert (second.ts, second.portfolio) == (None, "macro")
    assert AS_OF_NS > 0
