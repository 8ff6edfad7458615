"""Bytes to text: compression, size limits, encodings."""

import gzip
import os
import random
import zipfile
from pathlib import Path

import pytest

from portfolio_platform.errors import DataProblem
from portfolio_platform.sources import content
from portfolio_platform.sources.csv_files import read_file
from portfolio_platform.sources.model import SourceFile

from .conftest import FILLS_HEADER, Reader, fill, fills

MANY = fills(*(fill(execution_id=f"E{number}", price=f"{random.Random(number).random():.6f}") for number in range(5000)))


def test_gzip_is_known_by_its_first_bytes_and_not_by_the_name(read: Reader) -> None:
    assert read("fills", gzip.compress(MANY.encode()), "fills.csv").rows.num_rows == 5000
    parsed = read("fills", MANY, "fills.csv.gz")
    assert parsed.rows.num_rows == 5000
    assert any("named .gz but is not compressed" in note for note in parsed.notes)


def test_garbage_named_gz_is_set_aside_as_a_whole(read: Reader) -> None:
    parsed = read("fills", bytes(range(128, 256)) * 50, "fills.csv.gz")
    assert [item.source_line for item in parsed.rejections] == [0]
    assert parsed.rejections[0].sentence == "fills.csv.gz: is not UTF-8 text: its first line cannot be decoded; save as UTF-8 CSV"


def test_rows_before_the_cut_of_a_truncated_gzip_are_kept_and_the_cut_line_is_set_aside(read: Reader) -> None:
    whole = gzip.compress(MANY.encode())
    parsed = read("fills", whole[: len(whole) // 2], "fills.csv.gz")
    assert 1000 < parsed.rows.num_rows < 4000
    (rejection,) = parsed.rejections
    assert rejection.source_line == parsed.rows.num_rows + 2
    assert rejection.rule == "is cut in the middle: the compressed file ends here"
    assert any("ends early" in note for note in parsed.notes)


def test_every_cut_of_a_gzip_is_reported(read: Reader) -> None:
    whole = gzip.compress(MANY[:3000].encode())
    for length in range(2, len(whole), 7):
        assert read("fills", whole[:length], "fills.csv.gz").rejections, length


def test_a_damaged_gzip_is_set_aside_as_a_whole(read: Reader) -> None:
    damaged = bytearray(gzip.compress(MANY.encode()))
    damaged[-6] ^= 0xFF  # the checksum
    (rejection,) = read("fills", bytes(damaged)).rejections
    assert "damaged gzip" in rejection.rule
    assert rejection.source_line == 0


def test_members_of_a_gzip_are_joined_and_bytes_after_them_noted(read: Reader) -> None:
    half = len(MANY) // 2
    whole = gzip.compress(MANY[:half].encode()) + gzip.compress(MANY[half:].encode())
    assert read("fills", whole).rows.num_rows == 5000
    assert read("fills", whole + b"\0" * 100).notes == read("fills", MANY).notes
    assert "bytes after the end of the compressed data were ignored" in read("fills", whole + b"junk").notes


def test_output_that_zlib_holds_back_at_the_end_is_read(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "READ_BYTES", 256)
    parsed = read("fills", gzip.compress(MANY.encode()))
    assert (parsed.rows.num_rows, parsed.rejections) == (5000, ())


def test_a_bomb_is_stopped_early(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "EXPANSION_FREE_BYTES", 1 << 20)
    bomb = gzip.compress(b"0" * (30 << 20))
    (rejection,) = read("fills", bomb).rejections
    assert rejection.rule.startswith("grows more than 200 times")
    assert read("fills", gzip.compress(MANY.encode())).rejections == ()


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_over_the_absolute_limit_is_set_aside(read: Reader, monkeypatch: pytest.MonkeyPatch, compressed: bool) -> None:
    monkeypatch.setattr(content, "MAX_TEXT_BYTES", 100_000)
    data = MANY.encode()
    (rejection,) = read("fills", gzip.compress(data) if compressed else data).rejections
    assert rejection.remedy == "split it by month and import the parts"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_says_the_encoding(read: Reader, encoding: str) -> None:
    parsed = read("fills", fills(fill(symbol="Ü/ß")).encode(encoding))
    assert parsed.rows["symbol"].to_pylist() == ["Ü/ß"]
    assert parsed.rejections == ()


def test_utf_16_that_ends_in_half_a_character_loses_only_that_line(read: Reader) -> None:
    parsed = read("fills", fills(fill(), fill(execution_id="E2")).encode("utf-16")[:-3])
    assert parsed.rows.num_rows == 1
    assert parsed.rejections[0].source_line == 3


def test_lines_that_are_not_utf_8_are_set_aside_one_by_one(read: Reader) -> None:
    data = fills(fill(), fill(symbol="Müll"), fill(execution_id="E3"), fill(symbol="é")).encode("latin-1")
    parsed = read("fills", data)
    assert parsed.rows["source_line"].to_pylist() == [2, 4]
    assert [(item.source_line, item.remedy) for item in parsed.rejections] == [(3, "save as UTF-8"), (5, "save as UTF-8")]
    assert "0xfc at position" in parsed.rejections[0].rule
    assert "\\xfc" in parsed.rejections[0].row


def test_nul_bytes_cost_their_line_and_in_the_header_the_file(read: Reader) -> None:
    parsed = read("fills", fills(fill(), fill(symbol="A\0B")))
    assert [(item.source_line, item.rule) for item in parsed.rejections] == [(3, "has NUL bytes")]
    assert read("fills", "\0" + MANY).rejections[0].source_line == 0


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\r\r\n"])
def test_every_kind_of_newline_gives_the_same_rows_and_lines(read: Reader, newline: str) -> None:
    text = fills(fill(), fill(execution_id="E2"))
    parsed = read("fills", text.replace("\n", newline).encode())
    assert parsed.rejections == ()
    assert parsed.rows.equals(read("fills", text).rows)


def test_an_excel_workbook_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")
    (rejection,) = read_file(SourceFile(path, "fills"), as_of_ns=0).rejections
    assert rejection.sentence == "fills.csv: is a zip archive or an Excel workbook, not CSV; export it as CSV (UTF-8, comma)"


@pytest.mark.parametrize("data", [b"", b"\n\n", b"  \r\n", gzip.compress(b"", mtime=0), "\ufeff".encode()])
def test_an_empty_file_is_a_note(read: Reader, data: bytes) -> None:
    parsed = read("fills", data)
    assert (parsed.read, parsed.rejections, parsed.notes) == (0, (), ("it is empty",))
    assert parsed.rows.schema.names[:2] == ["execution_id", "ts"]


def test_a_header_without_rows_is_a_note(read: Reader) -> None:
    assert "it has a header and no rows" in read("fills", FILLS_HEADER).notes


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_rights_is_a_data_problem(tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    path.write_text(MANY)
    path.chmod(0)
    with pytest.raises(DataProblem, match="cannot be read: Permission denied"):
        read_file(SourceFile(path, "fills"), as_of_ns=0)


def test_a_file_that_went_away_is_a_data_problem(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match="No such file"):
        read_file(SourceFile(tmp_path / "fills.csv", "fills"), as_of_ns=0)
