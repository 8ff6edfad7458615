"""Rows of a wrong shape, quotes, line numbers; and the three ways of reading agree."""

import json

import pytest

from portfolio_platform.sources import records

from .conftest import Reader, fill, fills

SIGNALS = "signal_id,ts,symbol,direction,entry_price,thesis"


def signal(number: int, thesis: str = "") -> str:
    return f"S{number},2024-05-01T14:30:00Z,AAPL,long,10,{thesis}"


def test_rows_with_too_few_or_too_many_cells_are_set_aside_with_the_numbers(read: Reader) -> None:
    parsed = read("fills", fills(fill(), "E2,2024-05-01T14:30:00Z,core", fill(price="1,000"), fill(execution_id="E4")))
    assert parsed.rows["source_line"].to_pylist() == [2, 5]
    few, many = parsed.rejections
    assert (
        few.sentence == "fills.csv line 3: has 3 cells where the header has 7; restore the missing cells; an empty cell still needs its ,"
    )
    assert many.sentence == "fills.csv line 4: has 8 cells where the header has 7; put cells that contain a , in double quotes"
    assert json.loads(few.row) == {"execution_id": "E2", "ts": "2024-05-01T14:30:00Z", "portfolio": "core"}
    assert json.loads(many.row)["(cell 8)"] == "000"


def test_a_last_line_cut_in_the_middle_is_set_aside_as_such(read: Reader) -> None:
    (rejection,) = read("fills", fills(fill(), fill())[:-20]).rejections
    assert rejection.sentence.startswith("fills.csv line 3: is cut in the middle: it is the last line and has ")
    (rejection,) = read("signals", f"{SIGNALS}\n{signal(1)}\n{signal(2, chr(34) + 'long te')}").rejections
    assert "cut in the middle" in rejection.rule


def test_a_complete_last_line_without_newline_is_kept_with_a_note(read: Reader) -> None:
    for lines in ([fill(), fill()], [fill(), fill(symbol='"A"')], ["bad", fill()]):
        parsed = read("fills", fills(*lines).rstrip("\n"))
        assert parsed.rows["source_line"].to_pylist()[-1] == 3
        assert "the last line has no newline at its end; it is complete and was read" in parsed.notes


def test_quoted_cells_with_line_breaks_keep_the_line_numbers_right(read: Reader) -> None:
    parsed = read("signals", f"{SIGNALS}\n{signal(1)}\n{signal(2, chr(34) + 'one, two' + chr(10) + 'three' + chr(34))}\n{signal(3)}\n")
    assert parsed.rows["source_line"].to_pylist() == [2, 3, 5]
    assert parsed.rows["thesis"].to_pylist() == [None, "one, two\nthree", None]
    assert parsed.rejections == ()


def test_an_unclosed_quote_costs_its_own_row_only(read: Reader) -> None:
    lines = [signal(1), signal(2, '"open'), signal(3), signal(4, '"closed"'), signal(5), signal(6, '"open'), signal(7)]
    parsed = read("signals", "\n".join([SIGNALS, *lines]) + "\n")
    assert parsed.rows["signal_id"].to_pylist() == ["S1", "S3", "S4", "S5", "S7"]
    assert [(item.source_line, item.rule) for item in parsed.rejections] == [
        (line, "has a quote that is not closed, or text after a closing quote") for line in (3, 7)
    ]


def test_a_quote_that_would_swallow_whole_rows_up_to_a_later_quote_is_not_closed(read: Reader) -> None:
    lines = [signal(1, '"open'), signal(2), signal(3, 'then"')]
    parsed = read("signals", "\n".join([SIGNALS, *lines]) + "\n")
    assert parsed.rows["signal_id"].to_pylist() == ["S2", "S3"]


def test_a_line_break_in_a_name_is_not_a_row_over_two_lines(read: Reader) -> None:
    parsed = read("fills", fills(fill(symbol='"AA\nPL"'), fill(execution_id="E2")))
    assert parsed.rows["execution_id"].to_pylist() == ["E2"]
    assert [item.source_line for item in parsed.rejections] == [2, 3]


def test_quotes_inside_a_cell_are_text_and_doubled_ones_are_one(read: Reader) -> None:
    parsed = read("signals", f"{SIGNALS}\n{signal(1, '5-inch' + chr(34) + ' rule')}\n{signal(2, chr(34) + 'a b c' + chr(34))}\n")
    assert parsed.rows.num_rows + len(parsed.rejections) == 2
    parsed = read("signals", SIGNALS + "\n" + signal(1, '"a ""b"", c"') + "\n" + signal(2, 'say "x" twice') + "\n")
    assert parsed.rows["thesis"].to_pylist() == ['a "b", c', 'say "x" twice']


def test_blank_lines_are_no_rows_and_rows_of_empty_cells_are_counted_in_a_note(read: Reader) -> None:
    parsed = read("fills", fills(fill(), "", fill(execution_id="E2"), ",,,,,,", " , , ,,,,", ""))
    assert parsed.rows["source_line"].to_pylist() == [2, 4]
    assert "lines without any value were skipped: 4" in parsed.notes
    assert parsed.rejections == ()
    quoted = read("fills", fills(fill(), "", fill(symbol='"A"'), ",,,,,,", " , , ,,,,", ""))
    assert "lines without any value were skipped: 4" in quoted.notes


@pytest.mark.parametrize("block_bytes", [1, 50, 300, 1 << 20])
@pytest.mark.parametrize("odd", ["", "bad line", fill(symbol='"A"'), fill(symbol='"open'), fill(symbol="B\0"), fill(symbol="ü")])
def test_blocks_of_any_size_give_the_same_rows(read: Reader, monkeypatch: pytest.MonkeyPatch, block_bytes: int, odd: str) -> None:
    text = fills(*(fill(execution_id=f"E{number}") for number in range(20)), odd, fill(execution_id="last"))
    expected = read("fills", text)
    monkeypatch.setattr(records, "BLOCK_BYTES", block_bytes)
    parsed = read("fills", text)
    assert parsed.rows.equals(expected.rows)
    assert parsed.rejections == expected.rejections


def test_a_file_of_nothing_but_unclosed_quotes_is_read_in_reasonable_time(read: Reader) -> None:
    parsed = read("fills", fills(*[',"""""'] * 5_000))
    assert len(parsed.rejections) == 5_000


def test_a_very_long_line_is_set_aside_and_the_next_is_read(read: Reader) -> None:
    parsed = read("fills", fills("x" * (3 << 20), fill()))
    assert (parsed.rejections[0].source_line, parsed.rows["source_line"].to_pylist()) == (2, [3])
    assert len(parsed.rejections[0].row) < 10_000
