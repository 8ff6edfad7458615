"""Whatever a file holds: what is wrong is said with file, line, value, rule and remedy, the rest is imported, and the ledger works."""

import gzip
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from portfolio_platform.home import Home
from portfolio_platform.lake import active
from portfolio_platform.lake.facts import FILLS
from tests.e2e.running import HEADER, Ran, fill, fills, portfolio

GOOD = (fill(1), fill(2), fill(3, side="sell"))


@pytest.fixture
def ledger(home: Home) -> Home:
    home.pin_clock(date(2010, 5, 14))
    return home


def imported(home: Home, folder: Path, content: str | bytes, name: str = "fills.csv", *options: str) -> Ran:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return portfolio("import", path, "--home", home.root, *options)


def in_force(home: Home) -> list[str]:
    return sorted(active.read(home.lake, FILLS, ("execution_id",))["execution_id"].to_pylist(), key=str)


def contents(home: Home) -> list[dict[str, Any]]:
    """Return all that the lake knows of the fills in force."""
    return sorted(active.read(home.lake, FILLS).to_pylist(), key=lambda row: row["row_id"])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the lake knows of the good fills from a plain file."""
    folder = tmp_path_factory.mktemp("plain")
    home = Home(folder / "home")
    home.create()
    assert imported(home, folder / "in", fills(*GOOD)).exit_code == 0
    home.book.close()
    return contents(home)


def everything_works(home: Home) -> None:
    """Build, show and report run on what is left; a ledger of fills alone says what is null, and why."""
    assert portfolio("build", "--home", home.root).exit_code == 0
    shown = portfolio("show", "portfolio_equity", "--json", "--home", home.root)
    assert shown.exit_code == 0 and shown.json
    report = portfolio("report", "--portfolio", shown.json[-1]["portfolio"], "--home", home.root)
    assert report.exit_code == 0 and shown.json[-1]["portfolio"] in report.stdout
    for row in shown.json:
        assert row["daily_return"] is not None or row["reason"]


@dataclass(frozen=True)
class Case:
    """A wrong line among three good ones, and what must be said of it."""

    name: str
    line: str
    said: tuple[str, ...]


WRONG_LINES = [
    Case("an infinite price", fill(4, price="inf"), ("line 3", "price inf")),
    Case("a price that is no number", fill(4, price="NaN"), ("line 3", "price NaN")),
    Case("a negative price", fill(4, price="-100"), ("line 3", "price -100", "negative")),
    Case("a price of zero", fill(4, price="0"), ("line 3", "price 0")),
    Case("a quantity of zero", fill(4, quantity="0"), ("line 3", "quantity 0")),
    Case("side and sign that disagree", fill(4, side="sell", quantity="-5"), ("line 3", "quantity -5", "write quantity 5")),
    Case("a buy of a negative quantity", fill(4, quantity="-0.5"), ("line 3", "quantity -0.5")),
    Case("a naive timestamp", fill(4, ts="2010-05-06T14:30:00"), ("line 3", "2010-05-06T14:30:00 has no offset", "append Z")),
    Case("a time in the future", fill(4, ts="2010-06-06T14:30:00Z"), ("line 3", "in the future", "--as-of")),
    Case("a time before 1970", fill(4, ts="1969-05-06T14:30:00Z"), ("line 3", "before 1970")),
    Case("an empty symbol", fill(4, symbol=""), ("line 3", "symbol", "empty")),
    Case("an unknown side", fill(4, side="bought"), ("line 3", "side bought", "buy, sell")),
    Case("too few cells", "E4,2010-05-06T14:30:00Z,main", ("line 3",)),
    Case("too many cells", fill(4) + ",5,6", ("line 3",)),
    Case("bytes that are no UTF-8", "E4,2010-05-06T14:30:00Z,main,M\udcfcll,buy,10,100,1", ("line 3",)),
    Case("a quote that never closes", 'E4,2010-05-06T14:30:00Z,main,"AAPL,buy,10,100,1', ("line 3",)),
    Case("a control character", fill(4, symbol="A\x1b[2JB"), ("line 3", "control character")),
    Case("a number of 60 digits", fill(4, quantity="1" * 60), ("line 3", "quantity 111")),
]


@pytest.mark.parametrize("case", WRONG_LINES, ids=lambda case: case.name)
def test_a_wrong_line_is_told_and_the_others_are_imported(ledger: Home, tmp_path: Path, case: Case) -> None:
    last = case.name == "a quote that never closes"
    lines = (*GOOD, case.line) if last else (GOOD[0], case.line, *GOOD[1:])
    ran = imported(ledger, tmp_path / "in", fills(*lines).encode("utf-8", "surrogateescape"))
    assert ran.exit_code == 1
    for words in ("fills.csv", *(("line 5",) if last else case.said)):
        assert words in ran.text
    assert in_force(ledger) == ["E1", "E2", "E3"]
    assert "\x1b[2J" not in ran.stdout + ran.stderr
    aside = portfolio("quarantine", "--json", "--home", ledger.root)
    (row,) = aside.json
    assert row["source_file"] == "fills.csv" and row["rule"] and row["remedy"] and row["source_line"]


@pytest.mark.parametrize("case", [WRONG_LINES[0], WRONG_LINES[5], WRONG_LINES[13]], ids=lambda case: case.name)
def test_the_ledger_works_on_what_is_left(ledger: Home, tmp_path: Path, case: Case) -> None:
    imported(ledger, tmp_path / "in", fills(GOOD[0], case.line, *GOOD[1:]))
    everything_works(ledger)


def _gz(text: str) -> bytes:
    return gzip.compress(text.encode())


WHOLE_FILES: list[tuple[str, str, bytes, tuple[str, ...], int, int]] = [
    ("a missing column", "fills.csv", fills("E1,2010-05-03T14:30:00Z,AAPL,buy,10", header="execution_id,ts,symbol,side,quantity").encode(),
     ("price",), 0, 1),
    ("an unknown column", "fills.csv", fills(*(f"{line},7" for line in GOOD), header=HEADER + ",mood").encode(), ("mood",), 3, 0),
    ("an empty file", "fills.csv", b"", ("empty",), 0, 0),
    ("a header alone", "fills.csv", fills().encode(), ("no rows",), 0, 0),
    ("a line that is cut", "fills.csv", fills(*GOOD).encode()[:-20], ("line 4",), 2, 1),
    ("semicolons", "fills.csv", fills(*GOOD).replace(",", ";").encode(), (), 3, 0),
    ("tabs", "fills.csv", fills(*GOOD).replace(",", "\t").encode(), (), 3, 0),
    ("UTF-16", "fills.csv", fills(*GOOD).encode("utf-16"), ("UTF-16",), 3, 0),
    ("a byte order mark", "fills.csv", b"\xef\xbb\xbf" + fills(*GOOD).encode(), (), 3, 0),
    ("CRLF", "fills.csv", fills(*GOOD).replace("\n", "\r\n").encode(), (), 3, 0),
    ("gzip", "fills.csv.gz", _gz(fills(*GOOD)), (), 3, 0),
    ("gz that is not gz", "fills.csv.gz", fills(*GOOD).encode(), ("not compressed",), 3, 0),
    ("a gzip file that is cut", "fills.csv.gz", _gz(fills(*GOOD))[:-12], ("cut",), -1, 1),
    ("a damaged gzip file", "fills.csv.gz", b"\x1f\x8b\x08\x00" + b"\x07" * 60, ("damaged gzip",), 0, 1),
    ("an Excel workbook", "fills.csv", b"PK\x03\x04" + b"\0" * 60, ("Excel",), 0, 1),
    ("zero bytes", "fills.csv", b"\0" * 500, (), 0, 1),
]  # fmt: skip


@pytest.mark.parametrize(("_name", "file", "content", "said", "rows", "code"), WHOLE_FILES, ids=[case[0] for case in WHOLE_FILES])
def test_a_file_of_another_kind_is_read_or_refused_with_a_reason(
    ledger: Home,
    plain: list[dict[str, Any]],
    tmp_path: Path,
    _name: str,
    file: str,
    content: bytes,
    said: tuple[str, ...],
    rows: int,
    code: int,
) -> None:
    ran = imported(ledger, tmp_path / "in", content, file)
    assert ran.exit_code == code, ran.text
    assert file in ran.text
    for words in said:
        assert words in ran.text
    if rows >= 0:
        assert len(in_force(ledger)) == rows
    if rows == len(GOOD):
        # what is built rests on the rows alone, and they are those of the plain file
        assert contents(ledger) == plain
    elif len(in_force(ledger)):
        everything_works(ledger)


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory(ledger: Home, tmp_path: Path) -> None:
    import zlib

    packer = zlib.compressobj(9, wbits=31)
    block = b"\n" * (1 << 20)
    bomb = packer.compress((HEADER + "\n").encode()) + b"".join(packer.compress(block) for _ in range(80)) + packer.flush()
    assert len(bomb) < 200_000
    ran = imported(ledger, tmp_path / "in", bomb, "fills.csv.gz")
    assert ran.exit_code == 1 and "grows more than 200 times" in ran.text and "decompress it yourself" in ran.text


def test_a_home_with_nothing_in_it_says_so(ledger: Home, tmp_path: Path) -> None:
    assert imported(ledger, tmp_path / "in", b"").exit_code == 0
    built = portfolio("build", "--home", ledger.root)
    assert built.exit_code == 0 and "nothing to build" in built.text
    report = portfolio("report", "--home", ledger.root)
    assert report.exit_code == 1 and "portfolio build" in report.text
    assert portfolio("show", "fills", "--home", ledger.root).text == "fills: no rows"


def test_the_same_fill_twice_is_skipped_and_counted(ledger: Home, tmp_path: Path) -> None:
    first = imported(ledger, tmp_path / "in", fills(*GOOD, GOOD[0]), "fills.csv", "--json")
    assert first.exit_code == 0
    assert (first.json["facts"][0]["imported"], first.json["facts"][0]["known"]) == (3, 1)
    again = imported(ledger, tmp_path / "in", fills(*GOOD), "fills_again.csv", "--json")
    assert (again.json["facts"][0]["imported"], again.json["facts"][0]["known"]) == (0, 3)
    assert in_force(ledger) == ["E1", "E2", "E3"]


def test_two_fills_with_one_id_and_other_content_are_both_set_aside(ledger: Home, tmp_path: Path) -> None:
    ran = imported(ledger, tmp_path / "in", fills(*GOOD, fill(1, price="99")))
    assert ran.exit_code == 1 and "contradict" in ran.text
    assert in_force(ledger) == ["E2", "E3"]
    listed = portfolio("quarantine", "--home", ledger.root)
    assert "main|E1" in listed.text and "--corrections" in listed.text
    everything_works(ledger)
    again = imported(ledger, tmp_path / "in", fills(*GOOD, fill(1, price="99")))
    assert again.exit_code == 1, "the dispute is still there"


def test_a_correction_ends_a_dispute(ledger: Home, tmp_path: Path) -> None:
    imported(ledger, tmp_path / "in", fills(*GOOD, fill(1, price="99")))
    ran = imported(ledger, tmp_path / "in", fills(fill(1, price="99")), "fills_fix.csv", "--corrections")
    assert ran.exit_code == 0
    assert in_force(ledger) == ["E1", "E2", "E3"]
    assert portfolio("quarantine", "--home", ledger.root).text == "nothing is set aside"
    prices = active.read(ledger.lake, FILLS, ("execution_id", "price")).to_pylist()
    assert {row["execution_id"]: float(row["price"]) for row in prices}["E1"] == 99.0


REVISED = HEADER + ",revision,bust"
STATEMENTS = {
    "first.csv": fills(*(f"{line},0,false" for line in GOOD), header=REVISED),
    "second.csv": fills(fill(1, price="101") + ",1,false", fill(2, price="102") + ",1,false", header=REVISED),
    "third.csv": fills(fill(1, price="103") + ",2,false", fill(2) + ",2,true", header=REVISED),
}


def test_which_revision_wins_never_depends_on_the_order_of_import(tmp_path: Path) -> None:
    outcomes = set()
    for number, order in enumerate(itertools.permutations(STATEMENTS)):
        home = Home(tmp_path / f"home{number}")
        home.create()
        home.pin_clock(date(2010, 5, 14))
        for name in order:
            imported(home, tmp_path / "in", STATEMENTS[name], f"fills_{name}")
        rows = active.read(home.lake, FILLS, ("execution_id", "price", "revision")).to_pylist()
        outcomes.add(tuple(sorted((row["execution_id"], float(row["price"]), row["revision"]) for row in rows)))
        if number == 0:
            everything_works(home)
    assert outcomes == {(("E1", 103.0, 2), ("E3", 100.5, 0))}, "E2 was cancelled"


def test_a_correction_given_by_the_option_changes_what_was_built(ledger: Home, tmp_path: Path) -> None:
    imported(ledger, tmp_path / "in", fills(*GOOD))
    everything_works(ledger)
    ran = imported(ledger, tmp_path / "in", fills(fill(2, price="200")), "fills_late.csv", "--corrections")
    assert ran.exit_code == 0 and "2010-05-04" in ran.text, "it says from which day on reports may change"
    built = portfolio("build", "--json", "--home", ledger.root)
    assert built.json["ledger"]["changed_from"] == "2010-05-04"
    everything_works(ledger)


def test_identical_fills_without_an_id_are_both_kept(ledger: Home, tmp_path: Path) -> None:
    twins = fills(fill(1, execution_id=""), fill(1, execution_id=""), fill(2, execution_id=""))
    assert imported(ledger, tmp_path / "in", twins).exit_code == 0
    assert len(in_force(ledger)) == 3
    imported(ledger, tmp_path / "in", twins, "fills_again.csv")
    assert len(in_force(ledger)) == 3
    everything_works(ledger)


def test_fills_before_the_first_cash_are_accounted_and_their_returns_are_honest(ledger: Home, tmp_path: Path) -> None:
    imported(ledger, tmp_path / "in", fills(*GOOD))
    cash = "flow_id,ts,portfolio,amount,kind\nC1,2010-05-06T09:00:00Z,main,100000,deposit\n"
    assert imported(ledger, tmp_path / "in", cash, "cash_flows.csv").exit_code == 0
    everything_works(ledger)
    rows = portfolio("show", "portfolio_equity", "--json", "--home", ledger.root).json
    assert rows[0]["day"] == "2010-05-03" and rows[0]["net_flow"] == 0.0
    assert [row["net_flow"] for row in rows if row["day"] == "2010-05-06"] == [100000.0]


def test_times_out_of_order_between_files_give_the_same_ledger(tmp_path: Path) -> None:
    tables = []
    for order in ((0, 1), (1, 0)):
        home = Home(tmp_path / f"home{order[0]}")
        home.create()
        home.pin_clock(date(2010, 5, 14))
        parts = [fills(GOOD[1], fill(5)), fills(GOOD[2], GOOD[0], fill(4))]
        for place in order:
            imported(home, tmp_path / "in", parts[place], f"fills_{place}.csv")
            everything_works(home)
        tables.append(portfolio("show", "ledger_snapshots", "--json", "--home", home.root).json)
    assert tables[0] == tables[1] and tables[0][0]["day"] == "2010-05-03"


ODD_SYMBOLS = [
    "BRK/B", "BRK B", "Ærøskøbing", "茅台", "'; DROP TABLE fills; --", "[bold]AAPL[/]", "=1+1", "../../etc", "a%b_c", "NULL", "nan",
]  # fmt: skip


def test_symbols_with_anything_in_them_are_kept_as_they_are(ledger: Home, tmp_path: Path) -> None:
    lines = [fill(1, execution_id=f"E{place}", symbol=f'"{symbol}"') for place, symbol in enumerate(ODD_SYMBOLS)]
    assert imported(ledger, tmp_path / "in", fills(*lines)).exit_code == 0
    everything_works(ledger)
    shown = portfolio("show", "ledger_snapshots", "--json", "--home", ledger.root)
    assert {row["symbol"] for row in shown.json} == set(ODD_SYMBOLS)
    printed = portfolio("show", "fills", "--home", ledger.root)
    assert "[bold]AAPL[/]" in printed.stdout and "茅台" in printed.stdout
    for form in ("md", "html", "text", "json"):
        assert portfolio("report", "--format", form, "--home", ledger.root).exit_code == 0


def test_portfolios_with_anything_in_their_names_are_reported(ledger: Home, tmp_path: Path) -> None:
    names = ["../../x", "a/b", "<script>alert(1)</script>", "main's"]
    lines = [fill(1, execution_id=f"E{place}", portfolio=name) for place, name in enumerate(names)]
    assert imported(ledger, tmp_path / "in", fills(*lines)).exit_code == 0
    assert portfolio("build", "--home", ledger.root).exit_code == 0
    for name in names:
        ran = portfolio("report", "--portfolio", name, "--format", "html", "--home", ledger.root)
        assert ran.exit_code == 0 and "<script>alert(1)" not in ran.stdout


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_a_cell_that_a_spreadsheet_would_run_is_kept_and_shown_as_text(ledger: Home, tmp_path: Path, start: str) -> None:
    symbol = f"{start}cmd|' /C calc'!A0"
    assert imported(ledger, tmp_path / "in", fills(fill(1, symbol=symbol))).exit_code == 0
    shown = portfolio("show", "fills", "--format", "csv", "--home", ledger.root)
    assert f"'{symbol}" in shown.stdout
    raw = portfolio("show", "fills", "--format", "csv", "--raw", "--home", ledger.root)
    assert f"'{symbol}" not in raw.stdout and symbol in raw.stdout
    assert portfolio("show", "fills", "--json", "--home", ledger.root).json[0]["symbol"] == symbol


def test_a_row_that_is_mended_and_imported_is_no_longer_listed_as_set_aside(ledger: Home, tmp_path: Path) -> None:
    assert imported(ledger, tmp_path / "in", fills(GOOD[0], fill(2, price="-1"))).exit_code == 1
    assert len(portfolio("quarantine", "--json", "--home", ledger.root).json) == 1
    assert imported(ledger, tmp_path / "in", fills(GOOD[0], fill(2)), "fills_mended.csv").exit_code == 0
    assert portfolio("quarantine", "--home", ledger.root).text == "nothing is set aside"
    kept = portfolio("show", "quarantine", "--json", "--home", ledger.root).json
    assert len(kept) == 1, "the table keeps what was"


def test_a_row_whose_time_has_come_is_no_longer_listed_as_set_aside(ledger: Home, tmp_path: Path) -> None:
    lines = fills(GOOD[0], fill(2, ts="2010-05-20T14:30:00Z"))
    assert imported(ledger, tmp_path / "in", lines).exit_code == 1
    later = imported(ledger, tmp_path / "in", lines, "fills.csv", "--as-of", "2010-05-21")
    assert later.exit_code == 0
    assert portfolio("quarantine", "--json", "--home", ledger.root).json == []


def test_a_wrong_row_stays_set_aside_where_its_id_was_known_before(ledger: Home, tmp_path: Path) -> None:
    imported(ledger, tmp_path / "in", fills(*GOOD))
    imported(ledger, tmp_path / "in", fills(fill(1, price="-1")), "fills_b.csv")
    imported(ledger, tmp_path / "in", fills(*GOOD), "fills_c.csv")
    assert len(portfolio("quarantine", "--json", "--home", ledger.root).json) == 1


def test_a_mended_bar_is_known_by_its_symbol_and_time(ledger: Home, tmp_path: Path) -> None:
    bars: Callable[[str], str] = lambda close: f"symbol,ts,close\nAA|PL,2010-05-03T20:00:00Z,{close}\n"  # noqa: E731
    imported(ledger, tmp_path / "in", bars("-5"), "bars.csv")
    assert len(portfolio("quarantine", "--json", "--home", ledger.root).json) == 1
    imported(ledger, tmp_path / "in", bars("5"), "bars.csv")
    assert portfolio("quarantine", "--json", "--home", ledger.root).json == []


def test_initial_cash_with_a_file_of_which_nothing_is_left_does_not_break(ledger: Home, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "fills_1.csv").write_text(fills(fill(1, price="-1")), encoding="utf-8")
    (folder / "fills_2.csv").write_text(fills(*GOOD), encoding="utf-8")
    ran = portfolio("import", folder, "--initial-cash", "100000", "--home", ledger.root)
    assert ran.exit_code == 1 and "main starts with 100000" in ran.text
    everything_works(ledger)
