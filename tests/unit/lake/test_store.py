"""The lake's one door: typed writes under one lock, reads in no promised order, replacing from a day on."""

import subprocess
import sys
import threading
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from portfolio_platform.errors import StoreProblem
from portfolio_platform.lake.columns import Column, Table
from portfolio_platform.lake.opened import MEMORY
from portfolio_platform.lake.store import Lake

TABLE = Table(
    "things",
    "Things for tests.",
    (
        Column("day", "day", "day"), Column("name", "text", "name"), Column("count", "integer", "count"), Column("size", "decimal", "size"),
        Column("month", "text", "month"),
    ),
    ("day", "name"),
    "month",
)  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), tmp_path / "lake.lock")


def rows(*days: date, count: int = 1, name: str | None = "a") -> pa.Table:
    listed = [{"day": day, "name": name, "count": count, "size": None, "month": day.isoformat()[:7]} for day in days]
    return pa.Table.from_pylist(listed, schema=TABLE.arrow_schema())


def days(lake: Lake) -> list[date]:
    return sorted(lake.read(TABLE, ["day"])["day"].to_pylist())


JANUARY, LATE_JANUARY, FEBRUARY, MARCH = date(2024, 1, 5), date(2024, 1, 20), date(2024, 2, 5), date(2024, 3, 5)


def test_a_table_that_was_never_written_reads_as_an_empty_one(lake: Lake) -> None:
    assert lake.read(TABLE).schema == TABLE.arrow_schema()
    assert lake.read(TABLE, ["name"], dictionaries=("name",)).num_rows == 0
    assert (lake.version(TABLE), lake.file_count(TABLE), lake.compact(TABLE)) == (None, 0, 0)
    assert not Path(lake.url).exists()


def test_a_write_without_the_lock_is_refused(lake: Lake) -> None:
    with pytest.raises(StoreProblem, match="without the writer lock"):
        lake.append(TABLE, rows(JANUARY))
    with lake.writing(), lake.writing():
        lake.append(TABLE, rows(JANUARY))
    with pytest.raises(StoreProblem, match="without the writer lock"):
        lake.replace(TABLE, rows(JANUARY))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (rows(JANUARY).set_column(2, "count", pa.array([3.7])), "things.count: double was given where int64 is declared"),
        (rows(JANUARY).set_column(2, "count", pa.array([3], pa.int32())), "things.count: int32 was given where int64"),
        (rows(JANUARY).set_column(3, "size", pa.array([None], pa.decimal128(38, 2))), "things.size: decimal128"),
        (rows(JANUARY).drop_columns(["size"]), "column size .* is missing"),
        (rows(JANUARY).append_column("more", pa.array([1])), "not declared: more"),
        (rows(JANUARY).select(["name", "day", "count", "size", "month"]), "another order"),
    ],
)
def test_a_mistyped_write_is_refused_and_leaves_nothing(lake: Lake, wrong: pa.Table, said: str) -> None:
    with lake.writing(), pytest.raises(StoreProblem, match=said):
        lake.append(TABLE, wrong)
    assert lake.read(TABLE).num_rows == 0


def test_replacing_from_a_day_rewrites_that_day_and_later_alone(lake: Lake) -> None:
    with lake.writing():
        lake.append(TABLE, rows(JANUARY, LATE_JANUARY, FEBRUARY, MARCH))
        lake.replace_from(TABLE, LATE_JANUARY, rows(LATE_JANUARY, FEBRUARY, count=2))
    found = {row["day"]: row["count"] for row in lake.read(TABLE).to_pylist()}
    assert found == {JANUARY: 1, LATE_JANUARY: 2, FEBRUARY: 2}


def test_replacing_from_a_day_does_not_touch_the_files_of_older_months(lake: Lake) -> None:
    with lake.writing():
        for day in (JANUARY, FEBRUARY, MARCH):
            lake.append(TABLE, rows(day))
        before = {path: path.stat().st_mtime_ns for path in Path(lake.uri(TABLE)).glob("month=2024-01/*.parquet")}
        lake.replace_from(TABLE, FEBRUARY, rows(FEBRUARY, count=5))
    delta = lake.open(TABLE)
    assert delta is not None
    live = [Path(uri).name for uri in delta.file_uris()]
    assert {path.name for path in before} <= set(live)
    assert {path: path.stat().st_mtime_ns for path in Path(lake.uri(TABLE)).glob("month=2024-01/*.parquet")} == before
    assert len(live) == 2


def test_replacing_by_no_rows_deletes_and_is_one_commit(lake: Lake) -> None:
    with lake.writing():
        lake.replace_from(TABLE, JANUARY, rows())
        assert days(lake) == []
        lake.append(TABLE, rows(JANUARY, FEBRUARY))
        version = lake.version(TABLE)
        lake.replace_from(TABLE, FEBRUARY, rows())
    assert days(lake) == [JANUARY]
    assert version is not None
    assert lake.version(TABLE) == version + 1


def test_months_prune_and_an_expression_filters(lake: Lake) -> None:
    with lake.writing():
        lake.append(TABLE, rows(JANUARY, LATE_JANUARY, FEBRUARY, MARCH))
    assert sorted(lake.read(TABLE, from_month="2024-02")["day"].to_pylist()) == [FEBRUARY, MARCH]
    assert sorted(lake.read(TABLE, to_month="2024-01")["day"].to_pylist()) == [JANUARY, LATE_JANUARY]
    assert lake.read(TABLE, ["day"], pc.field("day") > JANUARY, to_month="2024-01")["day"].to_pylist() == [LATE_JANUARY]


def test_text_without_a_value_can_be_read_as_dictionaries(lake: Lake) -> None:
    """A file whose column is null throughout has a null in its dictionary, and Arrow refuses to unify that with another."""
    with lake.writing():
        lake.append(TABLE, rows(JANUARY, name=None))
        lake.append(TABLE, rows(FEBRUARY, name="b"))
    found = lake.read(TABLE, ["day", "name"], dictionaries=("name",))
    assert pa.types.is_dictionary(found.schema.field("name").type)
    assert sorted(zip(found["day"].to_pylist(), found["name"].to_pylist(), strict=True)) == [(JANUARY, None), (FEBRUARY, "b")]
    with lake.writing():
        lake.replace_from(TABLE, JANUARY, rows(JANUARY, FEBRUARY, name=None))
    assert lake.read(TABLE, ["name"], dictionaries=("name",))["name"].to_pylist() == [None, None]


def test_compacting_merges_files_and_keeps_rows(lake: Lake) -> None:
    with lake.writing():
        for _ in range(4):
            lake.append(TABLE, rows(JANUARY))
        assert lake.compact(TABLE) == 4
    assert (lake.file_count(TABLE), days(lake)) == (1, [JANUARY] * 4)


def test_another_object_of_the_same_lake_waits_for_the_lock_and_says_so(lake: Lake, tmp_path: Path) -> None:
    other = Lake(lake.url, tmp_path / "lake.lock")
    with lake.writing(), pytest.raises(StoreProblem, match="another process has been writing"), other.writing(timeout=0.05):
        pytest.fail("two writers at once")
    with other.writing(timeout=5):
        other.append(TABLE, rows(JANUARY))


def test_another_thread_waits_for_the_lock_too(lake: Lake) -> None:
    """Once the lock's depth was the object's alone, and a second thread walked in beside the first."""
    met: list[Any] = []

    def second() -> None:
        try:
            with lake.writing(timeout=0.05):
                met.append("in")
        except StoreProblem as problem:
            met.append(problem)

    with lake.writing():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert [type(item) for item in met] == [StoreProblem]
    with lake.writing(timeout=0.05):
        pass


def test_another_process_cannot_hold_the_lock_at_the_same_time(lake: Lake, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from portfolio_platform.lake.store import Lake\n"
        "from portfolio_platform.errors import StoreProblem\n"
        "lake = Lake(sys.argv[1], Path(sys.argv[2]))\n"
        "try:\n    with lake.writing(timeout=0.05): print('in')\nexcept StoreProblem: print('refused')\n"
    )
    command = [sys.executable, "-c", script, lake.url, str(tmp_path / "lake.lock")]
    with lake.writing():
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "refused"
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "in"


def test_thirty_short_reading_processes_all_end_well(lake: Lake) -> None:
    """Reading by another route aborted the process at its exit in half of all runs, after the work was done."""
    with lake.writing():
        lake.append(TABLE, rows(JANUARY, FEBRUARY))
    script = (
        "import sys; from pathlib import Path\n"
        # pandas takes a third of a second to import, and reading does not need it
        "class NoPandas:\n    def find_spec(self, name, path=None, target=None):\n        if name == 'pandas': raise ImportError\n"
        "sys.meta_path.insert(0, NoPandas())\n"
        "from portfolio_platform.lake.columns import Column, Table\nfrom portfolio_platform.lake.store import Lake\n"
        "table = Table('things', '', (Column('day', 'day', ''), Column('name', 'text', ''), Column('month', 'text', '')), (), 'month')\n"
        "sys.exit(0 if Lake(sys.argv[1], Path('unused')).read(table, dictionaries=('name',)).num_rows == 2 else 3)\n"
    )
    for _ in range(5):
        started = [subprocess.Popen([sys.executable, "-c", script, lake.url]) for _ in range(6)]
        assert [process.wait(timeout=60) for process in started] == [0] * 6


@pytest.mark.parametrize("name", ["a b", "100%", "ü=?#&+"])
def test_a_lake_may_lie_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    """The library gives paths of files encoded as in a URL; read as they are, a space in the home's path once lost them."""
    lake = Lake(str(tmp_path / name / "lake"), tmp_path / "lock")
    with lake.writing():
        lake.append(TABLE, rows(JANUARY, FEBRUARY))
        lake.replace_from(TABLE, FEBRUARY, rows(FEBRUARY))
    assert days(lake) == [JANUARY, FEBRUARY]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where tables were opened from the log, in order."""
    import deltalake

    found: list[str] = []
    real = deltalake.DeltaTable
    monkeypatch.setattr(deltalake, "DeltaTable", lambda uri: found.append(uri) or real(uri))
    return found


def test_a_table_is_opened_once_and_each_read_sees_the_write_before_it(lake: Lake, opened: list[str]) -> None:
    with lake.writing():
        for written in (1, 2, 3):
            lake.append(TABLE, rows(JANUARY))
            assert lake.row_count(TABLE) == len(days(lake)) == written
    assert len(days(Lake(lake.url, Path("other.lock")))) == 3  # another object of the lake shares what is open
    assert len(opened) == 1


def test_a_read_sees_what_another_process_wrote_meanwhile(lake: Lake, opened: list[str]) -> None:
    script = (
        "import sys; from pathlib import Path; from datetime import date\n"
        "from portfolio_platform.lake.store import Lake; from tests.unit.lake.test_store import TABLE, rows\n"
        "lake = Lake(sys.argv[1], Path(sys.argv[2]))\n"
        "with lake.writing():\n"
        "    if sys.argv[3] == 'anew': lake.drop(TABLE)\n"
        "    lake.append(TABLE, rows(date(2024, 2, 5)))\n"
    )
    with lake.writing():
        lake.append(TABLE, rows(JANUARY))
    assert days(lake) == [JANUARY]
    command = [sys.executable, "-c", script, lake.url, str(lake._lock_path)]
    subprocess.run([*command, "append"], check=True, cwd=Path(__file__).parents[3])
    assert days(lake) == [JANUARY, FEBRUARY]
    subprocess.run([*command, "anew"], check=True, cwd=Path(__file__).parents[3])
    assert days(lake) == [FEBRUARY]  # the table that was dropped had a version of that number too
    assert len(opened) == 3


def test_rows_of_a_small_table_that_are_held_are_those_of_the_files(lake: Lake) -> None:
    """After the second wide read a small table is answered from memory; every kind of read must say the same as before."""
    months = [date(2023 + number // 12, number % 12 + 1, 3) for number in range(20)]
    with lake.writing():
        for place, day in enumerate(months):
            lake.append(TABLE, rows(day, count=place, name=None if place % 3 else "a"))

    def asked(lake: Lake) -> list[list[Any]]:
        late = pc.field("count") > 12
        found = [
            lake.read(TABLE),
            lake.read(TABLE, ["day"], late),
            lake.read(TABLE, ["name", "count"], pc.field("name") == "a", dictionaries=("name",)),
            lake.read(TABLE, ["count"], ~(pc.field("name") == "a"), from_month="2023-05", to_month="2024-02"),
            lake.read(TABLE, ["day", "count"], pc.field("count") > 100),
        ]
        return [[table.schema, sorted(table.to_pylist(), key=str)] for table in found]

    first, second, third = asked(lake), asked(lake), asked(lake)
    held = MEMORY.newest(lake.uri(TABLE))
    assert held is not None
    assert held.held(TABLE) is not None
    assert first == second == third
    with lake.writing():
        lake.replace_from(TABLE, months[-1], rows(months[-1], count=99))
    assert sorted(lake.read(TABLE, ["count"])["count"].to_pylist()) == [*range(19), 99]


def test_what_is_held_of_small_tables_has_a_bound(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portfolio_platform.lake.opened.HELD_BYTES", 0)
    with lake.writing():
        lake.append(TABLE, rows(JANUARY))
    assert days(lake) == days(lake) == [JANUARY]
    held = MEMORY.newest(lake.uri(TABLE))
    assert held is not None
    assert held.held(TABLE) is None


def test_a_read_of_a_few_months_does_not_hold_a_table_of_many(lake: Lake) -> None:
    with lake.writing():
        lake.append(TABLE, pa.concat_tables([rows(date(2023, month, 3)) for month in range(1, 13)]))
    for _ in range(4):
        assert len(lake.read(TABLE, from_month="2023-11")) == 2
    held = MEMORY.newest(lake.uri(TABLE))
    assert held is not None
    assert held.held(TABLE) is None


def test_a_file_that_was_damaged_is_not_hidden_by_what_is_held(lake: Lake) -> None:
    with lake.writing():
        lake.append(TABLE, rows(JANUARY))
    assert days(lake) == days(lake) == [JANUARY]
    (file,) = Path(lake.uri(TABLE)).rglob("*.parquet")
    file.write_bytes(b"no parquet")
    with pytest.raises(pa.ArrowInvalid):
        lake.read(TABLE)


def test_another_declaration_of_a_table_reads_it_by_its_own_columns(lake: Lake) -> None:
    with lake.writing():
        lake.append(TABLE, rows(JANUARY))
    assert len(lake.read(TABLE)) == 1
    wider = replace(TABLE, columns=(*TABLE.columns, Column("venue", "text", "venue")))
    assert lake.read(wider, ["venue", "count"]).to_pylist() == [{"venue": None, "count": 1}]
    assert lake.read(TABLE).schema == TABLE.arrow_schema()
