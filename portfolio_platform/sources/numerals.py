"""From text to exact decimals, integers, floats and flags; what is not written as one says how it should be."""

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from portfolio_platform.lake.columns import DECIMAL_PRECISION, DECIMAL_SCALE, Column
from portfolio_platform.sources.model import Fault

if TYPE_CHECKING:
    import pyarrow as pa

Parsed = tuple[Any, dict[int, Fault]]
"""An Arrow array of typed values, null where there is none, and the faults by index."""

WHOLE_DIGITS = DECIMAL_PRECISION - DECIMAL_SCALE
_CLEAN_DECIMAL = rf"^-?[0-9]{{1,{WHOLE_DIGITS}}}(\.[0-9]{{1,{DECIMAL_SCALE}}})?$"
_CLEAN_INTEGER = r"^-?[0-9]{1,18}$"
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")
_EUROPEAN = re.compile(r"[+-]?([0-9]{1,3}(\.[0-9]{3})+|[0-9]+),[0-9]+")
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def not_a_number(column: Column, text: str) -> Fault:
    """Return the fault of text that is no plain number, with the spelling that was probably meant."""
    if _THOUSANDS.fullmatch(text):
        plain = text.replace(",", "")
        other = f" or {text.replace(',', '.')}" if text.count(",") == 1 and "." not in text else ""
        return Fault(column.name, "comma", "has a comma: is it thousands or decimals?", f"write {plain}{other}, without a comma")
    if _EUROPEAN.fullmatch(text):
        plain = text.replace(".", "").replace(",", ".")
        return Fault(column.name, "comma", "has a decimal comma", f"write {plain}, with a decimal point")
    if text.lower().lstrip("+-") in ("nan", "inf", "infinity", "null", "none", "n/a", "na"):
        remedy = "write the number" if column.required else "write the number, or leave the cell empty if there is none"
        return Fault(column.name, "not_a_number", "is not a number", remedy)
    return Fault(
        column.name,
        "not_a_number",
        "is not a number",
        "write digits with a decimal point, for example 1234.56: no currency sign, no unit, no separator",
    )


def _exact(column: Column, text: str) -> Decimal | Fault:
    """Read one number of any accepted spelling; `text` may be of any length."""
    if len(text) > 200 or not _NUMBER.fullmatch(text):
        return not_a_number(column, text[:200])
    sign, digits, exponent = Decimal(text).as_tuple()
    assert isinstance(exponent, int)  # the pattern admits neither NaN nor infinity
    plain = "".join(map(str, digits))
    significant = plain.rstrip("0")
    if not significant:
        return Decimal(0)
    exponent += len(plain) - len(significant)
    whole = len(significant.lstrip("0")) + exponent
    if exponent < -DECIMAL_SCALE:
        return Fault(
            column.name,
            "scale",
            f"has more than {DECIMAL_SCALE} decimals, which cannot be kept exactly",
            f"round it to {DECIMAL_SCALE} decimals",
        )
    if whole > WHOLE_DIGITS:
        return Fault(column.name, "size", f"has more than {WHOLE_DIGITS} digits before the point", "check the number; use larger units")
    return Decimal((sign, tuple(map(int, significant)), exponent))


def matching(texts: "pa.Array", pattern: str) -> "tuple[pa.Array, list[tuple[int, str]]]":
    """Return the texts that match (null elsewhere), and the others with their indices."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    clean = pc.match_substring_regex(texts, pattern)
    odd = np.flatnonzero(pc.invert(clean).fill_null(False).to_numpy(zero_copy_only=False))
    if not len(odd):
        return texts, []
    return pc.if_else(clean, texts, pa.scalar(None, pa.string())), [(int(index), texts[int(index)].as_py()) for index in odd]


def patched(values: "pa.Array", patches: dict[int, Any]) -> "pa.Array":
    """Return the values with some replaced; the patches must fit the type."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not patches:
        return values
    sparse: list[Any] = [None] * len(values)
    for index, value in patches.items():
        sparse[index] = value
    return pc.coalesce(values, pa.array(sparse, values.type))


def _divided(column: Column, odd: list[tuple[int, str]]) -> tuple[dict[int, Decimal], dict[int, Fault]]:
    read = {index: _exact(column, text) for index, text in odd}
    faults = {index: value for index, value in read.items() if isinstance(value, Fault)}
    return {index: value for index, value in read.items() if isinstance(value, Decimal)}, faults


def parse_decimals(column: Column, texts: "pa.Array") -> Parsed:
    """Read decimals exactly, in plain or exponent notation; null stays null."""
    clean, odd = matching(texts, _CLEAN_DECIMAL)
    numbers, faults = _divided(column, odd)
    return patched(clean.cast(column.arrow_type()), numbers), faults


def parse_integers(column: Column, texts: "pa.Array") -> Parsed:
    """Read whole numbers of at most 18 digits; 6.0 is 6."""
    import pyarrow as pa

    clean, odd = matching(texts, _CLEAN_INTEGER)
    numbers, faults = _divided(column, odd)
    whole: dict[int, int] = {}
    for index, number in numbers.items():
        if number != number.to_integral_value():
            faults[index] = Fault(column.name, "not_whole", "is not a whole number", "write a whole number")
        elif abs(number) >= 10**18:
            faults[index] = Fault(column.name, "size", "has more than 18 digits", "check the number")
        else:
            whole[index] = int(number)
    return patched(clean.cast(pa.int64()), whole), faults


def parse_floats(column: Column, texts: "pa.Array") -> Parsed:
    """Read 64-bit floats from plain or exponent notation; infinities and NaN are faults."""
    import pyarrow as pa

    values: list[float | None] = []
    faults: dict[int, Fault] = {}
    for index, text in enumerate(texts.to_pylist()):
        exact = None if text is None else _exact(column, text)
        if isinstance(exact, Fault):
            faults[index] = exact
        values.append(float(exact) if isinstance(exact, Decimal) else None)
    return pa.array(values, pa.float64()), faults


def parse_flags(column: Column, texts: "pa.Array") -> Parsed:
    """Read true and false, yes and no, 1 and 0, in any case."""
    import pyarrow as pa

    values: list[bool | None] = []
    faults: dict[int, Fault] = {}
    for index, text in enumerate(texts.to_pylist()):
        value = None if text is None else _FLAGS.get(text.lower())
        if text is not None and value is None:
            faults[index] = Fault(column.name, "flag", "is neither true nor false", "write true or false")
        values.append(value)
    return pa.array(values, pa.bool_()), faults


def sign_faults(column: Column, values: "pa.Array", *, has_side: bool) -> dict[int, Fault]:
    """Return the values that break the column's sign, or a fraction above 1."""
    import pyarrow as pa
    import pyarrow.compute as pc

    zero, faults = pa.scalar(0, values.type), {}
    if column.sign in ("positive", "not_negative"):
        for index in where(pc.less(values, zero)):
            plain = format(-Decimal(str(values[index].as_py())), "f")
            remedy = f"write {_shortest(plain)} or check the row at its source"
            if column.name == "quantity" and has_side:
                remedy = f"write quantity {_shortest(plain)} and side 'sell'"
            kept = "always positive" if column.sign == "positive" else "never negative"
            faults[index] = Fault(column.name, "negative", f"is negative: {column.name} is {kept}", remedy)
    if column.sign in ("positive", "not_zero"):
        remedy = "leave the row out if nothing happened" if column.required else "leave the cell empty if there is none"
        for index in where(pc.equal(values, zero)):
            faults[index] = Fault(column.name, "zero", f"is zero: {column.name} is never zero", remedy)
    if column.unit == "0..1":
        for index in where(pc.greater(values, pa.scalar(1, values.type))):
            value = values[index].as_py()
            remedy = f"write {_shortest(format(value / 100, 'f'))} for {_shortest(format(value, 'f'))} %" if value <= 100 else "write 0..1"
            faults[index] = Fault(column.name, "above_one", f"is more than 1: {column.name} is a fraction from 0 to 1", remedy)
    return faults


def where(mask: "pa.Array") -> list[int]:
    """Return the indices at which a boolean Arrow array is true."""
    import numpy as np

    if not mask.true_count:
        return []
    return [int(index) for index in np.flatnonzero(mask.fill_null(False).to_numpy(zero_copy_only=False))]


def _shortest(plain: str) -> str:
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def shown(value: Decimal) -> str:
    """Return a decimal in plain digits, without trailing zeros."""
    return _shortest(format(value, "f"))
