"""From a column of raw cells to typed values and the faults of single cells. Each distinct text is read once."""

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portfolio_platform.lake.columns import Column
from portfolio_platform.sources.model import Fault
from portfolio_platform.sources.numerals import (
    Parsed,
    parse_decimals,
    parse_flags,
    parse_floats,
    parse_integers,
    sign_faults,
    where,
)
from portfolio_platform.sources.timestamps import parse_days, parse_timestamps

if TYPE_CHECKING:
    import pyarrow as pa

MAX_CHARACTERS = 4_096
FREE_TEXT = ("thesis", "reasons", "block_reason")
"""Columns of prose: the only ones whose text may have line breaks."""
EMPTY = "empty"
"""Code of the fault of a required cell without a value."""

_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f\x{80}-\x{9f}]"
_CONTROL_OR_BREAK = r"[\x00-\x08\x0a-\x1f\x7f\x{80}-\x{9f}]"


@dataclass(frozen=True)
class Context:
    """What a cell's meaning depends on beside its column: the as-of time, and whether the fact has a side."""

    as_of_ns: int
    has_side: bool = False


@dataclass(frozen=True)
class TypedColumn:
    """Typed values row by row, null where missing or at fault, and the faults as (row, fault)."""

    values: "pa.Array"
    faults: list[tuple[int, Fault]]


def trimmed(texts: "pa.Array") -> "pa.Array":
    """Return texts without white space at both ends; what is then empty is null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.utf8_trim_whitespace(texts)
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def read_column(column: Column, cells: "pa.Array", default: str | None, context: Context) -> TypedColumn:
    """Type one column: `cells` are the raw texts row by row, `default` stands for the empty ones."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = cells.dictionary_encode()
    texts = trimmed(encoded.dictionary)
    if default is not None:
        texts = texts.fill_null(default)
    values, by_text = _parse(column, texts, context)
    if column.required:
        for index in where(texts.is_null()):
            by_text[index] = _missing(column)
    if by_text:
        wrong = np.zeros(len(texts), dtype=bool)
        wrong[list(by_text)] = True
        values = pc.if_else(pa.array(wrong), pa.scalar(None, values.type), values)
        indices = encoded.indices.to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(wrong[indices])
        faults = [(int(row), by_text[int(indices[row])]) for row in rows]
    else:
        faults = []
    return TypedColumn(values.take(encoded.indices), faults)


def constant_column(column: Column, rows: int, default: str | None, context: Context) -> TypedColumn:
    """Return a column that the file does not have: the default, or null, in every row."""
    import pyarrow as pa

    return read_column(column, pa.nulls(rows, pa.string()).fill_null(""), default, context)


def _missing(column: Column) -> Fault:
    choices = f": one of {', '.join(column.choices)}" if column.choices else f": {column.description}"
    return Fault(column.name, EMPTY, "is empty, and is required", f"fill it in{choices}")


def _parse(column: Column, texts: "pa.Array", context: Context) -> Parsed:
    if column.kind == "timestamp":
        return parse_timestamps(column, texts, context.as_of_ns)
    if column.kind == "day":
        return parse_days(column, texts)
    if column.kind == "flag":
        return parse_flags(column, texts)
    if column.kind == "text":
        return _parse_text(column, texts)
    parse = {"decimal": parse_decimals, "integer": parse_integers, "number": parse_floats}[column.kind]
    values, faults = parse(column, texts)
    faults.update(sign_faults(column, values, has_side=context.has_side))
    return values, faults


def _parse_text(column: Column, texts: "pa.Array") -> Parsed:
    import pyarrow.compute as pc

    texts = pc.utf8_normalize(texts, form="NFC")
    faults: dict[int, Fault] = {}
    for index in where(pc.greater(pc.utf8_length(texts), MAX_CHARACTERS)):
        rule = f"has {len(texts[index].as_py()):,} characters, more than {MAX_CHARACTERS:,}"
        faults[index] = Fault(column.name, "too_long", rule, "shorten it")
    forbidden = _CONTROL if column.name in FREE_TEXT else _CONTROL_OR_BREAK
    for index in where(pc.match_substring_regex(texts, forbidden)):
        faults[index] = Fault(column.name, "control", "has a control character or a line break", "remove it; retype the text")
    if column.choices:
        texts = pc.utf8_lower(texts)
        for index, text in enumerate(texts.to_pylist()):
            if text is not None and text not in column.choices and index not in faults:
                faults[index] = _no_choice(column, text)
    return texts, faults


def _no_choice(column: Column, text: str) -> Fault:
    listed = ", ".join(column.choices)
    starts = [choice for choice in column.choices if text and choice.startswith(text)]
    close = starts or difflib.get_close_matches(text[:60], column.choices, 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return Fault(column.name, "choice", f"is not one of {listed}", f"write one of {listed}{hint}")
