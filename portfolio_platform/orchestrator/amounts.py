"""Exact arithmetic: shares and prices are decimals, money is an integer of minor units, weights are parts per million."""

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from portfolio_platform.control.model import MILLION
from portfolio_platform.control.money import major

EXACT = Context(prec=100)
"""Holds every product of two admitted numbers without rounding."""
LARGEST_SHARES = Decimal(10) ** 12
LARGEST_PRICE = Decimal(10) ** 9
LARGEST_MINOR = 10**17
BPS = 10_000


def no_float(value: Any) -> Any:
    """Return a value that is no binary float. Raises `ValueError` for one: it has lost what was written."""
    if isinstance(value, (float, bool)):
        raise ValueError(f"{value!r} is no exact number; write a decimal as text, such as '12.5'")
    return value


def plain(value: Decimal) -> Decimal:
    """Return the one spelling of a decimal: no trailing zeros, no exponent, no negative zero."""
    return Decimal(f"{value.normalize(EXACT):f}") if value else Decimal(0)


def _places(most: int) -> AfterValidator:
    def check(value: Decimal) -> Decimal:
        found = plain(value)
        exponent = found.as_tuple().exponent
        if found != value or (isinstance(exponent, int) and -exponent > most):
            raise ValueError(f"{value} has more than {most} decimals")
        return found

    return AfterValidator(check)


_EXACTLY = BeforeValidator(no_float)
Shares = Annotated[Decimal, _EXACTLY, Field(gt=0, le=LARGEST_SHARES), _places(18)]
"""A number of shares above zero, at most 18 decimals."""
Price = Annotated[Decimal, _EXACTLY, Field(gt=0, le=LARGEST_PRICE), _places(10)]
"""A price of a share above zero, at most 10 decimals."""
Cost = Annotated[Decimal, _EXACTLY, Field(ge=0, le=LARGEST_PRICE), _places(10)]
"""What a share has cost: zero for one that was given."""
Percentage = Annotated[Decimal, _EXACTLY, Field(ge=0, le=100), _places(4)]
"""A percentage of at most four decimals, so that it is whole parts per million."""
Minor = Annotated[int, Field(ge=-LARGEST_MINOR, le=LARGEST_MINOR, strict=True)]
"""An amount in minor units."""
Money = Annotated[int, Field(ge=0, le=LARGEST_MINOR, strict=True)]
"""An amount in minor units that is not below zero."""
Ppm = Annotated[int, Field(ge=0, le=MILLION, strict=True)]
"""A share in parts per million."""


def worth(quantity: Decimal, price: Decimal, digits: int) -> int:
    """Return what shares are worth, in minor units, halves to even."""
    return _minor(quantity, price, digits, ROUND_HALF_EVEN)


def proceeds_of(quantity: Decimal, price: Decimal, digits: int) -> int:
    """Return what selling brings, in minor units, rounded down."""
    return _minor(quantity, price, digits, ROUND_FLOOR)


def cost_of(quantity: Decimal, price: Decimal, digits: int) -> int:
    """Return what buying costs, in minor units, rounded up."""
    return _minor(quantity, price, digits, ROUND_CEILING)


def _minor(quantity: Decimal, price: Decimal, digits: int, rounding: str) -> int:
    return int(EXACT.multiply(quantity, price).scaleb(digits, EXACT).to_integral_value(rounding, EXACT))


def total(values: Iterable[Decimal]) -> Decimal:
    """Return an exact sum of decimals."""
    found = Decimal(0)
    for value in values:
        found = EXACT.add(found, value)
    return plain(found)


def less(value: Decimal, other: Decimal) -> Decimal:
    """Return an exact difference."""
    return plain(EXACT.subtract(value, other))


def shares_for(amount: int, price: Decimal, digits: int, step: Decimal, *, up: bool = False) -> Decimal:
    """Return how many shares an amount is, in whole steps.

    Args:
        amount: minor units; nothing or less gives 0.
        price: of a share.
        digits: minor units of the currency.
        step: smallest tradable number, such as 1, a lot of 100, or 0.0001.
        up: the next step above instead of below.
    """
    if amount <= 0:
        return Decimal(0)
    top, bottom = major(amount, digits).as_integer_ratio()
    each, per = EXACT.multiply(price, step).as_integer_ratio()
    steps, rest = divmod(top * per, bottom * each)
    return plain(EXACT.multiply(step, Decimal(steps + (1 if up and rest else 0))))


def moved(price: Decimal, bps: Decimal, *, up: bool) -> Decimal:
    """Return a price moved by basis points, exactly."""
    factor = EXACT.divide(EXACT.add(Decimal(BPS), bps) if up else EXACT.subtract(Decimal(BPS), bps), Decimal(BPS))
    return plain(EXACT.multiply(price, factor))


def fee_on(amount: int, fixed: int, bps: Decimal) -> int:
    """Return the fee of a trade, in minor units: the fixed one and basis points of its amount, rounded up."""
    top, bottom = bps.as_integer_ratio()
    return fixed - (-amount * top // (bottom * BPS))


def part(share: int, whole: int) -> int:
    """Return a share of a whole in parts per million, halves to even; 0 of an empty whole. For showing: limits use `exceeds`."""
    if whole == 0:
        return 0
    quotient, rest = divmod(2 * share * MILLION + whole, 2 * whole)
    return quotient - 1 if rest == 0 and quotient % 2 else quotient


def exceeds(share: int, limit_ppm: int, whole: int) -> bool:
    """Say whether a share of a whole is above a limit, exactly."""
    return share * MILLION > limit_ppm * whole


def below(share: int, limit_ppm: int, whole: int) -> bool:
    """Say whether a share of a whole is below a limit, exactly."""
    return share * MILLION < limit_ppm * whole


def of_whole(parts: int, whole: int, *, up: bool = False) -> int:
    """Return parts per million of an amount, rounded down, or up."""
    return -(-parts * whole // MILLION) if up else parts * whole // MILLION


def percent(parts: int) -> str:
    """Return parts per million as the text of a percentage: 468000 is ``46.8``."""
    return f"{plain(Decimal(parts) / 10_000):f}"


def money(amount: int, digits: int) -> str:
    """Return minor units as people write them: ``-1,250.00``."""
    return f"{major(amount, digits):,.{digits}f}"
