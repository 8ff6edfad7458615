"""One trade with its money: amounts, fees, limit price, worst case, tax lots."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from portfolio_platform.control.model import MILLION
from portfolio_platform.orchestrator.amounts import EXACT, cost_of, fee_on, less, moved, plain, proceeds_of, worth
from portfolio_platform.orchestrator.model import Account, Holding, Instrument, Snapshot, TaxLot
from portfolio_platform.orchestrator.planned import LotSale, Trade
from portfolio_platform.orchestrator.profile import Profile


def step_of(account: Account, fraction_step: Decimal, instrument: Instrument) -> Decimal:
    """Return the smallest number of shares that trades: a part of a share where the account takes fractions, else a lot."""
    return fraction_step if account.fractional else Decimal(instrument.lot_size)


def gain_of(lots: Sequence[TaxLot], price: Decimal) -> Fraction | None:
    """Return the unrealised gain of lots as a fraction of their cost; None where they cost nothing."""
    cost = sum((Fraction(lot.quantity) * Fraction(lot.cost) for lot in lots), Fraction(0))
    value = sum((Fraction(lot.quantity) for lot in lots), Fraction(0)) * Fraction(price)
    return None if cost == 0 else value / cost - 1


def lots_for(holding: Holding, quantity: Decimal, instrument: Instrument, digits: int, profile: Profile) -> tuple[LotSale, ...]:
    """Return which tax lots a sale takes, in the profile's order, and what each realises.

    ``highest_gain`` takes the cheapest shares first, ``lowest_gain`` the dearest, ``oldest`` those bought first.
    """
    order = profile.trades.lot_choice
    if order == "oldest":
        lots = sorted(holding.lots, key=lambda lot: (lot.acquired, lot.lot_id))
    else:
        sign = 1 if order == "highest_gain" else -1
        lots = sorted(holding.lots, key=lambda lot: (sign * lot.cost, lot.acquired, lot.lot_id))
    found: list[LotSale] = []
    rest = quantity
    for lot in lots:
        if rest <= 0:
            break
        taken = min(lot.quantity, rest)
        gain = worth(taken, instrument.price, digits) - worth(taken, lot.cost, digits)
        found.append(LotSale(lot_id=lot.lot_id, quantity=taken, cost=lot.cost, acquired=lot.acquired, gain_minor=gain))
        rest = less(rest, taken)
    return tuple(found)


def sell_trade(snapshot: Snapshot, account: Account, holding: Holding, quantity: Decimal, profile: Profile, why: str = "") -> Trade:
    """Return the sale of part of a holding, with the tax lots that it takes."""
    instrument, digits = snapshot.by_ticker[holding.ticker], snapshot.digits
    gain = gain_of(holding.lots, instrument.price)
    amount = proceeds_of(quantity, instrument.price, digits)
    worst = proceeds_of(quantity, moved(instrument.price, profile.worst_case.slippage_bps, up=False), digits)
    return Trade(
        trade_id="",
        side="sell",
        account=account.account,
        ticker=holding.ticker,
        sector=instrument.sector,
        quantity=quantity,
        price=instrument.price,
        limit_price=limit_price(instrument.price, profile, digits, up=False),
        amount_minor=amount,
        fee_minor=_fee(amount, profile, digits),
        worst_amount_minor=worst,
        worst_fee_minor=_worst_fee(worst, profile, digits),
        gain_ppm=None if gain is None else round(gain * MILLION),
        lots=lots_for(holding, quantity, instrument, digits, profile),
        daily_value_minor=instrument.daily_value_minor,
        why=why,
    )


def buy_trade(
    snapshot: Snapshot,
    account: Account,
    instrument: Instrument,
    quantity: Decimal,
    profile: Profile,
    *,
    pick: int | None = None,
    conviction: int | None = None,
    why: str = "",
) -> Trade:
    """Return the purchase of shares."""
    digits = snapshot.digits
    amount = cost_of(quantity, instrument.price, digits)
    worst = cost_of(quantity, moved(instrument.price, profile.worst_case.slippage_bps, up=True), digits)
    return Trade(
        trade_id="",
        side="buy",
        account=account.account,
        ticker=instrument.ticker,
        sector=instrument.sector,
        quantity=quantity,
        price=instrument.price,
        limit_price=limit_price(instrument.price, profile, digits, up=True),
        amount_minor=amount,
        fee_minor=_fee(amount, profile, digits),
        worst_amount_minor=worst,
        worst_fee_minor=_worst_fee(worst, profile, digits),
        pick=pick,
        conviction=conviction,
        daily_value_minor=instrument.daily_value_minor,
        why=why,
    )


def limit_price(price: Decimal, profile: Profile, digits: int, *, up: bool) -> Decimal:
    """Return the limit price: so many basis points from the price, rounded to the price's tick on the side of caution."""
    exponent = price.as_tuple().exponent
    places = max(digits, -exponent if isinstance(exponent, int) else digits)
    exact = moved(price, profile.trades.limit_bps, up=up)
    rounded = exact.quantize(Decimal(1).scaleb(-places), "ROUND_FLOOR" if up else "ROUND_CEILING", EXACT)
    return plain(rounded)


def _fee(amount: int, profile: Profile, digits: int) -> int:
    return fee_on(amount, profile.minor(profile.trades.fee_fixed, digits), profile.trades.fee_bps)


def _worst_fee(amount: int, profile: Profile, digits: int) -> int:
    """Return the fee of the worst case, which is never less than the expected one."""
    worst = fee_on(amount, profile.minor(profile.worst_case.fee_fixed, digits), profile.worst_case.fee_bps)
    return max(worst, _fee(amount, profile, digits))
