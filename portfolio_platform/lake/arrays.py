"""NumPy arrays to Arrow columns: days, names by code, floats whose NaN is null."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from portfolio_platform.lake.columns import Table


def day_column(days: npt.NDArray[np.int64]) -> pa.Array:
    """Return day numbers as dates."""
    return pa.array(days.astype(np.int32)).view(pa.date32())


def month_column(days: npt.NDArray[np.int64]) -> pa.Array:
    """Return the month (YYYY-MM) of each day number."""
    distinct, codes = np.unique(days.astype("datetime64[D]").astype("datetime64[M]"), return_inverse=True)
    return named([str(month) for month in distinct], codes)


def named(names: Sequence[str | None] | npt.NDArray[np.object_], codes: npt.NDArray[np.int64]) -> pa.Array:
    """Return the name behind each code."""
    return pa.array(list(names), pa.string()).take(pa.array(codes, pa.int64()))


def number_column(values: npt.NDArray[np.float64]) -> pa.Array:
    """Return floats; NaN and infinities are null."""
    finite = np.isfinite(values)
    return pa.array(values, pa.float64(), mask=None if finite.all() else ~finite)


def assemble(table: Table, columns: dict[str, pa.Array]) -> pa.Table:
    """Return the columns in the declared order and types; a missing or extra name is a `KeyError`."""
    schema = table.arrow_schema()
    extra = set(columns) - set(schema.names)
    if extra:
        raise KeyError(f"{table.name} declares no {', '.join(sorted(extra))}")
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def by_key(table: Table, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Return rows, each a tuple of its columns as they are declared, as the table, by key."""
    schema = table.arrow_schema()
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    made = pa.Table.from_arrays([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema)
    return made.sort_by([(name, "ascending") for name in table.key])
