"""Open lots going on from a saved state: fills, splits and cash movements after it, in exact decimals. Pure.

The ledger saves its state at the end of a day; what came in since, an hour ago perhaps, is applied here, first in first out as the ledger
does it, so that a plan never rests on a portfolio that has moved already.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from portfolio_platform.orchestrator.amounts import EXACT, less, plain, total


class Lot(NamedTuple):
    """Shares that were opened together: signed quantity, price of one, when (ns UTC), id."""

    quantity: Decimal
    price: Decimal
    opened_at: int
    lot_id: str


class Filled(NamedTuple):
    """A fill of the ledger: signed quantity; multiplier of the instrument; fee paid."""

    at: int
    key: "Key"
    quantity: Decimal
    price: Decimal
    multiplier: Decimal
    fee: Decimal
    row_id: str


class Moved(NamedTuple):
    """Cash that came in (negative: went out)."""

    at: int
    currency: str
    amount: Decimal


class Split(NamedTuple):
    """New units for one old unit of a symbol."""

    at: int
    symbol: str
    ratio: Decimal


class Dividend(NamedTuple):
    """Cash for one unit held of a symbol."""

    at: int
    symbol: str
    amount: Decimal
    multiplier: Decimal


class Key(NamedTuple):
    """A position of the ledger."""

    strategy: str
    symbol: str
    currency: str


Happening: TypeAlias = Filled | Moved | Split | Dividend
_FIRST = {Split: 0, Dividend: 1, Moved: 2, Filled: 3}


@dataclass
class Book:
    """Open lots by position, and cash by currency."""

    lots: dict[Key, list[Lot]] = field(default_factory=dict)
    cash: dict[str, Decimal] = field(default_factory=dict)

    def go_on(self, happenings: Iterable[Happening]) -> None:
        """Apply what happened, in the order of time; a split or dividend before the fills of its instant."""
        for one in sorted(happenings, key=lambda one: (one.at, _FIRST[type(one)], repr(one))):
            if isinstance(one, Filled):
                self._fill(one)
            elif isinstance(one, Moved):
                self._pay(one.currency, one.amount)
            elif isinstance(one, Split):
                for key in [key for key in self.lots if key.symbol == one.symbol]:
                    self.lots[key] = [
                        lot._replace(
                            quantity=plain(EXACT.multiply(lot.quantity, one.ratio)), price=plain(EXACT.divide(lot.price, one.ratio))
                        )
                        for lot in self.lots[key]
                    ]
            else:
                for key in [key for key in self.lots if key.symbol == one.symbol]:
                    held = total(lot.quantity for lot in self.lots[key])
                    self._pay(key.currency, EXACT.multiply(EXACT.multiply(held, one.amount), one.multiplier))

    def _fill(self, fill: Filled) -> None:
        cost = EXACT.multiply(EXACT.multiply(fill.quantity, fill.price), fill.multiplier)
        self._pay(fill.key.currency, less(Decimal(0), EXACT.add(cost, fill.fee)))
        held, left = self.lots.get(fill.key, []), fill.quantity
        while held and left and (held[0].quantity > 0) != (left > 0):
            oldest = held[0]
            if abs(left) >= abs(oldest.quantity):
                held, left = held[1:], EXACT.add(left, oldest.quantity)
            else:
                held, left = [oldest._replace(quantity=EXACT.add(oldest.quantity, left)), *held[1:]], Decimal(0)
        if left:
            held = [*held, Lot(plain(left), fill.price, fill.at, fill.row_id)]
        self.lots[fill.key] = held

    def _pay(self, currency: str, amount: Decimal) -> None:
        self.cash[currency] = EXACT.add(self.cash.get(currency, Decimal(0)), amount)


class Netted(NamedTuple):
    """What an account holds of a symbol over all strategies.

    Attributes:
        symbol, currency: of the instrument.
        lots: open long lots, the oldest first; empty where it is short.
        short: units held short, above 0; 0 where it is long.
        opposed: units that strategies hold against each other, above 0; an account holds only the difference.
    """

    symbol: str
    currency: str
    lots: tuple[Lot, ...]
    short: Decimal
    opposed: Decimal


def netted(lots: "dict[Key, list[Lot]]") -> list[Netted]:
    """Return the positions of an account by symbol and currency: strategies that oppose each other are set off, oldest lots first."""
    by_symbol: dict[tuple[str, str], list[Lot]] = {}
    for key in sorted(lots):
        by_symbol.setdefault((key.symbol, key.currency), []).extend(lots[key])
    found = []
    for (symbol, currency), mixed in sorted(by_symbol.items()):
        longs = sorted((lot for lot in mixed if lot.quantity > 0), key=lambda lot: (lot.opened_at, lot.lot_id))
        sold = total(-lot.quantity for lot in mixed if lot.quantity < 0)
        bought = total(lot.quantity for lot in longs)
        if not longs and not sold:
            continue
        left, kept = sold, []
        for lot in longs:
            taken = min(lot.quantity, left)
            left = less(left, taken)
            if lot.quantity > taken:
                kept.append(lot._replace(quantity=less(lot.quantity, taken)))
        if kept or left:
            found.append(Netted(symbol, currency, tuple(kept), left, min(sold, bought)))
    return found
