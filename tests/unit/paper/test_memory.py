"""A lake in memory gives what a folder's gives."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from portfolio_platform.errors import StoreProblem
from portfolio_platform.lake.columns import Column, Table
from portfolio_platform.lake.store import Lake
from portfolio_platform.paper.memory import MemoryLake

TABLE = Table(
    "t",
    "A table.",
    (
        Column("day", "day", "day"),
        Column("name", "text", "name"),
        Column("import_seq", "integer", "number"),
        Column("month", "text", "month"),
    ),
    ("day", "name"),
    partition="month",
)


def rows(*listed: tuple[date, str, int]) -> pa.Table:
    columns = [pa.array(column) for column in zip(*[(day, name, number, day.isoformat()[:7]) for day, name, number in listed], strict=True)]
    return pa.Table.from_arrays(
        [column.cast(field.type) for column, field in zip(columns, TABLE.arrow_schema(), strict=True)], schema=TABLE.arrow_schema()
    )


FIRST = rows((date(2026, 1, 5), "a", 1), (date(2026, 1, 6), "b", 2), (date(2026, 2, 1), "c", 3))
LATER = rows((date(2026, 1, 6), "d", 9), (date(2026, 3, 1), "e", 4))


@pytest.mark.parametrize("memory", [True, False])
def test_it_is_read_and_written_as_a_folder_is(memory: bool, tmp_path: Path) -> None:
    lake: Lake = MemoryLake(tmp_path / "lock") if memory else Lake(str(tmp_path / "lake"), tmp_path / "lock")
    assert len(lake.read(TABLE)) == lake.row_count(TABLE) == lake.largest(TABLE, "import_seq") == 0
    assert lake.version(TABLE) is None
    assert lake.stored(TABLE) is None
    with pytest.raises(StoreProblem, match="without the writer lock"):
        lake.append(TABLE, FIRST)
    with lake.writing():
        lake.append(TABLE, FIRST)
        lake.replace_from(TABLE, date(2026, 1, 6), LATER)
        with pytest.raises(StoreProblem, match="t"):
            lake.append(TABLE, FIRST.drop_columns(["name"]))
    assert lake.version(TABLE) == 1
    assert lake.size(TABLE) == (3, 1)
    assert lake.newest_month(TABLE) == "2026-03"
    assert lake.largest(TABLE, "import_seq") == 9
    assert sorted(lake.read(TABLE, ["name"])["name"].to_pylist()) == ["a", "d", "e"]
    found = lake.read(TABLE, ["name", "day"], pc.field("import_seq") < 9, to_month="2026-01", dictionaries=["name"])
    assert found["name"].to_pylist() == ["a"]
    assert pa.types.is_dictionary(found.schema.field("name").type)
    with lake.writing():
        lake.replace(TABLE, LATER)
        assert len(lake.read(TABLE)) == 2
        lake.drop(TABLE)
    assert len(lake.read(TABLE)) == 0
