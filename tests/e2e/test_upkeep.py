"""Keeping a home: compaction, imports that touch no ledger, reads beside a correction."""

import json
from datetime import date
from pathlib import Path

from portfolio_platform.build import build_all
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.facts import FILLS, SIGNALS
from portfolio_platform.lake.progress import read_progress
from portfolio_platform.sources.pipeline import import_paths
from tests.e2e.running import portfolio

HEADER = "execution_id,ts,symbol,side,quantity,price,revision\n"


def write(folder: Path, rows: str) -> Path:
    path = folder / "fills.csv"
    path.write_text(HEADER + rows)
    return path


def test_compaction_merges_files_and_changes_no_row(home: Home, tmp_path: Path):
    for number in range(5):
        import_paths(home, [write(tmp_path, f"E{number},2010-03-01T10:0{number}:00Z,AAA,buy,1,10,0\n")])
    before = home.lake.read(FILLS.table).sort_by("row_id")
    assert home.lake.file_count(FILLS.table) == 5
    done = portfolio("compact", "--home", str(home.root))
    assert done.exit_code == 0
    assert home.lake.file_count(FILLS.table) == 1
    assert home.lake.read(FILLS.table).sort_by("row_id").equals(before)


def test_an_import_of_signals_alone_leaves_the_ledger_alone_and_builds_what_reads_signals_from_their_day(sample_copy: Home, tmp_path: Path):
    """Once the newest import of any fact counted, and the report said for ever that facts were not accounted for."""
    columns = "signal_id,ts,portfolio,strategy,symbol,direction,entry_price\n"
    (tmp_path / "signals.csv").write_text(columns + "S-NEW,2010-12-30T21:00:00Z,core,trend_donchian,SPX,long,1250\n")
    import_paths(sample_copy, [tmp_path / "signals.csv"])
    assert sample_copy.lake.largest(SIGNALS.table, "import_seq") == 2
    done = build_all(sample_copy)
    assert done["ledger"].changed_from is None and done["drawdown"].changed_from is None
    # signals that were still open are written again with it; what rests on them begins with the day of the new one
    assert done["signals"].changed_from <= date(2010, 12, 30) == done["calibration"].changed_from
    assert all(result.changed_from is None for result in build_all(sample_copy).values())
    reported = portfolio("report", "--portfolio", "core", "--home", str(sample_copy.root))
    assert reported.exit_code == 0
    assert "not accounted for" not in reported.stderr


def test_a_read_beside_a_first_correction_never_shows_two_revisions(home: Home, tmp_path: Path, monkeypatch):
    """The correction arrives between the look at contested ids and the look at the rows."""
    import_paths(home, [write(tmp_path, "E1,2010-03-01T10:00:00Z,AAA,buy,1,10,0\n")])
    read, looked = active.contested_ids, []

    def late(lake, fact):
        found = read(lake, fact)
        if not looked:
            looked.append(True)
            import_paths(Home(home.root), [write(tmp_path, "E1,2010-03-01T10:00:00Z,AAA,buy,2,10,1\n")])
        return found

    monkeypatch.setattr(active, "contested_ids", late)
    rows = active.read(home.lake, FILLS, ("row_id", "quantity")).to_pylist()
    assert [int(row["quantity"]) for row in rows] == [2]


def test_a_day_is_built_from_the_saved_state_and_not_from_the_beginning(sample_made: Path):
    """One more day writes that day alone."""
    done = json.loads((sample_made / "last_day.json").read_text())
    # signals that were still open are written again; everything else writes the day alone
    assert {changed_from for name, (changed_from, _) in done.items() if name != "signals"} == {"2010-12-31"}
    assert done["ledger"][1]["portfolio_equity"] == 2
    home = Home(sample_made / "home")
    ledger = read_progress(home.lake, "ledger")
    assert ledger is not None and ledger.generation == 2
    assert home.lake.row_count(derived.PORTFOLIO_EQUITY) == 2465
