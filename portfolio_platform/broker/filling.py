"""What a closed bar does to the orders of its symbol: fills, exits that are born of fills, orders that end."""

from typing import NamedTuple

from portfolio_platform.broker.matching import Match, eligible, match, rank, reached
from portfolio_platform.broker.model import Bar, Changed, Event, Filled, Ignored, Kind, Order
from portfolio_platform.broker.placing import EXIT, Answer, ended, notional_of, rested
from portfolio_platform.broker.state import BrokerState, Working
from portfolio_platform.broker.terms import MILLION, BrokerTerms


def barred(terms: BrokerTerms, state: BrokerState, bar: Bar) -> Answer:
    """Hold the open orders of a symbol against its newly closed bar; a bar that is known or came too late changes nothing."""
    last = state.bars.get(bar.symbol)
    if last is not None and bar.ts <= last.ts:
        return state, () if bar == last else (Ignored(bar.ts, f"bar {bar.symbol}", f"it is not after the one at {last.ts}"),)
    if min(bar.open, bar.high, bar.low, bar.close) <= 0 or bar.opens_at >= bar.ts:
        return state, (Ignored(bar.ts, f"bar {bar.symbol}", "a price is not positive, or it closes before it opens"),)
    # a range that does not hold its own open and close is widened: such bars are in real files
    prices = (bar.open, bar.high, bar.low, bar.close)
    session = _Session(terms, bar._replace(high=max(prices), low=min(prices)), state._replace(bars=state.bars.set(bar.symbol, bar)))
    return session.run()


class _Take(NamedTuple):
    """How much of an order a bar fills; 0 with a reason ends the order, 0 without one leaves it."""

    quantity: int
    reason: str = ""


class _Session:
    """One bar at work: the state as it becomes, and what happened."""

    def __init__(self, terms: BrokerTerms, bar: Bar, state: BrokerState) -> None:
        self.terms, self.bar, self.state = terms, bar, state
        self.events: list[Event] = []
        self.stopped: set[str] = set()
        self.volume = None if bar.volume is None or not terms.participation else bar.volume * terms.participation // MILLION

    def run(self) -> Answer:
        self._expire(self.bar.opens_at)
        done: set[str] = set()
        while True:
            # exits may be born on the way, so that the next one is looked for each time
            waiting = [
                one for one in self.state.open_orders(self.bar.symbol) if one.order.client_order_id not in done and eligible(one, self.bar)
            ]
            if not waiting:
                break
            working = min(waiting, key=rank)
            done.add(working.order.client_order_id)
            found = match(working, self.bar)
            if found is not None and not (working.order.kind == "target" and working.order.group in self.stopped):
                self._meet(working, found)
        self._expire(self.bar.ts)
        return self.state, tuple(self.events)

    def _expire(self, by: int) -> None:
        for one in self.state.open_orders(self.bar.symbol):
            if one.order.expires_at and one.order.expires_at <= by:
                self._end(one, "expired", "its time was over")

    def _end(self, working: Working, as_what: str, reason: str) -> None:
        self.state, events = ended(self.state, working, "expired" if as_what == "expired" else "cancelled", self.bar.ts, reason)
        self.events += events

    def _meet(self, working: Working, found: Match) -> None:
        order = working.order
        if order.kind == "stop" and not working.triggered:
            working = working._replace(triggered=True)
            self.state = self.state._replace(orders=self.state.orders.set(order.client_order_id, working))
        if order.kind == "stop" and order.group:
            self.stopped.add(order.group)
        take = self._take(working)
        if take.quantity:
            price = self._price(order, found)
            take = self._affordable(order, price, take)
            if take.quantity:
                self._fill(working, found, price, take.quantity)
                return
        if take.reason:
            self._end(working, "cancelled", take.reason)

    def _take(self, working: Working) -> _Take:
        """Return how much of an order there is to fill: what is left of it, of its group, of the position, of the bar's volume."""
        order, left = working.order, working.left
        if order.group:
            group = self.state.groups[order.group]
            left = min(left, group.size - group.filled)
        account = self.state.accounts[order.account]
        if order.reduces or (account.kind == "cash" and order.side == "sell"):
            held = self.state.held(order.account, order.labels.strategy, order.symbol)
            left = min(left, max(0, -held * order.sign))
        if left <= 0:
            return _Take(0, "there is nothing left to reduce")
        share = self._partial_share(order)
        take = left if share >= MILLION else max(left * share // MILLION, 0)
        if self.volume is not None:
            take = min(take, self.volume)
        return _Take(take if take == left else take - take % order.lot)

    def _partial_share(self, order: Order) -> int:
        name, terms = order.client_order_id, self.terms
        injected = terms.injected("partial", name, order.symbol)
        if injected is not None:
            return injected.share
        if not terms.happens(terms.partial, "partial", name, self.bar.ts):
            return MILLION
        span = MILLION - terms.partial_least
        return terms.partial_least + terms.draw("share", name, self.bar.ts) * span // MILLION

    def _price(self, order: Order, found: Match) -> int:
        """Return the price with slippage, which is that of orders at the market; a limit or a target gets its price."""
        if order.kind in ("limit", "target"):
            return found.price
        terms, name = self.terms, order.client_order_id
        injected = terms.injected("slippage", name, order.symbol)
        spread = terms.draw("slippage", name, self.bar.ts) * terms.slippage_spread // MILLION
        return terms.slipped(found.price, order.sign, terms.slippage + spread + (injected.share if injected is not None else 0))

    def _affordable(self, order: Order, price: int, take: _Take) -> _Take:
        account = self.state.accounts[order.account]
        if account.kind != "cash":
            return take
        cost = notional_of(self.terms, order, price, take.quantity)
        paid = cost + self.terms.fee_of(cost) if order.side == "buy" else self.terms.fee_of(cost) - cost
        return take if paid <= account.cash else _Take(0, "the account's cash does not pay for it at this price")

    def _fill(self, working: Working, found: Match, price: int, quantity: int) -> None:
        order, bar, state = working.order, self.bar, self.state
        filled = working.filled + quantity
        after = working._replace(filled=filled, state="filled" if filled == order.quantity else "partially_filled")
        notional = notional_of(self.terms, order, price, quantity)
        fee = self.terms.fee_of(notional)
        account = state.accounts[order.account]
        key = (order.account, order.labels.strategy, order.symbol)
        held = state.positions.get(key, 0) + order.sign * quantity
        self.state = state._replace(
            accounts=state.accounts.set(order.account, account._replace(cash=account.cash - order.sign * notional - fee)),
            positions=state.positions.set(key, held)
            if held
            else state.positions.delete(key)
            if key in state.positions
            else state.positions,
            orders=state.orders.set(order.client_order_id, after),
        )
        if self.volume is not None:
            self.volume -= quantity
        self.events.append(
            Filled(
                at=bar.ts,
                execution_id=f"{order.client_order_id}@{bar.ts}",
                client_order_id=order.client_order_id,
                account=order.account,
                symbol=order.symbol,
                side=order.side,
                quantity=quantity,
                price=price,
                reference=found.price,
                fee=fee,
                notional=notional,
                before=working.state,
                after=after.state,
                left=after.left,
                phase=found.phase,
                ambiguous=order.kind == "stop" and found.phase == "range" and self._holds_target(order),
                decided_at=order.decided_at,
                labels=order.labels,
            )
        )
        if after.state == "filled":
            # the fill has said so: the state that it names is the final one
            self.state = ended(self.state, after, "filled", bar.ts, "filled")[0]
        self._shared(order, quantity)
        self._protected(order, quantity, found)

    def _holds_target(self, order: Order) -> bool:
        others = (one for one in self.state.open_orders(order.symbol) if order.group and one.order.group == order.group)
        extreme = self.bar.high if order.side == "sell" else self.bar.low
        return any(one.order.kind == "target" and one.born != self.bar.ts and reached(one, extreme) for one in others)

    def _shared(self, order: Order, quantity: int) -> None:
        """Take a fill out of what the group has left; where that is nothing, its other orders end."""
        if not order.group:
            return
        group = self.state.groups[order.group]
        group = group._replace(filled=group.filled + quantity)
        self.state = self.state._replace(groups=self.state.groups.set(order.group, group))
        if group.filled < group.size:
            return
        for one in self.state.open_orders(order.symbol):
            if one.order.group == order.group and one.order.client_order_id != order.client_order_id:
                self._end(one, "cancelled", f"{order.client_order_id} filled what they share")
        last = self.state.orders[order.client_order_id]
        if last.is_open:
            self._end(last, "cancelled", "the rest was filled by its group")

    def _protected(self, order: Order, quantity: int, found: Match) -> None:
        """Place the exits that an order carries for what was filled, or enlarge those of its earlier fills."""
        exits: list[tuple[Kind, int]] = [("stop", order.exit_stop), ("target", order.exit_target)]
        for kind, price in exits:
            if price:
                self._exit(order, kind, price, quantity, self.bar.ts if found.phase == "range" else 0)

    def _exit(self, entry: Order, kind: Kind, price: int, quantity: int, born: int) -> None:
        name = f"{entry.client_order_id}{EXIT}{kind}"
        known = self.state.orders.get(name)
        if known is not None and known.is_open:
            larger = known._replace(order=known.order._replace(quantity=known.order.quantity + quantity), born=born)
            self.state = self.state._replace(orders=self.state.orders.set(name, larger))
            self._enlarged(larger.order, quantity)
            return
        if known is not None:
            # the earlier part is out already: this one has exits of its own
            name = f"{name}@{self.bar.ts}"
        exit_order = Order(
            client_order_id=name,
            account=entry.account,
            symbol=entry.symbol,
            side="sell" if entry.side == "buy" else "buy",
            kind=kind,
            quantity=quantity,
            decided_at=entry.decided_at,
            price=price,
            group=f"{entry.client_order_id}/exit" if known is None else f"{entry.client_order_id}/exit@{self.bar.ts}",
            reduces=True,
            lot=entry.lot,
            labels=entry.labels._replace(decision_price=price),
        )
        self.state = rested(self.state, exit_order, self.bar.ts, born=born)
        self.events.append(Changed(self.bar.ts, name, entry.symbol, "new", "accepted", f"exit of {entry.client_order_id}"))

    def _enlarged(self, order: Order, quantity: int) -> None:
        group = self.state.groups[order.group]
        if order.quantity > group.size:
            # what of the group is out already stays out: it grows by the new part
            self.state = self.state._replace(groups=self.state.groups.set(order.group, group._replace(size=group.size + quantity)))
