"""Headers: names, delimiters, what is missing and what is too much."""

import pytest

from .conftest import FILLS_HEADER, Reader, fill, fills


def test_names_are_stripped_and_case_does_not_matter(read: Reader) -> None:
    parsed = read("fills", fills(fill(), header=' Execution_ID ,TS,Portfolio,"Symbol",SIDE,quantity , price'))
    assert parsed.rows["symbol"].to_pylist() == ["AAPL"]


def test_a_missing_required_column_sets_the_file_aside_and_names_what_it_has(read: Reader) -> None:
    (rejection,) = read("fills", "ts,symbol,qty,price\n1,2,3,4\n").rejections
    assert rejection.sentence == (
        "fills.csv: lacks the columns side, quantity; it has ts, symbol, qty, price; add them, or rename the file if it holds no fills"
    )
    assert (rejection.source_line, rejection.row, rejection.ts, rejection.portfolio) == (0, "", None, None)


def test_a_column_named_twice_sets_the_file_aside(read: Reader) -> None:
    (rejection,) = read("fills", fills(fill() + ",7", header=FILLS_HEADER + ",PRICE")).rejections
    assert rejection.sentence == "fills.csv: names columns more than once: price; keep one column of each name"


def test_unknown_and_nameless_columns_are_ignored_with_a_note(read: Reader) -> None:
    parsed = read("fills", fills(fill() + ",x,y,", header=FILLS_HEADER + ",stop_prices,zzz,"))
    assert parsed.rows.num_rows == 1
    assert "unknown columns were ignored: stop_prices (did you mean stop_price?), zzz" in parsed.notes
    assert "columns without a name were ignored" in parsed.notes


def test_optional_columns_that_are_missing_get_their_default_and_a_note(read: Reader) -> None:
    parsed = read("fills", fills(fill()))
    row = parsed.rows.to_pylist()[0]
    assert (row["strategy"], row["fee"], row["stop_price"], row["purpose"]) == ("default", 0, None, "policy")
    assert any("strategy (read as default), currency, fee (read as 0)" in note for note in parsed.notes)


@pytest.mark.parametrize(("delimiter", "name"), [(";", "semicolon"), ("\t", "tab"), ("|", "vertical bar")])
def test_another_delimiter_is_taken_where_the_header_makes_sense_only_so(read: Reader, delimiter: str, name: str) -> None:
    parsed = read("fills", fills(fill(), fill(symbol='"x"')).replace(",", delimiter))
    assert parsed.rows.num_rows == 2
    assert f"its cells are separated by {name}; it was read so" in parsed.notes


def test_a_spreadsheet_s_separator_line_and_blank_lines_before_the_header_are_passed_over(read: Reader) -> None:
    parsed = read("fills", "\n" + "sep=;\n" + fills(fill()).replace(",", ";"))
    assert parsed.rows["source_line"].to_pylist() == [4]


@pytest.mark.parametrize("data", ['"ts,symbol\n', "x" * 100_000, "\n" * 10 + "é"])
def test_a_header_that_is_none_sets_the_file_aside(read: Reader, data: str) -> None:
    (rejection,) = read("fills", data.encode("latin-1")).rejections
    assert rejection.source_line == 0


def test_the_id_of_a_file_set_aside_depends_on_its_bytes_and_not_on_its_name(read: Reader) -> None:
    first = read("fills", "ts,symbol\n1,2\n", "fills.csv").rejections[0]
    again = read("fills", "ts,symbol\n1,2\n", "fills_2.csv").rejections[0]
    other = read("fills", "ts,symbol\n1,3\n", "fills.csv").rejections[0]
    assert first.quarantine_id == again.quarantine_id != other.quarantine_id
