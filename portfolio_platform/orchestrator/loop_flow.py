"""One event at work in the loop: the state as it becomes, the commands, and the steps that end in either."""

from portfolio_platform.broker.model import Order
from portfolio_platform.orchestrator import loop_checks as checks
from portfolio_platform.orchestrator.escalation import Answered, Trigger, Violation, escalated
from portfolio_platform.orchestrator.loop_checks import LoopTerms
from portfolio_platform.orchestrator.loop_model import (
    AskRefresh,
    Checked,
    Command,
    ExecutionReport,
    Flag,
    LoopState,
    OpenEscalation,
    PlaceOrder,
    Progress,
    PublishReport,
    Route,
    Schedule,
    SettleEscalation,
)
from portfolio_platform.orchestrator.refresh import Freshness, Refreshing, RefreshKind, RefreshRequest, Shift, caveats, shifts

STALE = frozenset({Trigger.PORTFOLIO_TOO_STALE.value, Trigger.REFRESH_DELAYED.value})
"""The escalations that fresh figures settle."""


class Flow:
    """What one event makes of a state.

    Attributes:
        terms: the loop's numbers.
        state: as it is by now.
        at: the event's time.
        commands: what is to be done, in its order.
    """

    def __init__(self, terms: LoopTerms, state: LoopState, at: int) -> None:
        """Begin at a state."""
        self.terms, self.state, self.at = terms, state, at
        self.commands: list[Command] = []

    def flag(self, code: str, subject: str, text: str, limit: int = 0, found: int = 0) -> None:
        """Log something, once for each subject and text."""
        if not any((one.code, one.subject, one.text) == (code, subject, text) for one in self.state.flags):
            self.state = self.state._replace(flags=(*self.state.flags, Flag(self.at, code, subject, text, limit, found)))

    def caveat(self, text: str) -> None:
        """Note under which caveat the execution goes on, once."""
        if text not in self.state.caveats:
            self.state = self.state._replace(caveats=(*self.state.caveats, text))

    def caveat_of_age(self) -> None:
        """Go on with figures that are not fresh, and say so."""
        for text in caveats(self.terms.refresh):
            self.caveat(text)

    def escalate(self, trigger: Trigger, subject: str, *violations: Violation, waits: bool | None = None) -> None:
        """Open an escalation; the loop waits for its answer where the trigger says so, or where the caller does."""
        name = f"{self.state.execution_id}-E{len(self.state.escalations) + 1}"
        made = escalated(
            trigger,
            name,
            self.at,
            portfolio=self.state.portfolio,
            profile=self.terms.profile,
            violations=violations,
            routing=self.terms.routing,
            sla_minutes=self.terms.sla_minutes,
            subject=subject,
        )
        if waits is not None:
            made = made._replace(waits=waits)
        self.state = self.state._replace(
            escalations=(*self.state.escalations, made), waiting=(*self.state.waiting, name) if made.waits else self.state.waiting
        )
        self.commands.append(OpenEscalation(self.at, made))

    def settle_stale(self, reason: str, by: str) -> None:
        """Answer what was asked because of old figures: they are here, or somebody decided to go on without."""
        for name in self.state.waiting:
            asked = self.state.escalation(name)
            if asked is not None and asked.trigger in STALE:
                answered = Answered(self.at, name, "approve", by, reason)
                self.state = self.state._replace(
                    waiting=tuple(one for one in self.state.waiting if one != name), answers=self.state.answers.set(name, answered)
                )
                self.commands.append(SettleEscalation(self.at, answered))

    def escalate_delay(self, refreshing: Refreshing) -> None:
        """Escalate a refresh that is late or failed (step 2C, delay beyond the limit), once."""
        request = refreshing.request
        if self.state.delayed == request.request_id or (self.state.accepted and self.state.accepted == self.state.figures.at):
            return
        self.state = self.state._replace(delayed=request.request_id)
        waited, limit = self.at - request.asked_at, self.terms.refresh.escalate
        failed = refreshing.answer is not None
        text = f"the refresh failed: {refreshing.answer.failure}" if refreshing.answer else "the refresh is still pending"
        rule = "refresh_failed" if failed else "refresh_delay"
        self.escalate(Trigger.REFRESH_DELAYED, request.request_id, Violation(rule, request.scope, limit, waited, "ns", text))

    def ask_refresh(self, fresh: Freshness) -> None:
        """Ask for new figures: of the next trade's account where they are old within the day, of everything where they are older."""
        full = fresh.refresh is RefreshKind.FULL
        number = self.state.refreshes + 1
        request = RefreshRequest(
            f"{self.state.execution_id}-R{number}",
            self.state.portfolio,
            RefreshKind.FULL if full else RefreshKind.QUICK,
            "all" if full else self.state.remaining[0].trade.account,
            self.at,
        )
        self.state = self.state._replace(refreshing=Refreshing(request), refreshes=number)
        self.commands.append(AskRefresh(self.at, request))
        trigger, since = Trigger.PORTFOLIO_TOO_STALE, self.state.figures.at
        asked = any(one.trigger == trigger.value and one.opened_at >= since for one in self.state.escalations)
        if full and not asked:
            text = f"the portfolio's figures are {fresh.trading_days} trading days old, more than {self.terms.refresh.trading_days}"
            found = Violation("freshness", "portfolio", self.terms.refresh.trading_days, fresh.trading_days, "count", text)
            self.escalate(trigger, self.state.execution_id, found)

    def validated(self) -> bool:
        """Steps 2A and 2B, once for each set of figures; say whether the loop may go on."""
        if self.state.validated != self.state.figures.at:
            self.state = self.state._replace(validated=self.state.figures.at)
            self._sectors_since_approval()
            self._aggregate()
        return not self.state.waiting

    def place_next(self) -> None:
        """Step 3C: give the broker the next trade, in the order of approval."""
        place = next(number for number, one in enumerate(self.state.trades) if one.status == "pending")
        progress = self.state.trades[place]
        trade, attempt = progress.trade, progress.attempt + 1
        name = f"{self.state.execution_id}.{trade.trade_id}.{attempt}"
        reference = self.state.prices.get(trade.symbol, trade.reference)
        order = Order(
            client_order_id=name,
            account=trade.account,
            symbol=trade.symbol,
            side=trade.side,
            kind="market",
            quantity=trade.quantity,
            decided_at=self.at,
            lot=trade.lot,
            labels=trade.labels._replace(
                decision_price=reference, stop_price=trade.stop, target_price=trade.targets[0] if trade.targets else 0
            ),
        )
        self.put(
            place,
            progress._replace(
                status="submitted", attempt=attempt, order_id=name, submitted_at=self.at, waited_from=self.at, reference=reference
            ),
        )
        self.commands.append(PlaceOrder(self.at, order))

    def put(self, place: int, progress: Progress) -> None:
        """Set how far a trade is."""
        trades = list(self.state.trades)
        trades[place] = progress
        self.state = self.state._replace(trades=tuple(trades))

    def hold_remaining(self, status: str) -> None:
        """Give every trade that is still to be placed, or was halted, a status."""
        trades = tuple(one._replace(status=status) if one.status in ("pending", "halted") else one for one in self.state.trades)
        self.state = self.state._replace(trades=trades)

    def finish(self) -> None:
        """Steps 5 to 8: verify sectors and buffer, report, route, and set what falls due."""
        if self.state.stopping:
            self.hold_remaining(self.state.stopping)
        sectors, buffer = checks.verify_sectors(self.state, self.terms), checks.verify_buffer(self.state, self.terms)
        self._after(sectors, buffer)
        self.state = self.state._replace(ended_at=self.at, refreshing=None)
        report = self._report(sectors, buffer)
        self.state = self.state._replace(report=report)
        self.commands.append(PublishReport(self.at, report))
        self.commands += [Route(self.at, name, "execution report") for name in self.terms.report_to]
        if any(status == "halted" for _, status in report.unfilled):
            self.commands += [Route(self.at, name, "positions were halted") for name in self.terms.halted_to]
        if self.state.escalations:
            self.commands.append(Route(self.at, self.terms.routing, "escalations"))
        self.commands += [Schedule(self.at, item, self.at + days * checks.DAY) for item, days in self.terms.due]

    def _sectors_since_approval(self) -> None:
        """Step 2A: sectors that moved since approval; one that grew is escalated, with what the pending trades would make of it."""
        live, pending = dict(self.state.figures.sectors), self._pending_weights()
        grown: list[Violation] = []
        for one in shifts(checks.expected_weights(self.state), live, self.terms.refresh):
            way = "increased" if one.increased else "decreased"
            self.flag("sector_shifted", one.sector, f"Sector allocation {way} since approval", one.approved, one.live)
            if one.increased:
                grown.append(self._headroom(one, one.live + pending.get(one.sector, 0)))
        if grown:
            self.escalate(Trigger.SECTOR_HEADROOM_CHANGED, self.state.execution_id, *grown)

    def _headroom(self, shift: Shift, after: int) -> Violation:
        cap = self.terms.cap_of(shift.sector)
        if after > cap:
            text = f"{shift.sector} would exceed its cap with the pending trades"
            return Violation("sector_cap", shift.sector, cap, after, "ppm", text)
        return Violation("sector_shift", shift.sector, shift.approved, shift.live, "ppm", f"{shift.sector} increased since approval")

    def _pending_weights(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for one in self.state.remaining:
            found[one.trade.sector] = (
                found.get(one.trade.sector, 0) + checks.cost_of(one.trade) * checks.MILLION // self.state.figures.value
            )
        return found

    def _aggregate(self) -> None:
        """Step 2B: the buffer after all pending trades. Short of healthy it is asked about; the loop waits only where it is at risk."""
        cash, value = checks.pending_cash(self.state), self.state.figures.value
        status, share = checks.buffer_state(cash, value, self.terms), checks.share_of(cash, value)
        if status == "healthy":
            return
        text = "Buffer approaching minimum" if status == "marginal" else "Buffer would breach if all pending execute"
        self.flag(f"pending_{status}", self.state.execution_id, text, self.terms.healthy, share)
        found = Violation("buffer_after_all_pending", "portfolio", self.terms.healthy, share, "ppm", text)
        self.escalate(Trigger.BUFFER_WOULD_BREACH, self.state.execution_id, found, waits=status == "at_risk")

    def _after(self, sectors: tuple[Checked, ...], buffer: Checked) -> None:
        """Escalate what steps 5 and 6 found; a breach of the buffer that somebody is still asked about is not asked twice."""
        over = [
            Violation("sector_cap", one.subject, one.limit, one.found, "ppm", f"{one.subject} is over its cap after the executions")
            for one in sectors
            if one.result == "fail"
        ]
        if over:
            self.escalate(Trigger.SECTOR_CAP_BREACH, self.state.execution_id, *over)
        if buffer.result == "caution":
            self.flag("buffer_marginal", self.state.execution_id, "Buffer marginal, acceptable", buffer.limit, buffer.found)
        asked = [one for one in self.state.escalations if one.trigger == Trigger.BUFFER_BREACH.value]
        if buffer.result == "fail" and all(one.escalation_id in self.state.answers for one in asked):
            text = "Buffer breached: request deposit or position reduction"
            found = Violation("buffer", "portfolio", self.terms.marginal, buffer.found, "ppm", text)
            self.escalate(Trigger.BUFFER_BREACH, self.state.execution_id, found, waits=False)

    def _report(self, sectors: tuple[Checked, ...], buffer: Checked) -> ExecutionReport:
        state = self.state
        done = ("executed", "partially_executed")
        return ExecutionReport(
            execution_id=state.execution_id,
            started_at=state.started_at,
            at=self.at,
            log=state.log,
            unfilled=tuple((one.trade.trade_id, one.status) for one in state.trades if one.status not in done),
            sectors=sectors,
            cash=state.cash,
            buffer=buffer,
            buffer_start=state.buffer_start,
            flags=state.flags,
            caveats=state.caveats,
            escalations=tuple(one.escalation_id for one in state.escalations),
            next_review_at=self.at + min((days for _, days in self.terms.due), default=1) * checks.DAY,
        )
