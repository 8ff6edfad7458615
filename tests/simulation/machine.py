"""The same world, driven by hypothesis: what breaks is shrunk to the fewest steps that break it."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.simulation.world import HOUR, INSTRUMENTS, POLICY, STRATEGIES, TEMPLATES, World

SYMBOLS = st.sampled_from(sorted(INSTRUMENTS))
STRATEGY, TEMPLATE = st.sampled_from(STRATEGIES), st.sampled_from(TEMPLATES)
RISK = st.one_of(st.integers(1, 10**7), st.sampled_from([19_999, 20_000, 2_000_000, 2_000_001, 6_000_000]))


class ControlMachine(RuleBasedStateMachine):
    """Every rule is something that may happen; the world itself looks at the invariants after each."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @rule(
        name=st.integers(0, 15),
        risk=RISK,
        symbol=SYMBOLS,
        strategy=STRATEGY,
        template=TEMPLATE,
        side=st.sampled_from(["long", "short", "flat"]),
    )
    def ask(self, name, risk, symbol, strategy, template, side):
        self.world.ask(f"i{name}", risk, symbol, strategy, template, side)

    @rule(
        name=st.integers(0, 20),
        symbol=SYMBOLS,
        strategy=STRATEGY,
        quantity=st.integers(-5, 5).filter(bool),
        risk=st.one_of(st.none(), st.integers(0, 3_000_000)),
        intent=st.integers(-5, 20),
        late=st.sampled_from([0, HOUR]),
    )
    def fill(self, name, symbol, strategy, quantity, risk, intent, late):
        self.world.fill(f"x{name}", symbol, strategy, quantity, risk, f"i{intent}" if intent >= 0 else "", late)

    @rule(name=st.integers(0, 15))
    def cancel(self, name):
        self.world.cancel(f"i{name}")

    @rule(hours=st.integers(-50, 120))
    def pass_time(self, hours):
        self.world.pass_time(hours)

    @rule(equity=st.integers(-(10**6), 10**8), regime=st.sampled_from(["normal", "defensive", "risk_off"]), moved=st.integers(-100, 50))
    def session(self, equity, regime, moved):
        self.world.session(equity, regime, {"normal": 1_000_000, "defensive": 250_000, "risk_off": 0}[regime], moved)

    @rule(kind=st.sampled_from(["normal", "defensive", "risk_off", "flatten"]), hours=st.integers(1, 100))
    def order(self, kind, hours):
        self.world.order("o", "flatten" if kind == "flatten" else "mode", hours, mode="" if kind == "flatten" else kind)

    @rule(rule=st.sampled_from(["heat", "symbol", "cohort", "template"]), amount=st.integers(0, 10**7), hours=st.integers(1, 100))
    def cap(self, rule, amount, hours):
        self.world.order("c", "cap", hours, rule=rule, basis="risk", amount=amount)

    @rule(place=st.integers(0, 4))
    def release(self, place):
        self.world.release(place)

    @rule(name=st.sampled_from(sorted(POLICY)))
    def adopt(self, name):
        self.world.adopt(name)

    def teardown(self) -> None:
        self.world.finish()
