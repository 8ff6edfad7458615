"""A simulated portfolio under control: strategies, a ledger, a clock and people do things in any order, more than once, too late.

The real batch, rules and reducer run over a log in memory that keeps what the book keeps: bytes, keys, versions. After
every event the invariants of the specification are looked at, against a second bookkeeping (`oracle`).
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson

from portfolio_platform.control.audit import Placed, audit, unreconciled
from portfolio_platform.control.batch import Batch, Known, keys_of
from portfolio_platform.control.events import (
    AllocationDecided,
    FactsStated,
    FillRecorded,
    InstrumentsStated,
    OrderEnded,
    OrderGiven,
    PolicyAdopted,
    PortfolioOpened,
    ReservationEnded,
    Stated,
    decode,
    decode_envelope,
)
from portfolio_platform.control.model import REJECTIONS, PortfolioIntent
from portfolio_platform.control.state import ControlState, Fill, Instrument
from portfolio_platform.control.terms import Facts, Limits, Order
from portfolio_platform.policy.load import default_policy
from tests.simulation.oracle import Oracle

HOUR = 3_600_000_000_000
START = 20_000 * 24 * HOUR + 12 * HOUR
UNIT = 10**18
INSTRUMENTS = {
    "AAA": Instrument("tech", "growth"),
    "BBB": Instrument("tech", "growth"),
    "CCC": Instrument("energy", "value"),
    "DDD": Instrument("energy", "value"),
    "EEE": Instrument("", ""),
}
LIMITS = Limits.of(default_policy())
POLICY = {
    "normal": LIMITS,
    "narrow": Limits(
        **{**{name: getattr(LIMITS, name) for name in LIMITS.__slots__}, "policy_hash": "narrow", "positions": 4, "new_positions": 3}
    ),
}
STRATEGIES, TEMPLATES = ("s", "t", "u"), ("a", "b", "")


class Broken(AssertionError):
    """An invariant did not hold; the message names seed, step and what was done."""


@dataclass
class World:
    """The simulation; every method is something that may happen."""

    now: int = START
    log: list[tuple[str, str, bytes]] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)
    envelopes: dict[tuple[str, int], Any] = field(default_factory=dict)
    state: ControlState = field(default_factory=lambda: ControlState("p"))
    oracle: Oracle = field(default_factory=Oracle)
    said: list[str] = field(default_factory=list)
    asked: dict[str, tuple[PortfolioIntent, Any]] = field(default_factory=dict)
    filled: dict[str, Fill] = field(default_factory=dict)
    caps_in_force: bool = True

    def __post_init__(self) -> None:
        self._do(
            lambda batch: (
                batch.put(PortfolioOpened(self.now, self.now, "USD", 2, False)),
                batch.put(InstrumentsStated(self.now, tuple(sorted(INSTRUMENTS.items())))),
                batch.put(PolicyAdopted(self.now, LIMITS)),
            )
        )
        self.session()

    # what may happen

    def ask(
        self,
        name: str,
        risk: int,
        symbol: str = "AAA",
        strategy: str = "s",
        template: str = "a",
        side: str = "long",
        notional: int | None = 10**6,
    ) -> Any:
        """A strategy asks; asking again with the same content has to get the same answer."""
        bucket = "z" if template == "b" else ""
        intent = PortfolioIntent(name, "p", strategy, symbol, side, risk, self.now, notional, template, template, "", bucket)
        return self._ask(self.asked[name][0] if name in self.asked and risk % 3 else intent)

    def _ask(self, intent: PortfolioIntent) -> Any:
        before = {key: self.oracle.used(*key) for key in self._groups(intent)}
        answer: list[Any] = []
        self._do(lambda batch: answer.append(batch.decide(intent, self._known([intent], []))))
        decision, repeated = answer[0]
        earlier = self.asked.get(intent.intent_id)
        if earlier is None:
            self._require(not repeated, "a new intent was taken for a known one")
            self.asked[intent.intent_id] = (intent, decision)
        elif earlier[0] == intent:
            self._require(repeated and decision == earlier[1], "the same intent got another answer")
        else:
            self._require(decision.code == "rejected_invalid", "an id was used twice and granted")
        if not repeated:
            self._within(intent, decision, before)
        return decision

    def fill(
        self,
        execution: str,
        symbol: str,
        strategy: str,
        quantity: int,
        risk: int | None,
        intent: str = "",
        late: int = 0,
        template: str = "a",
    ) -> None:
        """The ledger reports a fill; reported again, nothing happens."""
        known = self.filled.get(execution)
        one = known or Fill(
            execution, self.now - late, strategy, symbol, quantity * UNIT, abs(quantity) * 1_000, risk, intent, template, template
        )
        new: list[bool] = []
        self._do(lambda batch: new.append(batch.fill(one, self._known([], [one]))))
        self._require(new[0] == (known is None), "a fill was counted twice, or not at all")
        self.filled[execution] = one

    def cancel(self, name: str) -> None:
        """A strategy gives a reservation up."""
        if name in self.state.reservations:
            self._do(lambda batch: name in batch.state.reservations and batch.put(ReservationEnded(batch.now, name, False, "s", "no fill")))
            self._require(name not in self.state.reservations, "a cancelled reservation is still there")

    def pass_time(self, hours: int) -> None:
        """Time goes on, or the clock jumps back; a cycle runs."""
        self.now = max(START - 24 * HOUR, self.now + hours * HOUR)
        self._do(lambda batch: batch.tell(everybody=True))
        alive = [one for one in self.state.reservations.values() if one.expires_at <= self.state.now]
        self._require(not alive, "a reservation outlived its time")
        over = [one for one in self.state.terms.orders.values() if one.until <= self.state.now]
        self._require(not over, "an order outlived its time")

    def session(
        self, equity: int = 10**8, regime: str = "normal", size: int = 1_000_000, moved: int = 0, bucket: str = "", late: int = 0
    ) -> None:
        """The monitor states a session, some time after its end: the positions, their stops moved by a share of their risk."""
        mode = {"normal": "normal", "defensive": "defensive", "risk_off": "risk_off"}[regime]
        at = self.now - late
        positions = tuple(
            Stated(strategy, symbol, one.quantity, max(0, one.risk + one.risk * moved // 100), one.exposure, one.template, one.playbook)
            for (strategy, symbol), one in sorted(self.state.positions.items())
        )
        facts = Facts(equity, 0, regime, mode, size, at, self.state.terms.facts.session + 1, str(at))
        buckets = (("AAA", "x"), ("CCC", bucket or "x"))
        self._do(
            lambda batch: batch.facts(
                FactsStated(batch.now, facts, positions, buckets), f"facts/{at}/{equity}/{regime}/{moved}/{bucket}/{len(self.log)}"
            )
        )

    def order(self, name: str, kind: str, hours: int, **said: Any) -> None:
        """Somebody changes the terms until an end."""
        given = Order(
            f"{name}-{len(self.log)}", kind, "operator", "alice", "because", self.now, max(self.now, self.state.now) + hours * HOUR, **said
        )
        self._do(lambda batch: batch.put(OrderGiven(batch.now, given)))

    def release(self, place: int) -> None:
        """Somebody ends an order."""
        orders = sorted(self.state.terms.orders)
        if orders:
            name = orders[place % len(orders)]
            self._do(lambda batch: name in batch.state.terms.orders and batch.put(OrderEnded(batch.now, name, False, "alice", "over")))
            self._require(name not in self.state.terms.orders, "an ended order is in force")

    def adopt(self, name: str) -> None:
        """The policy changes while it all runs."""
        self._do(lambda batch: batch.put(PolicyAdopted(batch.now, POLICY[name])))

    # what has to hold

    def _do(self, work: Any) -> None:
        """Run a batch as the shell does, keep its bytes, and look at every invariant."""
        batch = Batch(self.state, self.now)
        work(batch)
        batch.tell()
        for event in batch.pending:
            data = orjson.loads(event.encoded) if event.encoded is not None else event.data
            self._require(event.idempotency_key not in self.keys, f"{event.idempotency_key} was written twice")
            self.keys[event.idempotency_key] = len(self.log)
            self.log.append((event.stream, event.type, orjson.dumps(data, option=orjson.OPT_SORT_KEYS)))
            if event.type == "envelope_issued":
                one = decode_envelope(data)
                self.envelopes[one.symbol, one.version] = one
            else:
                self.oracle.saw(decode(event.type, data))
        self.state = batch.state
        self._hold()

    def _hold(self) -> None:
        state, oracle = self.state, self.oracle
        self._require(unreconciled(state) is None, f"sums do not add up: {unreconciled(state)}")
        self._require(state.active_risk == oracle.active, f"active risk {state.active_risk} is not {oracle.active}")
        self._require(state.reserved_risk == oracle.reserved, f"reserved risk {state.reserved_risk} is not {oracle.reserved}")
        self._require(len(state.holders) == oracle.places, f"{len(state.holders)} places are not {oracle.places}")
        self._require(state.opened == oracle.opened_on(state.day), f"{state.opened} opened are not {oracle.opened_on(state.day)}")
        soonest = min((one.expires_at for one in state.reservations.values()), default=0)
        self._require(state.next_expiry == soonest, f"the next end is {soonest}, not {state.next_expiry}")
        begun = {name for names in state.begun.values() for name in names}
        self._require(begun == {name for name, one in state.reservations.items() if one.remaining < one.granted}, "another was begun")
        self._require(all(one.remaining >= 0 for one in state.reservations.values()), "a reservation is negative")
        self._require(all(one.risk >= 0 for one in state.positions.values()), "a position's risk is negative")
        for key in oracle.named() | set(state.used):
            used = state.used.get(key, 0)
            self._require(used == oracle.used(*key), f"{key} uses {used}, not {oracle.used(*key)}")

    def _within(self, intent: PortfolioIntent, decision: Any, before: dict[tuple[str, str], int]) -> None:
        """Caps hold for what was granted: with it, no group is beyond its limit."""
        granted = decision.approved_risk
        terms = self.state.terms
        refused_for_room = decision.code.startswith("rejected_") and decision.code.endswith(
            ("_cap", "_heat", "_count", "_positions", "_ticket")
        )
        self._require(
            not (refused_for_room and (terms.flatten or terms.mode == "risk_off")), "the gravest reason was not the one that was given"
        )
        if refused_for_room and decision.code != "rejected_min_ticket":
            full = [one for one in decision.headrooms if one.limit is not None and one.headroom == 0]
            self._require(bool(full) and REJECTIONS[full[0].rule] == decision.code, "another rule was named than the first that is full")
        if not granted:
            return
        terms, state = self.state.terms, self.state
        self._require(granted <= decision.scaled_risk <= decision.requested_risk, "more was granted than asked for")
        self._require(not terms.flatten and terms.mode != "risk_off", "something new was granted while only reducing was allowed")
        self._require(granted <= intent.requested_risk * terms.multiplier // 1_000_000, "the mode's size was ignored")
        for (rule, scope), used in before.items():
            cap = terms.cap("risk", rule, scope)
            self._require(cap is None or used + granted <= cap.amount, f"{rule} {scope}: {used} and {granted} are beyond {cap}")
        self._require(len(state.holders) <= max(terms.caps["count", "positions"].amount, decision.headrooms[-2].used), "too many positions")
        self._require(decision.at - terms.facts.at <= terms.limits.facts_age, "it was granted on facts that are too old")

    def _groups(self, intent: PortfolioIntent) -> list[tuple[str, str]]:
        labels = self.oracle.joined(
            intent.strategy, intent.symbol, intent.side, intent.template, intent.playbook, intent.correlation_bucket
        )
        return list(self.state.groups(intent.symbol, *labels))

    def finish(self) -> str:
        """Replay the kept bytes from nothing; return a digest of everything that they say."""
        import hashlib

        events = [decode(name, orjson.loads(content)) for stream, name, content in self.log if name != "envelope_issued"]
        found = audit("p", (Placed(number, number, event) for number, event in enumerate(events, start=1)), self.envelopes, every=50)
        self._require(found.fault is None, f"replayed, it differs: {found.fault}")
        self._require(found.state == self.state, "replayed, the state is another")
        return hashlib.sha256(b"\n".join(content for _, _, content in self.log)).hexdigest()

    def _known(self, intents: list[PortfolioIntent], fills: list[Fill]) -> Known:
        decided, filled = {}, {}
        for key in keys_of("p", intents, fills):
            if key in self.keys:
                _, name, content = self.log[self.keys[key]]
                event = decode(name, orjson.loads(content))
                if isinstance(event, AllocationDecided):
                    decided[key] = event
                elif isinstance(event, FillRecorded):
                    filled[key] = event.fill
        return Known(decided, filled)

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            raise Broken(f"{what}; after {len(self.said)} steps, the last: {'; '.join(self.said[-5:])}")


def step(world: World, draw: Random) -> None:
    """Do something that a seed draws."""
    symbol, strategy, template = draw.choice(sorted(INSTRUMENTS)), draw.choice(STRATEGIES), draw.choice(TEMPLATES)
    kind = draw.choices(list(_STEPS), list(_STEPS.values()))[0]
    size = draw.choice([1, 50, 19_999, 20_000, 100_000, 700_000, 2_000_000, 2_000_001, 6_000_000, 10**7])
    world.said.append(f"{kind} {symbol} {strategy} {size}")
    if kind == "ask":
        if world.state.holders and draw.random() < 0.3:  # more of what there is already
            strategy, symbol = draw.choice(sorted(world.state.holders))
        side = draw.choices(["long", "short", "flat", "up"], [10, 6, 2, 1])[0]
        world.ask(f"i{draw.randrange(40)}", size, symbol, strategy, template, side, draw.choice([None, 10**6]))
    elif kind == "fill":
        _draw_fill(world, draw, symbol, strategy, template, size)
    elif kind == "cancel" and world.state.reservations:
        world.cancel(draw.choice(sorted(world.state.reservations)))
    elif kind == "time":
        world.pass_time(draw.choice([0, 1, 6, 24, 24, 97, -5, -48]))
    elif kind == "session":
        regime = draw.choices(["normal", "defensive", "risk_off"], [6, 2, 1])[0]
        share = {"normal": 1_000_000, "defensive": draw.choice([250_000, 500_000]), "risk_off": 0}[regime]
        world.session(
            draw.choice([10**8, 9 * 10**7, 10**6, 0, -(10**6)]), regime, share, draw.choice([0, 0, -30, 40]), draw.choice(["", "y"])
        )
    elif kind == "order":
        what = draw.choice(["mode", "flatten", "heat", "AAA", "positions"])
        if what in ("mode", "flatten"):
            said = {"mode": draw.choice(["normal", "defensive", "risk_off"])} if what == "mode" else {}
            world.order("o", what, draw.choice([1, 24, 100]), **said)
        else:
            rule = "symbol" if what == "AAA" else what
            basis = "count" if what == "positions" else "risk"
            amount = draw.choice([0, 1, 5]) if basis == "count" else draw.choice([0, 10**5, 10**7])
            world.order("o", "cap", draw.choice([1, 24, 100]), rule=rule, scope=what if what == "AAA" else "", basis=basis, amount=amount)
    elif kind == "release":
        world.release(draw.randrange(5))
    elif kind == "policy":
        world.adopt(draw.choice(sorted(POLICY)))


def _draw_fill(world: World, draw: Random, symbol: str, strategy: str, template: str, size: int) -> None:
    """Fill an open reservation (in part, in full, beyond it), close a position, or do what nobody asked for."""
    intent, side = f"i{draw.randrange(60)}", 1
    what = draw.choices(["reserved", "close", "anything"], [5, 4, 2])[0]
    if what == "reserved" and world.state.reservations:
        intent = draw.choice(sorted(world.state.reservations))
        one = world.state.reservations[intent]
        strategy, symbol, side = one.strategy, one.symbol, 1 if one.side == "long" else -1
        size = draw.choice([one.remaining, one.remaining // 2, one.remaining + 5, size])
    elif what == "close" and world.state.positions:
        strategy, symbol = draw.choice(sorted(world.state.positions))
        held, intent = world.state.positions[strategy, symbol].quantity // UNIT, draw.choice(["", intent])
        quantity = draw.choice([-held, -held, -held * 2, -(held // 2) or -held])
        world.fill(f"x{len(world.log)}", symbol, strategy, quantity, draw.choice([None, size]), intent, 0, template)
        return
    name = f"x{draw.randrange(60)}" if draw.random() < 0.3 else f"x{len(world.log)}"
    quantity = side * draw.choice([1, 1, 2, 3, 5, -1])
    world.fill(name, symbol, strategy, quantity, draw.choice([None, 0, size, size]), intent, draw.choice([0, 0, HOUR]), template)


_STEPS = {"ask": 40, "fill": 25, "cancel": 6, "time": 10, "session": 10, "order": 5, "release": 3, "policy": 1}


def run(seed: int, steps: int = 40) -> str:
    """Run one schedule; return the digest of its log. A failure names the seed."""
    draw, world = Random(seed), World()
    try:
        for _ in range(steps):
            step(world, draw)
        return world.finish()
    except Broken as error:
        raise Broken(f"seed {seed}: {error}") from error
