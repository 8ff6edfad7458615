"""From an armed thesis to an entry at the broker: activation, exit contract, signal, request, answer, order.

The setup is spent by whatever becomes of its activation: refused, blocked and unqualified ones go to cooldown like a trade, so that one
thesis asks once.
"""

from portfolio_platform.broker.model import Order
from portfolio_platform.control.model import PortfolioIntent
from portfolio_platform.instruments.emission import emit, snapshot_of, trigger_id
from portfolio_platform.instruments.exits import contract_of, sign_of
from portfolio_platform.instruments.flow import Flow
from portfolio_platform.instruments.model import AllocationDecided, Plan, RequestAllocation
from portfolio_platform.instruments.regime import label_of
from portfolio_platform.instruments.sizing import Wish, granted, value_of, wish
from portfolio_platform.instruments.state import Asked, Contract, InstrumentState, WorkflowTerms
from portfolio_platform.instruments.triggers import bars_of


def equity_of(terms: WorkflowTerms, state: InstrumentState) -> int:
    """Return what sizes are shares of, minor units."""
    return state.envelope.equity if state.envelope is not None else terms.equity


def refusal(terms: WorkflowTerms, state: InstrumentState, at: int) -> str:
    """Say what forbids to open anything now; empty where nothing does. What is held may always be left."""
    envelope = state.envelope
    if state.stopping:
        return "stopping"
    if at < state.blocked_until:
        return "operator_block"
    if envelope is None:
        return "no_envelope" if terms.requires_envelope else ""
    if envelope.force_flatten_only:
        return "flatten_only"
    if envelope.portfolio_mode == "risk_off":
        return "risk_off"
    return "envelope_expired" if at >= envelope.expires_at else ""


def activate(flow: Flow, plan: Plan) -> None:
    """Work the exit contract out, then emit the signal, then ask for risk; or say why there is no trade."""
    state, config = flow.state, flow.config
    bars = bars_of(state.windows, config.timeframes[0])
    setup = flow.setup._replace(
        activated_at=flow.at, regime_at_activation=label_of(state.regime), snapshot=snapshot_of(state, plan, bars[-1])
    )
    flow.state = state._replace(setup=setup)
    flow.count(activations=1)
    contract, fault = contract_of(plan, setup.direction, bars, flow.terms.tick, max(plan.minimum_r_ppm, config.limits.minimum_r_ppm))
    if contract is None:
        emit(flow, Contract(bars[-1].close, 0, 0, plan.time_exit_bars, 0), "not_qualified", fault)
        flow.count(unqualified=1)
        flow.spend("not_qualified")
        return
    flow.state = flow.state._replace(setup=setup._replace(contract=contract))
    wanted = wish(config, plan, flow.state.envelope, equity_of(flow.terms, flow.state), setup.size_ppm, contract.price, contract.stop)
    reason = refusal(flow.terms, flow.state, flow.at) or ("" if wanted.quantity else f"no room: {', '.join(wanted.bounds)}")
    if reason:
        _blocked(flow, contract, wanted, reason)
        return
    emit(flow, contract, "requested")
    _ask(flow, plan, wanted)


def answered(flow: Flow, event: AllocationDecided) -> None:
    """Take the control plane's answer: order what it grants, or spend the setup. An answer nobody waits for is given back."""
    ask = flow.ask_of(event.intent_id)
    if ask is None or ask.answered_at:
        return
    approved = event.code.startswith("approved") and event.approved_risk > 0
    flow.record(
        ask._replace(
            code=event.code,
            got_risk=event.approved_risk if approved else 0,
            got_notional=event.approved_notional,
            answered_at=event.at,
            reasons=event.reasons,
        )
    )
    clipped = approved and event.approved_risk < ask.requested_risk
    flow.count(answered=1, clipped=int(clipped), rejected=int(not approved), got_risk=event.approved_risk if approved else 0)
    setup = flow.state.setup
    if setup is None or setup.intent_id != event.intent_id or not setup.asked:
        if approved:
            flow.release(event.intent_id, "the answer came when nobody waited for it any more")
        return
    flow.state = flow.state._replace(setup=setup._replace(asked=False))
    if not approved:
        _refused(flow, "rejected", event.code)
        return
    contract, plan = setup.contract, flow.state.plan
    assert contract is not None and plan is not None
    reason = _too_late(flow, event, contract) or refusal(flow.terms, flow.state, flow.at)
    quantity = 0
    if not reason:
        levels = (contract.price, contract.stop)
        equity = equity_of(flow.terms, flow.state)
        grant = (event.approved_risk, event.approved_notional)
        quantity = granted(flow.config, plan, flow.state.envelope, equity, ask.requested_risk, grant, levels)
        reason = "" if quantity else "too_small"
    if reason:
        flow.release(event.intent_id, reason)
        _refused(flow, "blocked", reason)
        return
    _order(flow, plan, contract, quantity, event.expires_at)


def withdraw(flow: Flow, cause: str, reason: str) -> None:
    """Drop an armed setup without an order; what was asked for is given up."""
    setup = flow.state.setup
    if setup is not None and setup.asked:
        flow.release(setup.intent_id, reason)
        _disposed(flow, "blocked", reason)
    flow.spend(cause)


def _ask(flow: Flow, plan: Plan, wanted: Wish) -> None:
    setup, config, envelope = flow.setup, flow.config, flow.state.envelope
    flow.record(
        Asked(
            intent_id=setup.intent_id,
            at=flow.at,
            wanted_risk=wanted.wanted_risk,
            requested_risk=wanted.risk,
            requested_notional=wanted.notional,
            bounds=wanted.bounds,
            envelope_version=envelope.version if envelope is not None else 0,
        )
    )
    flow.count(asked=1, asked_risk=wanted.risk)
    flow.state = flow.state._replace(setup=setup._replace(asked=True))
    intent = PortfolioIntent(
        intent_id=setup.intent_id,
        portfolio=config.portfolio,
        strategy=config.strategy,
        symbol=config.symbol,
        side=setup.direction,
        requested_risk=wanted.risk,
        ts=flow.at,
        requested_notional=wanted.notional,
        template=plan.template,
        playbook=plan.playbook,
        regime=setup.regime_at_activation,
    )
    flow.say(RequestAllocation(flow.at, intent))


def _blocked(flow: Flow, contract: Contract, wanted: Wish, reason: str) -> None:
    """Record an activation that was not even asked for: what was wanted, and what forbade it."""
    envelope = flow.state.envelope
    flow.record(
        Asked(
            intent_id=flow.setup.intent_id,
            at=flow.at,
            wanted_risk=wanted.wanted_risk,
            requested_risk=0,
            requested_notional=0,
            bounds=wanted.bounds,
            envelope_version=envelope.version if envelope is not None else 0,
            became=f"not asked: {reason}",
        )
    )
    emit(flow, contract, "blocked", reason)
    flow.count(blocked=1)
    flow.spend("blocked")


def _refused(flow: Flow, disposition: str, reason: str) -> None:
    _disposed(flow, disposition, reason)
    flow.count(blocked=int(disposition == "blocked"))
    flow.spend("rejected")


def _disposed(flow: Flow, disposition: str, reason: str) -> None:
    """Say of the signal and of the ask what became of them."""
    flow.became(flow.setup.intent_id, disposition if disposition == "rejected" else reason)
    contract = flow.setup.contract
    if contract is not None:
        emit(flow, contract, disposition, reason)


def _too_late(flow: Flow, event: AllocationDecided, contract: Contract) -> str:
    """Say why an answer cannot be used any more: its reservation is over, or the last close is beyond stop or target."""
    if event.expires_at and flow.at >= event.expires_at:
        return "late"
    bars = bars_of(flow.state.windows, flow.config.timeframes[0])
    sign, last = sign_of(flow.setup.direction), bars[-1].close
    beyond = (last - contract.stop) * sign <= 0 or (contract.target and (contract.target - last) * sign <= 0)
    return "the market went beyond stop or target meanwhile" if beyond else ""


def _order(flow: Flow, plan: Plan, contract: Contract, quantity: int, expires_at: int) -> None:
    """Place the entry, its exits with it, and say that the signal is taken."""
    setup, config = flow.setup, flow.config
    flow.state = flow.state._replace(setup=setup._replace(ordered=True))
    flow.count(entries=1)
    _disposed(flow, "taken", "")
    risk = value_of(config, abs(contract.price - contract.stop), quantity)
    flow.became(setup.intent_id, f"ordered {quantity} at a risk of {risk}")
    order = Order(
        client_order_id=setup.entry_id,
        account=config.account,
        symbol=config.symbol,
        side="buy" if setup.direction == "long" else "sell",
        kind="market",
        quantity=quantity,
        decided_at=flow.at,
        expires_at=expires_at,
        lot=config.lot,
        exit_stop=contract.stop,
        exit_target=contract.target,
        labels=flow.labels(contract.price, trigger_id(setup, plan)),
    )
    flow.place(order, "entry")
