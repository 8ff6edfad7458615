"""Which files are found and what they are taken for."""

import gzip
from pathlib import Path

import pytest

from portfolio_platform.errors import WrongUse
from portfolio_platform.sources.csv_files import read_file
from portfolio_platform.sources.discover import discover, fact_of_name

HEADER = "ts,symbol,side,quantity,price\n"


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("fills.csv", "fills"), ("fills.csv.gz", "fills"), ("fills_2024-05.csv", "fills"), ("fills-broker.csv", "fills"),
        ("fills 2.csv", "fills"), ("FILLS.CSV", "fills"), ("fills2024.csv", "fills"), ("fillsomething.csv", None),
        ("cash_flows_q1.csv", "cash_flows"), ("portfolios.csv", "portfolios"), ("portfolio.csv", None), ("my fills.csv", None),
        ("playbook_expectations.2024.csv.gz", "playbook_expectations"), ("", None),
    ],
)  # fmt: skip
def test_a_file_name_means_the_fact_it_begins_with(name: str, fact: str | None) -> None:
    assert fact_of_name(name) == fact


def test_a_folder_gives_its_csv_files_by_name_and_leaves_hidden_unfinished_and_other_files(tmp_path: Path) -> None:
    for name in ("fills.csv", "bars.csv.gz", ".fills.csv", "fills.csv.part", "fills.csv.tmp", "README.md", "a.tmp"):
        (tmp_path / name).write_text(HEADER)
    (tmp_path / "sub.csv").mkdir()
    (tmp_path / "sub.csv" / "fills.csv").write_text(HEADER)
    assert [source.name for source in discover([tmp_path])] == ["bars.csv.gz", "fills.csv"]


def test_the_same_file_named_twice_or_through_a_link_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    path.write_text(HEADER)
    (tmp_path / "link.csv").symlink_to(path)
    assert len(discover([path, tmp_path, path, tmp_path / "link.csv"])) == 1


def test_a_missing_path_and_a_path_that_cannot_be_one_are_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"nowhere.csv does not exist; check the path"):
        discover([tmp_path / "nowhere.csv"])
    with pytest.raises(WrongUse):
        discover([Path("a\0b.csv")])
    with pytest.raises(WrongUse):
        discover([Path("x" * 5000)])


def test_a_file_with_an_unknown_name_is_recognised_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "export.csv.gz"
    path.write_bytes(gzip.compress(HEADER.replace(",", ";").upper().encode()))
    (source,) = discover([path])
    assert source.fact == "fills"
    assert "recognised as fills by its header" in read_file(source, as_of_ns=0).notes[0]


def test_the_fact_with_the_most_columns_in_common_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("symbol,ts,open,high,low,close,volume\n")
    assert discover([path])[0].fact == "bars"


@pytest.mark.parametrize("header", ["a,b,c", "symbol,date,px,size", "symbol", "", "\x00\x01", "portfolio,symbol"])
def test_an_unknown_file_is_wrong_use_on_its_own_and_a_note_among_others(tmp_path: Path, header: str) -> None:
    path = tmp_path / "export.csv"
    path.write_text(header + "\n")
    with pytest.raises(WrongUse, match=r"export.csv: it was not read: neither its name nor its header"):
        discover([path])
    (source,) = discover([tmp_path])
    parsed = read_file(source, as_of_ns=0)
    assert (parsed.fact, parsed.read, parsed.rows.num_rows, parsed.rejections) == (None, 0, 0, ())
    assert "was not read" in parsed.notes[0]


def test_an_empty_folder_gives_no_files(tmp_path: Path) -> None:
    assert discover([tmp_path]) == []
