"""A second, slow bookkeeping of risk: plain dictionaries and loops, written from the rules' text and not from the reducer.

It follows what was granted, filled, given up and stated, and says what active and reserved risk have to be. It knows
nothing of groups kept in sums, of immutable maps, or of the order in which the reducer does its work.
"""

from dataclasses import dataclass, field

from portfolio_platform.control import events as kinds


def day_of(at: int) -> int:
    """The UTC day of a time; midnight belongs to the day that ends."""
    return -(-at // 86_400_000_000_000) - 1


@dataclass
class Held:
    quantity: int
    risk: int
    template: str
    playbook: str
    bucket: str = ""


@dataclass
class Kept:
    strategy: str
    symbol: str
    side: str
    template: str
    playbook: str
    bucket: str
    granted: int
    left: int
    expires: int


@dataclass
class Oracle:
    """What the events said so far."""

    held: dict = field(default_factory=dict)
    kept: dict = field(default_factory=dict)
    early: dict = field(default_factory=dict)
    fills: list = field(default_factory=list)
    groups: dict = field(default_factory=dict)
    buckets: dict = field(default_factory=dict)
    since: int = 0
    stated_at: int = 0
    openings: list = field(default_factory=list)  # [day, strategy and symbol, whether a position came of it]

    def saw(self, event) -> None:
        if isinstance(event, kinds.PortfolioOpened):
            self.since = event.since
        elif isinstance(event, kinds.InstrumentsStated):
            self.groups.update(dict(event.instruments))
        elif isinstance(event, kinds.AllocationDecided):
            self._granted(event)
        elif isinstance(event, kinds.FillRecorded):
            self._filled(event)
        elif isinstance(event, kinds.ReservationEnded):
            self._ended(event)
        elif isinstance(event, kinds.FactsStated):
            self._stated(event)

    def _granted(self, event) -> None:
        intent, granted = event.intent, event.decision.approved_risk
        if not granted:
            return
        key = (intent.strategy, intent.symbol)
        already = min(granted, self.early.pop((intent.intent_id, *key, intent.side), (0, 0))[0])
        if not self._taken(key):
            self.openings.append([day_of(event.decision.at), key, False])
        self.kept[intent.intent_id] = Kept(
            intent.strategy,
            intent.symbol,
            intent.side,
            *self.joined(*key, intent.side, intent.template, intent.playbook, intent.correlation_bucket),
            granted,
            granted - already,
            event.decision.expires_at,
        )

    def joined(self, strategy, symbol, side, template, playbook, bucket) -> tuple:
        """Where new risk lands: in the trade that is open on that side, by its labels, else under its own."""
        held = self.held.get((strategy, symbol))
        if held is not None and (held.quantity < 0) == (side == "short"):
            return held.template or template, held.playbook or playbook, held.bucket or bucket
        return template, playbook, bucket

    def opened_on(self, day: int) -> int:
        return sum(one[0] == day for one in self.openings)

    def _taken(self, key) -> bool:
        return key in self.held or any((one.strategy, one.symbol) == key for one in self.kept.values())

    def _ended(self, event) -> None:
        kept = self.kept.pop(event.intent_id, None)
        if kept is not None and kept.left == kept.granted and not self._taken((kept.strategy, kept.symbol)):
            waiting = [one for one in self.openings if one[1] == (kept.strategy, kept.symbol) and not one[2]]
            for one in waiting:
                self.openings.remove(one)

    def _behind(self, fill):
        kept = self.kept.get(fill.intent_id)
        if kept is None or kept.symbol != fill.symbol or kept.strategy != fill.strategy:
            return None
        return kept if (kept.side == "long" and fill.quantity > 0) or (kept.side == "short" and fill.quantity < 0) else None

    def _filled(self, event) -> None:
        fill, kept = event.fill, self._behind(event.fill)
        risk = fill.risk
        if risk is None:
            risk = kept.left if kept is not None and kept.left > 0 else fill.exposure
        if kept is not None:
            fill = fill._replace(template=kept.template or fill.template, playbook=kept.playbook or fill.playbook)
        self.fills.append((fill, risk))
        key = (fill.strategy, fill.symbol)
        was = self.held.get(key)
        opened = self._move(fill, risk)
        if kept is not None and key in self.held:
            self.held[key].bucket = self.held[key].bucket or kept.bucket
        if was is None and key in self.held:
            self._opened(key, event)
        if opened:
            if kept is not None:
                kept.left = max(0, kept.left - opened)
            elif fill.intent_id and fill.at >= self.since and fill.intent_id not in self.kept:
                sent = (fill.intent_id, *key, "long" if fill.quantity > 0 else "short")
                self.early[sent] = (self.early.get(sent, (0, 0))[0] + opened, fill.at)
        now = self.held.get(key)
        if was is not None and (now is None or (now.quantity > 0) != (was.quantity > 0)):
            flipped = now is not None
            for name, kept in list(self.kept.items()):
                if (kept.strategy, kept.symbol) == key and kept.left < kept.granted and not (flipped and name == fill.intent_id):
                    del self.kept[name]

    def _opened(self, key, event) -> None:
        """A position came to be: the decision that was counted for it stands, or else it is counted on the day of the fill."""
        for one in self.openings:
            if one[1] == key and not one[2]:
                one[2] = True
                return
        if event.fill.at >= self.since and day_of(event.fill.at) == day_of(event.at):
            self.openings.append([day_of(event.at), key, True])

    def _move(self, fill, risk) -> int:
        """Change the position; return the risk of what the fill opened."""
        key = (fill.strategy, fill.symbol)
        now = self.held.get(key)
        if now is None:
            self.held[key] = Held(fill.quantity, risk, fill.template, fill.playbook)
            return risk
        after = now.quantity + fill.quantity
        if (now.quantity < 0) == (fill.quantity < 0):
            self.held[key] = Held(after, now.risk + risk, now.template or fill.template, now.playbook or fill.playbook, now.bucket)
            return risk
        closed = min(abs(now.quantity), abs(fill.quantity))
        if after == 0:
            del self.held[key]
            return 0
        if closed < abs(now.quantity):
            self.held[key] = Held(after, now.risk - now.risk * closed // abs(now.quantity), now.template, now.playbook, now.bucket)
            return 0
        rest = risk * (abs(fill.quantity) - closed) // abs(fill.quantity)
        self.held[key] = Held(after, rest, fill.template, fill.playbook)
        return rest

    def _stated(self, event) -> None:
        if event.facts.at < self.stated_at:  # an older session, restated: it is on record, and moves nothing
            return
        self.stated_at = event.facts.at
        week = 7 * 86_400_000_000_000  # how long a decision is waited for
        self.early = {name: one for name, one in self.early.items() if one[1] > event.facts.at - week}
        before = self.held
        self.held = {(one.strategy, one.symbol): Held(one.quantity, one.risk, one.template, one.playbook) for one in event.positions}
        self.buckets = dict(event.buckets)
        self.fills = [(fill, risk) for fill, risk in self.fills if fill.at > event.facts.at]
        for fill, risk in self.fills:
            self._move(fill, risk)
        for key, one in self.held.items():
            one.bucket = before[key].bucket if key in before else ""

    @property
    def active(self) -> int:
        return sum(one.risk for one in self.held.values())

    @property
    def reserved(self) -> int:
        return sum(one.left for one in self.kept.values())

    def used(self, rule: str, scope: str) -> int:
        """Risk of one group, counted anew over everything that is held or kept."""
        total = 0
        for (_, symbol), one in self.held.items():
            total += one.risk if self._belongs(rule, scope, symbol, one.template, one.playbook, one.bucket) else 0
        for one in self.kept.values():
            total += one.left if self._belongs(rule, scope, one.symbol, one.template, one.playbook, one.bucket) else 0
        return total

    def named(self) -> set:
        """The groups that anything held or kept belongs to."""
        found = {("heat", "")} if self.held or self.kept else set()
        everything = [(symbol, one.template, one.playbook, one.bucket) for (_, symbol), one in self.held.items()]
        everything += [(one.symbol, one.template, one.playbook, one.bucket) for one in self.kept.values()]
        for symbol, template, playbook, bucket in everything:
            instrument = self.groups[symbol]
            found |= {("symbol", symbol), ("cohort", instrument.cohort), ("sector", instrument.sector)}
            found |= {("template", template), ("playbook", playbook), ("bucket", self.buckets.get(symbol, bucket))}
        return {(rule, scope) for rule, scope in found if scope or rule == "heat"}

    def _belongs(self, rule, scope, symbol, template, playbook, bucket) -> bool:
        instrument = self.groups[symbol]
        return {
            "heat": True,
            "symbol": symbol == scope,
            "cohort": instrument.cohort == scope,
            "sector": instrument.sector == scope,
            "template": template == scope,
            "playbook": playbook == scope,
            "bucket": self.buckets.get(symbol, bucket) == scope,
        }[rule]

    @property
    def places(self) -> int:
        """Strategies in symbols that hold or reserve something."""
        return len({*self.held, *((one.strategy, one.symbol) for one in self.kept.values())})
