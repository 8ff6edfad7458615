"""How a column is declared: one line that serves the Arrow schema, the CSV reader, the docs and the Dagster UI."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["text", "decimal", "timestamp", "day", "integer", "number", "flag"]
Sign = Literal["any", "positive", "not_negative", "not_zero"]

DECIMAL_PRECISION, DECIMAL_SCALE = 38, 18


@dataclass(frozen=True)
class Column:
    """A column: its name, what it holds, its unit, and the rules a value must keep.

    Kinds: ``decimal`` is exact, 38 digits of which 18 after the point; ``timestamp`` an integer of nanoseconds UTC;
    ``day`` a UTC day; ``number`` a 64-bit float.
    """

    name: str
    kind: Kind
    description: str
    unit: str = ""
    required: bool = False
    sign: Sign = "any"
    choices: tuple[str, ...] = ()
    default: str | None = None

    def arrow_type(self) -> "pa.DataType":
        """Return the Arrow type that the lake stores."""
        import pyarrow as pa

        return {
            "text": pa.string(),
            "decimal": pa.decimal128(DECIMAL_PRECISION, DECIMAL_SCALE),
            "timestamp": pa.int64(),
            "day": pa.date32(),
            "integer": pa.int64(),
            "number": pa.float64(),
            "flag": pa.bool_(),
        }[self.kind]


@dataclass(frozen=True)
class Table:
    """A lake table: its columns in order, the key that makes a row unique, and how it is laid out.

    ``partition`` is the text column whose values name the folders (``month``), empty for small tables.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition: str = ""

    @property
    def column_names(self) -> list[str]:
        """Return the names of the columns, in order."""
        return [column.name for column in self.columns]

    def arrow_schema(self) -> "pa.Schema":
        """Return the Arrow schema that every write must match exactly."""
        return self._schema

    @cached_property
    def _schema(self) -> "pa.Schema":
        import pyarrow as pa

        return pa.schema([pa.field(column.name, column.arrow_type()) for column in self.columns])
