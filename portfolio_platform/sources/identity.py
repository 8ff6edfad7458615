"""Who a row is: the hash of its content, and the id by which the same row is known again."""

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from portfolio_platform.lake.facts import Fact

if TYPE_CHECKING:
    import pyarrow as pa

NAME_END, VALUE_END = "\x1f", "\x1e"
CONTENT_ID = "content:"
HASH_CHARACTERS = 32


def content_hashes(fact: Fact, columns: Mapping[str, Any]) -> "pa.Array":
    """Return the SHA-256 of each row's own columns and `bust`, in hexadecimal.

    What is hashed, for each column that has a value, by name in alphabetical order: the name, byte 1F, the value, byte
    1E. A text is UTF-8, an integer or a time its decimal digits, a flag ``true`` or ``false``, a decimal the 16 bytes
    (little-endian, two's complement) of its integer of 10^-18 units, a float its 8 bytes. A column without a value adds
    nothing, so a column declared later changes no hash of rows that lack it.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not len(columns["bust"]):
        return pa.array([], pa.string())
    parts = []
    for name in sorted([column.name for column in fact.columns] + ["bust"]):
        values = columns[name]
        if values.null_count == len(values):
            continue
        encoded = values.dictionary_encode()
        spelled = pc.binary_join_element_wise(
            (name + NAME_END).encode(), _value_bytes(encoded.dictionary), VALUE_END.encode(), b"", null_handling="emit_null"
        )
        parts.append(spelled.take(encoded.indices).fill_null(b""))
    joined = pc.binary_join_element_wise(*parts, b"")
    return pa.array([sha256(content).hexdigest() for content in joined.to_pylist()], pa.string())


def _value_bytes(values: "pa.Array") -> "pa.Array":
    import pyarrow as pa

    kind = values.type
    if pa.types.is_decimal(kind) or pa.types.is_floating(kind):
        width = 16 if pa.types.is_decimal(kind) else 8
        raw = pa.Array.from_buffers(pa.binary(width), len(values), values.buffers(), offset=values.offset)
        return raw.cast(pa.binary())
    return values.cast(pa.string()).cast(pa.binary())


def _escaped(texts: "pa.Array") -> "pa.Array":
    import pyarrow.compute as pc

    return pc.replace_substring(pc.replace_substring(texts, "\\", "\\\\"), "|", "\\|")


def has_portfolio_prefix(fact: Fact) -> bool:
    """Whether ids are the source's own within a portfolio, so that the portfolio is a part of the row's id."""
    return "portfolio" not in fact.id_columns and any(column.name == "portfolio" for column in fact.columns)


def stated_ids(fact: Fact, columns: Mapping[str, Any]) -> "pa.Array":
    """Return the ids that the rows state themselves, their parts joined by ``|``; null where a part is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = [_escaped(columns[name].cast(pa.string())) for name in fact.id_columns]
    if fact.id_optional:
        claims = pc.starts_with(texts[0], CONTENT_ID)
        texts[0] = pc.if_else(claims, pc.binary_join_element_wise("\\", texts[0], ""), texts[0])
    return pc.binary_join_element_wise(*texts, "|") if len(texts) > 1 else texts[0]


def row_ids(fact: Fact, stated: "pa.ChunkedArray", hashes: "pa.ChunkedArray", portfolios: Any) -> "pa.ChunkedArray":
    """Return the ids of all rows of one file, in its order.

    A row that states no id is known by its content and its occurrence number in the file: two identical fills are two
    fills, and the same file read again gives the same ids. `portfolios` is the portfolio column, or None.
    """
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    unnamed = stated.is_null()
    if pc.any(unnamed).as_py():
        rows = np.flatnonzero(unnamed.to_numpy())
        occurrence = np.zeros(len(stated), dtype=np.int64)
        anonymous = hashes.take(pa.array(rows)).to_pandas()
        occurrence[rows] = anonymous.groupby(pd.Series(anonymous)).cumcount().to_numpy()
        start = pc.utf8_slice_codeunits(hashes, 0, HASH_CHARACTERS)
        by_content = pc.binary_join_element_wise(CONTENT_ID, start, ":", pa.array(occurrence).cast(pa.string()), "")
        stated = pc.if_else(unnamed, by_content, stated)
    if has_portfolio_prefix(fact):
        prefixes = pa.chunked_array([_escaped(chunk) for chunk in portfolios.chunks], pa.string())
        stated = pc.binary_join_element_wise(prefixes, stated, "|")
    return stated
