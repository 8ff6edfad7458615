"""The words of an action plan, and the tokens of a line: numbers with their units, words, marks. Linear in the line's length."""

import re
import unicodedata
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from portfolio_platform.orchestrator.directive import Kind

LONGEST = 400
"""Characters of a line beyond which it is no directive."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


REDUCE = _words("reduce trim cut decrease lower lighten shrink pare sell lessen underweight")
INCREASE = _words("increase raise boost grow lift buy expand overweight")
ADD = _words("add initiate establish open start")
HOLD = _words("hold keep maintain retain")
EXIT = _words("exit eliminate liquidate")
SET = _words("target set rebalance move bring take")
VERBS: dict[str, Kind] = {
    **dict.fromkeys(REDUCE | EXIT, "reduce"),
    **dict.fromkeys(INCREASE, "increase"),
    **dict.fromkeys(ADD, "add"),
    **dict.fromkeys(HOLD, "hold"),
    **dict.fromkeys(SET, "set"),
}
DOUBT = _words(
    "if unless when once until after before not don't dont never avoid no or maybe consider perhaps either about around approximately "
    "approx roughly between least most over under above below max min maximum minimum up-to circa ca should could would might may than "
    "cannot can't without except instead"
)
FILLER = _words(
    "the a an our your sector sectors position positions exposure allocation allocations weight weighting weights holding holdings stake "
    "level portfolio of all entire please target current total back down up and its their"
)
FROM, TO, BY = frozenset({"from"}), frozenset({"to", "at", "->", "into", "in"}), frozenset({"by"})
NOW = frozenset({"currently", "now", "presently", "was", "is"})
PERCENT = frozenset({"%", "percent", "pct", "prozent"})
POINTS = frozenset({"pts", "pt", "pp", "ppt", "ppts", "points", "point", "%-points", "%-pts"})
CURRENCIES = {"$": "USD", "€": "EUR", "£": "GBP", "us$": "USD"}
ISO = _words("USD EUR GBP CHF JPY CAD AUD SEK NOK DKK")

_DASHES = str.maketrans(
    dict.fromkeys("−–—‒―‐‑﹣－", "-") | {"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "⇒": "→", "➔": "→", "➜": "→"}
)
_TOKEN = re.compile(
    r"""(?P<quoted>"[^"]{1,80}")
    |(?P<arrow>->|=>|→)
    |(?P<number>[+-]?(?:us\$|[$€£])?[+-]?\d[\d,.]*(?:[kKmM](?![^\W_]))?)
    |(?P<unit>%-points?|%-pts?|%)
    |(?P<word>[^\W\d_][\w.]*(?:['/&-][^\W_][\w.]*)*)
    |(?P<mark>[()\[\]:;,.|&/!?~<>=+*-]|\S)""",
    re.VERBOSE | re.IGNORECASE,
)
_NUMBER = re.compile(r"(?P<sign>[+-]?)(?P<money>us\$|[$€£])?(?P<inner>[+-]?)(?P<digits>\d[\d,.]*)(?P<scale>[km]?)", re.IGNORECASE)
_PLAIN = re.compile(r"\d{1,15}(\.\d{1,10})?")
_GROUPED = re.compile(r"\d{1,3}(,\d{3}){1,5}(\.\d{1,10})?")
_COMMA = re.compile(r"\d{1,4},(\d{1,2}|\d{4})")
_POINTS_AND_COMMA = re.compile(r"\d{1,3}(\.\d{3}){1,5},\d{1,2}")
EITHER_WAY = re.compile(r"(?<![\d.,])\d{1,3}([.,])\d{3}(\1\d{3})*(?![\d.,]*\d)")
"""A number of thousands, or of three decimals, as the comma or the point before three digits is meant."""
DECIMAL_COMMA = re.compile(r"(?<![\d.,])\d+(\.\d{3})*,(\d{1,2}|\d{4})(?![\d.,]*\d)")


class NotUnderstood(ValueError):
    """A clause is no directive; the text says why."""


@dataclass(frozen=True)
class Number:
    """A number with its unit and its sign."""

    value: Decimal
    unit: Literal["percent", "points", "money", ""]
    sign: str
    currency: str = ""
    comma: bool = False


@dataclass(frozen=True)
class Token:
    """A token of a clause: its kind and its text; a number has its value."""

    kind: str
    text: str
    number: Number | None = None

    @property
    def low(self) -> str:
        """Return the text in small letters, without a full stop at its end."""
        return self.text.lower().rstrip(".")


def normalised(text: str) -> str:
    """Return text with compatible characters, dashes and quotes in one form, and without those of no width."""
    found = unicodedata.normalize("NFKC", text.translate(_DASHES)).translate(_DASHES)
    return "".join(
        " " if letter.isspace() else letter for letter in found if unicodedata.category(letter) not in ("Cf", "Cc") or letter == "\t"
    )


def read_number(text: str) -> Number:
    """Return a number as people write it. Raises `NotUnderstood` where it can be read in two ways.

    ``1,250,000`` has thousands separators. ``46,8`` has a decimal comma, for no thousands have one digit; that is read of percentages
    and points alone (see `tokens_of`), and ``1.234,50`` of everything.
    """
    found = _NUMBER.fullmatch(text.rstrip(".,"))
    if found is None:
        raise NotUnderstood(f"{text} is no number")
    digits = found["digits"].rstrip(".,")
    comma = bool(_COMMA.fullmatch(digits))
    if comma or _POINTS_AND_COMMA.fullmatch(digits):
        digits = digits.replace(".", "").replace(",", ".")
    elif not _PLAIN.fullmatch(digits) and not _GROUPED.fullmatch(digits):
        raise _two_ways(text)
    value = Decimal(digits.replace(",", "")) * {"": 1, "k": 1000, "m": 1_000_000}[found["scale"].lower()]
    currency = CURRENCIES.get((found["money"] or "").lower(), "")
    return Number(value, "money" if currency else "", found["sign"] or found["inner"], currency, comma)


def _two_ways(text: str) -> NotUnderstood:
    return NotUnderstood(f"{text} can be read in two ways; write it with a decimal point, and commas between thousands alone")


def tokens_of(text: str) -> list[Token]:
    """Return the tokens of a normalised text; a unit is joined to its number.

    Raises `NotUnderstood` for a decimal comma in what is no percentage and no points, and where one stands beside a number such as
    ``2,500`` or ``2.500``, which is then thousands or not.
    """
    found = _joined(text)
    if any(token.number is not None and token.number.comma and token.number.unit not in ("percent", "points") for token in found):
        raise _two_ways(next(token.text for token in found if token.number is not None and token.number.comma))
    either = EITHER_WAY.search(text)
    if either and DECIMAL_COMMA.search(text):
        raise _two_ways(either.group())
    return found


def _joined(text: str) -> list[Token]:
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind, said = match.lastgroup or "mark", match.group()
        if kind == "number":
            found.append(Token("number", said, read_number(said)))
            continue
        if kind == "arrow":
            said = "->"
        low = said.lower().rstrip(".")
        if found and found[-1].number is not None and _joins(found, low):
            continue
        found.append(Token(kind, said))
    return _with_currency_codes(_worded_units(found))


def _joins(found: list[Token], low: str) -> bool:
    """Join a unit to the number before it, and say whether there was one."""
    last = found[-1]
    number = last.number
    if number is None or number.unit == "money":
        return False
    unit: Literal["percent", "points", ""] = "percent" if low in PERCENT else "points" if low in POINTS else ""
    if low == "bps":
        found[-1] = Token("number", last.text, replace(number, value=number.value / 100, unit="points"))
        return True
    if not unit or (number.unit and not (number.unit == "percent" and unit == "points")):
        return False
    found[-1] = Token("number", last.text, replace(number, unit=unit))
    return True


_PAIRS: dict[tuple[str, ...], tuple[Literal["percent", "points"], int]] = {
    ("per", "cent"): ("percent", 1),
    ("percentage", "points"): ("points", 1),
    ("percentage", "point"): ("points", 1),
    ("basis", "points"): ("points", 100),
}


def _worded_units(tokens: list[Token]) -> list[Token]:
    """Join "per cent", "percentage points" and "basis points"."""
    found: list[Token] = []
    place = 0
    while place < len(tokens):
        unit = _PAIRS.get(tuple(token.low for token in tokens[place : place + 2]))
        last = found[-1].number if found else None
        if last is not None and last.unit == "" and unit is not None:
            found[-1] = Token("number", found[-1].text, replace(last, value=last.value / unit[1], unit=unit[0]))
            place += 2
            continue
        found.append(tokens[place])
        place += 1
    return found


def _with_currency_codes(tokens: list[Token]) -> list[Token]:
    """Join "USD 1,000" and "1,000 USD"."""
    found: list[Token] = []
    for token in tokens:
        last = found[-1] if found else None
        if token.number is not None and token.number.unit == "" and last is not None and last.text in ISO:
            found[-1] = Token("number", token.text, replace(token.number, unit="money", currency=last.text))
        elif token.text in ISO and last is not None and last.number is not None and last.number.unit == "":
            found[-1] = Token("number", last.text, replace(last.number, unit="money", currency=token.text))
        else:
            found.append(token)
    return found
