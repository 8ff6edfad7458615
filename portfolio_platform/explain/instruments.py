"""Why a workflow traded, or did not: the chain from the screener's pass to the outcome, each link with its time and event.

Everything is found by replaying the workflow's own stream; what can be worked out again is, and is compared: the screener's pass from the
bars, the decision from the control plane's log, the state from its events.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from portfolio_platform.control.views import instant, money, share
from portfolio_platform.errors import PortfolioError, WrongUse
from portfolio_platform.explain.decisions import decision
from portfolio_platform.explain.sources import Sources
from portfolio_platform.explain.tree import Draft, Node, grown, listing
from portfolio_platform.home import Home
from portfolio_platform.instruments import model
from portfolio_platform.instruments.features import value
from portfolio_platform.instruments.state import Asked, InstrumentState, Setup
from portfolio_platform.instruments.store import InstrumentLog, history, symbols_of, workflow_machine
from portfolio_platform.instruments.triggers import bars_of, met
from portfolio_platform.paper.record import read_record
from portfolio_platform.paper.views import (
    chosen_portfolio,
    condition_words,
    digits_of,
    ordered_words,
    price,
    r_words,
    readable,
    rule_words,
)

DEPTH, ROWS = 6, 40


@dataclass(frozen=True)
class Step:
    """One event of a stream: its version, itself, and the state before and after it."""

    version: int
    event: Any
    before: InstrumentState
    after: InstrumentState

    @property
    def words(self) -> str:
        """Return its time and its version."""
        return f"{instant(self.event.at)}, version {self.version}"


@dataclass
class Chain:
    """What a replay found of one setup, or of a boundary at which nothing was armed.

    Attributes:
        state: at the end of the stream.
        events: how many there are.
        suggested: the screener's word in force then.
        planned: the plan in force then.
        boundary: the close at which the thesis was looked at.
        activated: the close at which it was activated, or its end without.
        envelope: the newest envelope before.
        decided: the control plane's answer.
        fills: of its orders.
        ended: the event with which the trade's outcome is recorded.
    """

    state: InstrumentState = field(default_factory=InstrumentState)
    events: int = 0
    suggested: Step | None = None
    planned: Step | None = None
    boundary: Step | None = None
    activated: Step | None = None
    envelope: Step | None = None
    decided: Step | None = None
    fills: list[Step] = field(default_factory=list)
    ended: Step | None = None


def why_instrument(home: Home, portfolio: str | None, symbol: str, setup: int = 0, *, none: bool = False) -> Node:
    """Return the tree under a workflow's newest entry, or that of a number, or with ``none`` its newest close without one.

    Raises:
        WrongUse: there is no such workflow, or no such setup.
    """
    with home.book.reading() as connection:
        name = chosen_portfolio(connection, portfolio)
        if symbol not in symbols_of(connection, name):
            raise WrongUse(f"{name} has no workflow of {symbol!r}; it has: {', '.join(symbols_of(connection, name))}")
        state = InstrumentLog(home.book).load(connection, name, [symbol])[symbol].state
        number = setup or (0 if none else state.setups)
        if number > state.setups:
            raise WrongUse(f"{name} {symbol} has armed {state.setups} theses; there is no number {number}")
        identity = f"{name}:{symbol}:{number}" if number else ""
        chain = trace(steps(history(connection, name, symbol)), identity)
    return grown(_draft(home, name, symbol, identity, chain, state), DEPTH, ROWS)


def steps(events: Iterator[tuple[int, Any]]) -> Iterator[Step]:
    """Yield every event of a stream with the states around it."""
    machine = workflow_machine()
    state = machine.initial
    for version, event in events:
        after = machine.step(state, event)[0]
        yield Step(version, event, state, after)
        state = after


def trace(found: Iterator[Step], identity: str) -> Chain:
    """Return the chain of a setup; of the newest boundary that armed nothing where no id is given."""
    chain, word, plan, envelope = Chain(), None, None, None
    for step in found:
        event, after = step.event, step.after
        chain.state, chain.events = after, step.version
        told = isinstance(event, model.Started | model.ScreenerUpdate)
        word = step if told and event_template(event) else word
        plan = step if isinstance(event, model.PlanProvided) and after.plan is not step.before.plan else plan
        envelope = step if isinstance(event, model.EnvelopeIssued) else envelope
        if not identity:
            if _declined(step):
                chain.boundary, chain.suggested, chain.planned, chain.envelope = step, word, plan, envelope
            continue
        armed = after.setup is not None and after.setup.setup_id == identity
        was = step.before.setup is not None and step.before.setup.setup_id == identity
        if armed and not was:
            chain.boundary, chain.suggested, chain.planned = step, word, plan
        activated = was and isinstance(event, model.CandleClosed) and (not armed or bool(_setup(after).activated_at))
        if activated and chain.activated is None:
            chain.activated, chain.envelope = step, envelope
        if isinstance(event, model.AllocationDecided) and event.intent_id == f"{identity}:intent":
            chain.decided = step
        if isinstance(event, model.FillReported) and event.order_id.startswith(f"{identity}:"):
            chain.fills.append(step)
        if _outcome(after, identity) is not None and _outcome(step.before, identity) is None:
            chain.ended = step
    return chain


def event_template(event: Any) -> str:
    """Return the template that an event suggests."""
    return str(event.config.template if isinstance(event, model.Started) else event.template)


def _declined(step: Step) -> bool:
    looked = isinstance(step.event, model.CandleClosed | model.PlanProvided)
    return looked and step.after.phase == "idle" and bool(step.after.declined) and step.after.setup is None and _looked(step)


def _looked(step: Step) -> bool:
    if isinstance(step.event, model.PlanProvided):
        return step.before.wanted is not None and bool(step.before.wanted.closed)
    return step.after.declined is not step.before.declined


def _setup(state: InstrumentState) -> Setup:
    assert state.setup is not None
    return state.setup


def _outcome(state: InstrumentState, identity: str) -> model.Outcome | None:
    return next((one for one in state.outcomes if one.trade_id == identity), None)


def _draft(home: Home, portfolio: str, symbol: str, identity: str, chain: Chain, stored: InstrumentState) -> Draft:
    title = identity or f"{portfolio}:{symbol}, no thesis"
    text, words = _verdict(chain, identity)
    parts: list[Callable[[], Draft | None]] = [
        lambda: _screened(home, portfolio, symbol, chain),
        lambda: _planned(chain),
        lambda: _thesis(chain),
        lambda: _activation(chain),
        lambda: _contract(chain),
        lambda: _asked(chain, identity),
        lambda: _envelope(chain),
        lambda: _decision(home, portfolio, identity, chain),
        lambda: _fills(chain),
        lambda: _ended(chain, identity),
        lambda: _now(chain),
        lambda: _again(chain, stored),
    ]
    return Draft(title, identity or None, text, words, parts=lambda: [one for make in parts if (one := make()) is not None])


def _verdict(chain: Chain, identity: str) -> tuple[str, str]:
    """Return what it came to, and in words."""
    if not identity:
        said = chain.boundary.after.declined if chain.boundary is not None else "no policy boundary was reached yet"
        return "no entry", readable(said)
    ended = _outcome(chain.ended.after, identity) if chain.ended is not None else None
    if ended is not None:
        return (
            f"{ended.direction}, {r_words(ended.r_ppm)}",
            f"{ended.exit} after {ended.bars} closes; {ended.playbook} in {ended.regime or '?'}",
        )
    ask = _ask(chain, identity)
    if ask is not None:
        return ("entered" if chain.fills else "no entry"), ordered_words(ask.became or "asked", digits_of(chain.state))
    if chain.activated is not None:
        return "no entry", f"the thesis ended: {chain.activated.after.phase.replace('_', ' ')}"
    return "armed", "waits for its activation"


def _ask(chain: Chain, identity: str) -> Asked | None:
    places = (chain.state, *(one.after for one in (chain.ended, chain.decided, chain.activated) if one is not None))
    found = (ask for state in places for ask in state.asks if ask.intent_id == f"{identity}:intent")
    return next(found, None)


def _screened(home: Home, portfolio: str, symbol: str, chain: Chain) -> Draft | None:
    step = chain.suggested
    if step is None:
        return Draft("screener", text="nothing suggested")
    event = step.event
    started = isinstance(event, model.Started)
    pass_id = event.config.screener_run_id if started else event.pass_id
    rank = "" if started else f"rank {event.rank}, score {share(event.score_ppm)}, "
    return Draft(
        "screener",
        pass_id,
        event_template(event).replace("_", " "),
        f"{rank}pass {pass_id}; {step.words}",
        parts=lambda: [_pass(home, portfolio, symbol, event.at, pass_id)],
    )


def _pass(home: Home, portfolio: str, symbol: str, at: int, pass_id: str) -> Draft:
    """Work the screener's pass out again from the bars and say whether it is the one that was recorded."""
    from portfolio_platform.instruments.screener import ScreenerTerms, screen
    from portfolio_platform.paper.market import read_market

    with home.book.reading() as connection:
        opened = read_record(connection, portfolio, until=1).opened
    if opened is None:
        return Draft("worked out again", text="not by us", words="no paper run of ours began this workflow")
    if dict(opened.options).get("screener") != repr(ScreenerTerms()):
        return Draft("worked out again", text="not done", words="the run had terms of the screener of its own")
    try:
        market = read_market(home, opened.universe, {}, opened.currency)
    except PortfolioError as error:
        return Draft("worked out again", text="not possible", words=str(error))
    again = screen(market.universe.until(at), at, ScreenerTerms())
    row = next((one for one in again.rows if one.symbol == symbol), None)
    same = again.pass_id == pass_id
    words = "" if row is None else f"compression {share(row.compression)}, expansion {share(row.expansion)}, {row.why}"
    features = [Draft(name, found, "no value" if found is None else share(found)) for name, found in (row.features if row else ())]
    return Draft("worked out again", same, "equal" if same else f"DIFFERS: {again.pass_id}", words, parts=lambda: features)


def _planned(chain: Chain) -> Draft | None:
    step = chain.planned
    if step is None:
        return Draft("plan", text="none yet")
    plan = step.after.plan
    if plan is None:
        return Draft("plan", text="none", words=f"{step.event.reason}; {step.words}")
    exits = f"stop {rule_words(plan.stop)}; target {rule_words(plan.target)}; time {plan.time_exit_bars} closes"
    words = f"{plan.playbook} {plan.version} for {plan.template}, day {plan.day}; {step.words}"
    return Draft("plan", plan.plan_id, plan.plan_id[:17], words, parts=lambda: [Draft("exits", text=exits)])


def _thesis(chain: Chain) -> Draft | None:
    step = chain.boundary
    if step is None:
        return None
    plan, after = step.after.plan, step.after
    label = after.setup.regime if after.setup is not None else ""
    said = f"armed {after.setup.direction}" if after.setup is not None else f"not armed: {readable(after.declined)}"
    regime = f"in {label}; " if label else ""
    stage = plan.thesis if plan is not None else ()
    return Draft("thesis", text=said, words=f"{regime}{step.words}", parts=lambda: _conditions(stage, after, ""))


def _activation(chain: Chain) -> Draft | None:
    step = chain.activated
    if step is None:
        return None
    plan, setup = step.before.plan, _setup(step.before)
    happened = step.after.setup is not None and step.after.setup.activated_at
    spent = next((one for one in step.after.asks if one.intent_id == setup.intent_id), None)
    said = "activated" if happened or spent is not None else step.after.phase.replace("_", " ")
    if said == "cooldown":
        said = "ended without" if step.after.totals.activations == step.before.totals.activations else "not qualified"
    stage = () if plan is None else plan.activation if said != "invalidated" else plan.invalidation
    words = f"after {setup.bars + 1} closes; {step.words}"
    return Draft("activation", text=said, words=words, parts=lambda: _conditions(stage, step.after, setup.direction))


def _conditions(stage: Any, state: InstrumentState, direction: str) -> list[Draft]:
    """Return each condition of a stage with the value that it met, of one direction where it is given."""
    found = []
    for side, trigger in stage:
        if direction not in ("", side):
            continue
        for one in trigger.conditions:
            seen = value(one.feature, bars_of(state.windows, trigger.timeframe))
            holds = seen is not None and met(one, seen)
            text = condition_words(one, seen, known=True)
            found.append(Draft(f"{side} {trigger.timeframe}", seen, f"{text}: {'holds' if holds else 'does not hold'}"))
    return found


def _contract(chain: Chain) -> Draft | None:
    states = [one.after for one in (chain.activated, chain.decided) if one is not None]
    contract = next((one.setup.contract for one in states if one.setup is not None and one.setup.contract is not None), None)
    plan = chain.planned.after.plan if chain.planned is not None else None
    if contract is None or plan is None:
        return None
    least = max(plan.minimum_r_ppm, chain.state.config.limits.minimum_r_ppm if chain.state.config is not None else 0)
    text = f"{share(contract.reward_ppm)} R against at least {share(least)}" if contract.target else "no target"
    target = price(contract.target) if contract.target else "none"
    words = f"price {price(contract.price)}, stop {price(contract.stop)}, target {target}, {contract.bars} closes"
    return Draft("R gate and exit contract", contract.reward_ppm, text, words)


def _asked(chain: Chain, identity: str) -> Draft | None:
    ask = _ask(chain, identity) if identity else None
    if ask is None:
        return None
    digits = digits_of(chain.state)
    bounds = f"; less because of {', '.join(ask.bounds)}" if ask.bounds else ""
    words = f"wanted {money(ask.wanted_risk, digits)}{bounds}; {instant(ask.at)}"
    return Draft("intent", ask.requested_risk, f"{money(ask.requested_risk, digits)} at risk", words, ask.intent_id)


def _envelope(chain: Chain) -> Draft | None:
    step = chain.envelope
    if step is None:
        return None
    one, digits = step.event.envelope, digits_of(chain.state)
    flat = ", flatten only" if one.force_flatten_only else ""
    text = f"version {one.version}: {one.portfolio_mode}{flat}, new risk at most {money(one.max_new_risk, digits)}"
    return Draft("envelope in force", one.version, text, f"binds: {one.binding}; until {instant(one.expires_at)}; told {step.words}")


def _decision(home: Home, portfolio: str, identity: str, chain: Chain) -> Draft | None:
    step = chain.decided
    if step is None:
        return None
    event, digits = step.event, digits_of(chain.state)
    text = f"{event.code}, {money(event.approved_risk, digits)}"
    words = f"{'; '.join(event.reasons) or 'every limit had room'}; {step.words}"

    def under() -> list[Draft]:
        try:
            return [decision(Sources(home), f"{identity}:intent", portfolio)]
        except WrongUse as error:
            return [Draft("in the control plane's log", text="none", words=str(error))]

    return Draft("decision", event.approved_risk, text, words, parts=under)


def _fills(chain: Chain) -> Draft | None:
    if not chain.fills:
        return None

    def rows() -> Iterator[Draft]:
        for step in chain.fills:
            one = step.event
            purpose = one.order_id.rpartition(":")[2]
            fee = money(one.fee, digits_of(chain.state))
            text = f"{one.side} {price(one.quantity)} at {price(one.price)}"
            yield Draft(purpose, one.quantity, text, f"fee {fee}, {price(one.left)} left; {step.words}", one.execution_id)

    return listing("orders and fills", rows)


def _ended(chain: Chain, identity: str) -> Draft | None:
    step = chain.ended
    one = _outcome(step.after, identity) if step is not None else None
    if step is None or one is None:
        return None
    words = f"{one.exit} after {one.bars} closes, {money(one.pnl_minor, digits_of(chain.state))} after fees; {step.words}"
    return Draft("outcome", one.r_ppm, r_words(one.r_ppm), words)


def _now(chain: Chain) -> Draft:
    from portfolio_platform.instruments.workflow import query

    view = query(chain.state)
    return Draft("now", text=view.phase.replace("_", " "), words=f"waits for {readable(view.waits_for)}; version {chain.events}")


def _again(chain: Chain, stored: InstrumentState) -> Draft:
    same = chain.state == stored
    words = f"all {chain.events:,} events from the first, against the state that is kept"
    return Draft("replayed", same, "equal" if same else "DIFFERS", words)
