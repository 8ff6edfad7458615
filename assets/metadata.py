"""What every asset shows in the UI: schema, row count, where its table is, a preview, a picture."""

from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from portfolio_platform.home import Home
from portfolio_platform.lake.columns import Column, Table

if TYPE_CHECKING:
    import pyarrow as pa

OWNERS = ["team:portfolio-platform"]
# A refresh of the whole history is no news for an older report: upstream tables keep one data version.
CONSTANT = dg.DataVersion("1")
PREVIEW_ROWS = 12
TYPES = {
    "text": "string",
    "decimal": "decimal(38,18)",
    "timestamp": "int64 (ns UTC)",
    "day": "date",
    "integer": "int64",
    "number": "float64",
    "flag": "bool",
}


def column_schema(table: Table) -> dg.TableSchema:
    """Return the declared columns with units and descriptions."""

    def described(column: Column) -> str:
        return f"{column.description} [{column.unit}]" if column.unit else column.description

    return dg.TableSchema(columns=[dg.TableColumn(column.name, TYPES[column.kind], described(column)) for column in table.columns])


def spec(table: Table, group: str, kinds: set[str], *, deps: Sequence[str] = (), description: str = "", name: str = "") -> dg.AssetSpec:
    """Return the spec of the asset that holds a table."""
    return dg.AssetSpec(
        name or table.name,
        deps=list(deps),
        description=description or table.description,
        group_name=group,
        owners=OWNERS,
        kinds=kinds,
        metadata={"dagster/column_schema": column_schema(table), "dagster/table_name": table.name, "key": ", ".join(table.key)},
    )


def table_metadata(home: Home, table: Table) -> dict[str, Any]:
    """Return row count, version and place of a table."""
    rows, version = home.lake.size(table)
    return {
        "dagster/row_count": rows,
        "dagster/uri": home.lake.uri(table),
        "delta_version": version,
        "how_to_read": dg.MetadataValue.md(f"`portfolio show {table.name}`"),
    }


def newest(home: Home, table: Table) -> "pa.Table":
    """Return the rows of a table's newest month, by key."""
    rows = home.lake.read(table, from_month=home.lake.newest_month(table))
    return rows.sort_by([("day", "ascending"), *((name, "ascending") for name in table.key if name != "day")])


def preview(rows: "pa.Table", columns: Sequence[str]) -> dg.MetadataValue:
    """Return the last rows as a table; floats are rounded for the eye."""
    shown = rows.select(list(columns)).slice(max(0, len(rows) - PREVIEW_ROWS)).to_pylist()
    records = [dg.TableRecord({name: _shown(value) for name, value in row.items()}) for row in shown]
    schema = dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in columns])
    return dg.MetadataValue.table(records=records, schema=schema)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,.4f}" if isinstance(value, float) else str(value)


def picture(png: bytes, words: str) -> dg.MetadataValue:
    """Return a PNG as markdown that the UI shows."""
    return dg.MetadataValue.md(f"![{words}](data:image/png;base64,{b64encode(png).decode()})")


def schema_of(**columns: str) -> dict[str, dg.TableSchema]:
    """Return a column schema: each column's type and what it is, apart by a colon."""
    parts = {name: said.partition(": ") for name, said in columns.items()}
    return {
        "dagster/column_schema": dg.TableSchema(
            columns=[dg.TableColumn(name, kind, description) for name, (kind, _, description) in parts.items()]
        )
    }
