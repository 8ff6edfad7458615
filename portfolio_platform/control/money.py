"""Money and quantities at the border: decimals as people and files write them, integers inside."""

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

_EXACT = Context(prec=60)
QUANTITY_PLACES = 18
SHOWN = 60
"""How many characters of a wrong value a message has."""
NO_CENTS = frozenset({"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"})
THREE_PLACES = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})


def digits_of(currency: str) -> int:
    """Return how many decimals the minor unit of a currency has (ISO 4217); 2 for one that is not listed."""
    return 0 if currency in NO_CENTS else 3 if currency in THREE_PLACES else 2


def minor(amount: Decimal | int | str | float, digits: int) -> int:
    """Return an amount in minor units, halves to even.

    Raises:
        ValueError: it is no finite number.
    """
    return _scaled(amount, digits)


def quantity_units(quantity: Decimal | int | str | float) -> int:
    """Return a quantity in units of 1e-18.

    Raises:
        ValueError: it is no finite number.
    """
    return _scaled(quantity, QUANTITY_PLACES)


def major(amount: int, digits: int) -> Decimal:
    """Return minor units as a decimal amount."""
    return Decimal(amount).scaleb(-digits, _EXACT)


def shown(value: object) -> str:
    """Return what a value looks like, for a message: shortened, printable, whatever it is."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # thousands of digits, or of lists in lists
        text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _scaled(value: Decimal | int | str | float, places: int) -> int:
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except (InvalidOperation, TypeError, ValueError) as error:
        raise ValueError(f"{shown(value)} is no number") from error
    if not number.is_finite():
        raise ValueError(f"{shown(value)} is not finite")
    if number.adjusted() > 30:
        raise ValueError(f"{shown(value)} is absurd")
    return int(number.scaleb(places, _EXACT).quantize(Decimal(1), ROUND_HALF_EVEN, _EXACT))
