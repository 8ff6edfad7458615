"""Orders as they come: accepted, rejected, repeated, replaced, cancelled. What bars do to them is in `filling`."""

from portfolio_platform.broker.model import (
    KINDS,
    UNIT,
    Cancel,
    CashMoved,
    Changed,
    Event,
    Failed,
    Ignored,
    Order,
    OrderState,
    Place,
    Replace,
    Replaced,
)
from portfolio_platform.broker.state import BrokerState, Group, Working
from portfolio_platform.broker.terms import BrokerTerms

Answer = tuple[BrokerState, tuple[Event, ...]]
EXIT = "/exit-"
"""What the ids of exits hold, which the broker places itself with the fills of an entry."""


def placed(terms: BrokerTerms, state: BrokerState, given: Place) -> Answer:
    """Take an order: accept it, reject it with a reason, or fail to be reached; one that is known already changes nothing."""
    order, name = given.order, given.order.client_order_id
    known = state.orders.get(name)
    if known is not None:
        same = order == (known.asked or known.order)
        return state, () if same else (Ignored(given.at, name, "this id was used for another order; use a new one"),)
    attempts = state.failures.get(name, 0)
    failure = _failure(terms, order, attempts)
    if failure:
        failed = state._replace(failures=state.failures.set(name, attempts + 1))
        return failed, (Failed(given.at, name, order.symbol, failure),)
    refusal = "the id is that of an exit, which the broker gives" if EXIT in name else fault_of(order) or _refusal(terms, state, order)
    if refusal:
        working = Working(order, "rejected", state.number + 1, ended=given.at, reason=refusal)
        after = state._replace(number=working.number, orders=state.orders.set(name, working))
        return after, (Changed(given.at, name, order.symbol, "new", "rejected", refusal),)
    unanswered = terms.injected("unanswered", name, order.symbol) is not None or terms.happens(terms.unanswered, "unanswered", name)
    after = rested(state, order, given.at, "new" if unanswered else "accepted")
    return after, () if unanswered else (Changed(given.at, name, order.symbol, "new", "accepted"),)


def rested(state: BrokerState, order: Order, at: int, as_what: OrderState = "accepted", born: int = 0) -> BrokerState:
    """Return the state with an order among those that rest."""
    name = order.client_order_id
    working = Working(order, as_what, state.number + 1, since=at, born=born)
    state = state._replace(
        number=working.number,
        orders=state.orders.set(name, working),
        resting=state.resting.set(order.symbol, (*state.resting.get(order.symbol, ()), name)),
    )
    return _grouped(state, order)


def ended(state: BrokerState, working: Working, as_what: OrderState, at: int, reason: str) -> Answer:
    """Return the state with an order in a final state, and the event that says so."""
    order = working.order
    left = tuple(name for name in state.resting.get(order.symbol, ()) if name != order.client_order_id)
    resting = state.resting.set(order.symbol, left) if left else state.resting.delete(order.symbol)
    over = working._replace(state=as_what, ended=at, reason=reason)
    state = state._replace(orders=state.orders.set(order.client_order_id, over), resting=resting)
    return state, (Changed(at, order.client_order_id, order.symbol, working.state, as_what, reason),)


def cancelled(state: BrokerState, given: Cancel) -> Answer:
    """Cancel what is unfilled of an order; one that is over stays as it is."""
    working = state.orders.get(given.client_order_id)
    if working is None:
        return state, (Ignored(given.at, given.client_order_id, "there is no such order to cancel"),)
    if not working.is_open:
        if working.state == "cancelled":
            return state, ()
        return state, (Ignored(given.at, given.client_order_id, f"it is {working.state} already and cannot be cancelled"),)
    return ended(state, working, "cancelled", given.at, given.reason)


def replaced(state: BrokerState, given: Replace) -> Answer:
    """Change quantity, price or end of an open order; the quantity counts what is filled already and cannot be below it."""
    working = state.orders.get(given.client_order_id)
    if working is None or not working.is_open:
        what = "there is no such order" if working is None else f"it is {working.state} already"
        return state, (Ignored(given.at, given.client_order_id, f"{what}: nothing to replace"),)
    order = working.order
    wanted = order._replace(
        quantity=order.quantity if given.quantity is None else given.quantity,
        price=order.price if given.price is None else given.price,
        expires_at=order.expires_at if given.expires_at is None else given.expires_at,
    )
    if wanted == order:
        return state, ()
    fault = fault_of(wanted) or ("its quantity would be no more than what is filled" if wanted.quantity <= working.filled else "")
    if fault:
        return state, (Ignored(given.at, given.client_order_id, f"not replaced: {fault}"),)
    wanted = wanted._replace(decided_at=max(given.at, order.decided_at))
    changed = working._replace(order=wanted, asked=working.asked or order)
    state = _grouped(state._replace(orders=state.orders.set(given.client_order_id, changed)), wanted)
    return state, (Replaced(given.at, given.client_order_id, order.symbol, wanted.quantity, wanted.price, wanted.expires_at),)


def moved_cash(state: BrokerState, given: CashMoved) -> Answer:
    """Move money into an account or out of it, once for each id."""
    known = state.moves.get(given.move_id)
    account = state.accounts.get(given.account)
    if known is not None:
        return state, () if known == given.amount else (Ignored(given.at, given.move_id, f"it moved {known} already"),)
    if account is None:
        return state, (Ignored(given.at, given.move_id, f"there is no account {given.account!r}"),)
    if account.kind == "cash" and account.cash + given.amount < 0:
        return state, (Ignored(given.at, given.move_id, f"{given.account} holds {account.cash}, less than is taken"),)
    richer = account._replace(cash=account.cash + given.amount)
    return state._replace(accounts=state.accounts.set(given.account, richer), moves=state.moves.set(given.move_id, given.amount)), ()


def fault_of(order: Order) -> str:
    """Say what is wrong with an order in itself; empty where nothing is."""
    if not order.client_order_id:
        return "it has no client order id"
    if order.side not in ("buy", "sell") or order.kind not in KINDS:
        return f"side {order.side!r} or kind {order.kind!r} is not known"
    if order.quantity <= 0 or order.lot <= 0 or order.quantity % order.lot:
        return f"quantity {order.quantity} is no positive multiple of the lot {order.lot}"
    if order.labels.multiplier <= 0:
        return f"multiplier {order.labels.multiplier} is not positive"
    if (order.kind == "market") != (order.price == 0) or order.price < 0:
        return f"price {order.price} does not go with kind {order.kind!r}: the market has none, the others a positive one"
    if min(order.exit_stop, order.exit_target) < 0:
        return "an exit has a negative price"
    if order.exit_stop and order.exit_target and (order.exit_target - order.exit_stop) * order.sign <= 0:
        return "its exit stop is on the wrong side of its exit target"
    return ""


def _failure(terms: BrokerTerms, order: Order, attempts: int) -> str:
    injected = terms.injected("fail", order.client_order_id, order.symbol)
    if injected is not None and (not injected.times or attempts < injected.times):
        return injected.reason
    return "the broker could not be reached" if terms.happens(terms.fail, "fail", order.client_order_id, attempts) else ""


def _refusal(terms: BrokerTerms, state: BrokerState, order: Order) -> str:
    """Say why a broker refuses an order; the cash is looked at again when it fills."""
    injected = terms.injected("reject", order.client_order_id, order.symbol)
    if injected is not None:
        return injected.reason
    if order.side == "buy" and not order.reduces and order.symbol in terms.restricted:
        return f"{order.symbol} is on the restriction list"
    account = state.accounts.get(order.account)
    if account is None:
        return f"there is no account {order.account!r}"
    if account.kind == "cash" and order.side == "sell" and order.quantity > state.held(order.account, order.labels.strategy, order.symbol):
        return "a cash account sells no more than it holds"
    last = state.bars.get(order.symbol)
    price = order.price or (last.close if last is not None else 0)
    needed = notional_of(terms, order, price, order.quantity)
    if account.kind == "cash" and order.side == "buy" and needed + terms.fee_of(needed) > account.cash:
        return f"insufficient buying power: {needed} and the fee are needed, {account.cash} is there"
    return "rejected by the broker" if terms.happens(terms.reject, "reject", order.client_order_id) else ""


def notional_of(terms: BrokerTerms, order: Order, price: int, quantity: int) -> int:
    """Return price times quantity times multiplier in minor units, halves to even."""
    exact, whole = price * quantity * order.labels.multiplier * int(10**terms.digits), UNIT**3
    low, rest = divmod(exact, whole)
    return low + (rest * 2 > whole or (rest * 2 == whole and low % 2 == 1))


def _grouped(state: BrokerState, order: Order) -> BrokerState:
    if not order.group:
        return state
    group = state.groups.get(order.group) or Group(0)
    return state._replace(groups=state.groups.set(order.group, group._replace(size=max(group.size, order.quantity))))
