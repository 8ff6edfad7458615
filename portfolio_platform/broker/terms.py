"""The terms of a paper broker: what trading costs and what goes wrong, drawn from a seed or written out.

A draw depends on the seed and on what it is drawn for alone, not on how many were drawn before it: what happens to one symbol changes
nothing of another.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

MILLION = 1_000_000
Trouble = Literal["reject", "fail", "unanswered", "partial", "slippage"]


@dataclass(frozen=True)
class Injection:
    """Something that goes wrong on purpose.

    Attributes:
        kind: ``reject`` (the broker says no), ``fail`` (it cannot be reached), ``unanswered`` (the order stays new and never fills),
            ``partial`` (a fill takes only ``share`` of what is left), ``slippage`` (``share`` on top, adverse).
        client_order_id: of which order; empty for any.
        symbol: of which symbol; empty for any.
        times: for ``fail``: how many attempts fail; 0 for all.
        share: parts per million.
        reason: what the broker says.
    """

    kind: Trouble
    client_order_id: str = ""
    symbol: str = ""
    times: int = 0
    share: int = 0
    reason: str = "injected"


@dataclass(frozen=True)
class BrokerTerms:
    """What trading costs and what goes wrong; the rates of what goes wrong are parts per million of the cases.

    Attributes:
        seed: of every draw.
        digits: decimals of the currency's minor unit.
        slippage: adverse, of the price, for orders at the market and stops; parts per million (100 are one basis point).
        slippage_spread: up to so much on top, drawn for each fill.
        fee: of the notional, parts per million.
        fee_minimum: of each fill, minor units.
        participation: the most that all fills of a bar take of its volume; 0 for no limit.
        partial: how often a fill is partial though the volume would do.
        partial_least: the least share of what is left that such a fill takes; the most is the whole.
        reject: how often an order is rejected.
        fail: how often the broker cannot be reached.
        unanswered: how often an order stays new.
        tick: a price with slippage is a multiple of this, rounded to the worse; units of 1e-18.
        restricted: symbols that no order may buy.
        injections: what goes wrong on purpose.
    """

    seed: int = 0
    digits: int = 2
    slippage: int = 0
    slippage_spread: int = 0
    fee: int = 0
    fee_minimum: int = 0
    participation: int = 0
    partial: int = 0
    partial_least: int = 100_000
    reject: int = 0
    fail: int = 0
    unanswered: int = 0
    tick: int = 10**14
    restricted: frozenset[str] = frozenset()
    injections: tuple[Injection, ...] = ()

    def draw(self, purpose: str, *about: object) -> int:
        """Return a number below a million that is the same each time for the same seed, purpose and subject."""
        text = "\x1f".join([str(self.seed), purpose, *map(str, about)])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % MILLION

    def happens(self, rate: int, purpose: str, *about: object) -> bool:
        """Say whether something that happens at a rate happens here."""
        return rate > 0 and self.draw(purpose, *about) < rate

    def injected(self, kind: Trouble, client_order_id: str, symbol: str) -> Injection | None:
        """Return the first thing of a kind that was written out for an order."""
        for one in self.injections:
            if one.kind == kind and one.client_order_id in ("", client_order_id) and one.symbol in ("", symbol):
                return one
        return None

    def slipped(self, reference: int, sign: int, share: int) -> int:
        """Return a price that is worse by a share of it, in whole ticks; the reference itself where the share is 0.

        Args:
            reference: units of 1e-18, positive.
            sign: 1 for a purchase, -1 for a sale.
            share: parts per million.
        """
        if not share:
            return reference
        worse = reference * (MILLION + sign * min(share, MILLION - 1))
        whole = MILLION * self.tick
        ticks = -(-worse // whole) if sign > 0 else worse // whole
        return ticks * self.tick or min(reference, self.tick)

    def fee_of(self, notional: int) -> int:
        """Return the fee of a fill in minor units, rounded up."""
        return max(self.fee_minimum, -(-abs(notional) * self.fee // MILLION))
