"""What a part of the report says, before it is written anywhere: sentences, figures, tables of cells. Unescaped text.

Terminal, Markdown and page are made from the same blocks, so that none of them can leave out what another says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portfolio_platform.monitor.report import Figure
from portfolio_platform.render import formats
from portfolio_platform.render.text import one_line


@dataclass(frozen=True)
class Column:
    """A column of a table: its head, whether it holds numbers, and whether only wide outputs show it."""

    head: str
    number: bool = True
    wide: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell: the text for reading, and the number behind it with the address of its row where there is one."""

    text: str
    source: str = ""


@dataclass(frozen=True)
class Grid:
    """A table: a caption that says what it shows, its columns, and rows of as many cells."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        """Refuse rows of another length than the columns with `ValueError`."""
        wrong = [len(row) for row in self.rows if len(row) != len(self.columns)]
        if wrong:
            raise ValueError(f"{self.caption}: a row has {wrong[0]} cells for {len(self.columns)} columns")


@dataclass(frozen=True)
class Block:
    """A part of the report.

    Attributes:
        name: its name, the same in every output.
        title: its heading.
        lead: what it says, in sentences; the first is what a terminal shows of it.
        figures: its figures.
        grids: its tables.
        wide: whether it wants the whole width of a page.
    """

    name: str
    title: str
    lead: tuple[str, ...]
    figures: tuple[Figure, ...] = ()
    grids: tuple[Grid, ...] = ()
    wide: bool = False
    unknown: tuple[str, ...] = field(default=())


def name_cell(row: Mapping[str, Any], name: str) -> Cell:
    """Return a cell with a name of a row; an en dash where it has none."""
    held = row.get(name)
    return Cell(one_line(str(held)) if held not in (None, "") else formats.NULL)


def number_cell(row: Mapping[str, Any], name: str, unit: str, currency: str = "") -> Cell:
    """Return a cell with a number of a row in its unit, with where it comes from."""
    held = row.get(name)
    return Cell(formats.measured(held if isinstance(held, (int, float)) else None, unit, currency), source(row, name))


def source(row: Mapping[str, Any], name: str) -> str:
    """Return the address of a row's number and the number as the report holds it; empty where the row has no address."""
    of = row.get("of")
    return f"{one_line(str(of))}/{name} = {formats.exact(row.get(name))}" if of else ""


def columns(*heads: str) -> tuple[Column, ...]:
    """Return columns from heads: '<' before one holds names, '~' one that only wide outputs show."""
    found = []
    for head in heads:
        wide, rest = head.startswith("~"), head.removeprefix("~")
        found.append(Column(rest.removeprefix("<"), not rest.startswith("<"), wide))
    return tuple(found)
