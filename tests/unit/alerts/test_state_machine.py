"""Any sequence of sessions, syncs and actions: the read models are what the events tell, and nobody is told the same twice."""

import shutil
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from portfolio_platform.alerts import actions
from portfolio_platform.alerts.message import Message
from portfolio_platform.alerts.model import observation
from portfolio_platform.alerts.outbox import write_plan
from portfolio_platform.alerts.sync import Session, plan
from portfolio_platform.book import alerts as book
from portfolio_platform.book import silences
from portfolio_platform.book.chain import verify_chain
from portfolio_platform.book.events import ConcurrencyConflict
from portfolio_platform.book.rebuild import check_read_models
from portfolio_platform.home import Home
from tests.unit.alerts.making import alert_row, alerts_of, day, messages

SCOPES = ("AAPL", "MSFT")
SEVERITIES = st.sampled_from(["warning", "critical"])


class Life(RuleBasedStateMachine):
    """A portfolio's alerts over sessions; `truth` is what fires: by scope, the session in which it began and how grave it is."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="alerts_"))
        self.home = Home(self.folder / "home")
        self.home.create()
        self.home.pin_clock(day(0))
        self.policy = self.home.policy().alerts
        self.session = 0
        self.truth: dict[str, tuple[int, str]] = {}
        self.synced = False

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.home.book.close()
            shutil.rmtree(self.folder)

    @rule(sessions=st.integers(1, 4))
    def time_passes(self, sessions: int) -> None:
        self.session += sessions
        self.home.pin_clock(day(self.session))
        self.synced = False

    @rule(scope=st.sampled_from(SCOPES), severity=SEVERITIES)
    def it_fires(self, scope: str, severity: str) -> None:
        self.truth[scope] = (self.truth.get(scope, (self.session, ""))[0], severity)
        self.synced = False

    @rule(scope=st.sampled_from(SCOPES))
    def it_ends(self, scope: str) -> None:
        self.truth.pop(scope, None)
        self.synced = False

    @rule()
    def sync(self) -> None:
        first, second = self._sync(), self._sync()
        assert second == (0, 0), f"a second sync wrote {second} after {first}"
        self.synced = True

    def _sync(self) -> tuple[int, int]:
        rows = [alert_row(self.session, scope, began=began, severity=severity) for scope, (began, severity) in self.truth.items()]
        firing = [observation(row) for row in rows]
        with self.home.book.writing() as connection:
            given = Session(
                portfolio="core",
                day=day(self.session),
                firing=firing,
                standing=book.open_alerts(connection, "core"),
                known=book.by_ids(connection, [item.id for item in firing]),
                by_hand=book.resolved_by_hand(connection, "core"),
                silences=silences.in_force(connection, self.home.clock.now()),
            )
            planned = plan(given, self.policy)
            return len(planned.changes), len(write_plan(connection, planned, self.home.clock.now()))

    @precondition(lambda self: any(alert.is_open for alert in alerts_of(self.home)))
    @rule(data=st.data(), what=st.sampled_from(["acknowledge", "unacknowledge", "resolve"]))
    def a_person_acts(self, data: st.DataObject, what: str) -> None:
        alert = data.draw(st.sampled_from([alert for alert in alerts_of(self.home) if alert.is_open]), label="alert")
        try:
            if what == "resolve":
                actions.resolve(self.home, alert.id, by="Ada", reason="seen", revision=alert.revision)
                self.synced = False
            else:
                getattr(actions, what)(self.home, alert.id, by="Ada", revision=alert.revision)
                self.synced = False
        except ConcurrencyConflict:
            assert (what == "acknowledge") == (alert.acknowledged_by != "")

    @rule(scope=st.sampled_from([None, *SCOPES]), days=st.integers(1, 3))
    def it_is_silenced(self, scope: str | None, days: int) -> None:
        until = self.home.clock.now() + timedelta(days=days)
        actions.silence(self.home, portfolio="core", scope=scope, until=until, by="Ada", reason="known")

    @rule()
    def silences_end(self) -> None:
        with self.home.book.reading() as connection:
            held = silences.in_force(connection, self.home.clock.now())
        for made in held:
            actions.end_silence(self.home, made.id, by="Ada")
            self.synced = False

    @invariant()
    def the_book_is_what_its_events_tell(self) -> None:
        if hasattr(self, "home"):
            with self.home.book.reading() as connection:
                assert check_read_models(connection) == []
                assert verify_chain(connection).ok

    @invariant()
    def nothing_is_told_twice_in_a_session(self) -> None:
        if hasattr(self, "home"):
            said = Counter(
                (message.session, item.alert_id, item.kind, item.severity)
                for message in (Message.stored(row.body) for row in messages(self.home))
                for item in message.items
            )
            assert all(count == 1 for count in said.values()), said

    @invariant()
    def after_a_sync_the_open_alerts_are_those_that_fire(self) -> None:
        if hasattr(self, "home") and self.synced:
            alerts = alerts_of(self.home)
            opened = {(alert.scope, alert.first_seen) for alert in alerts if alert.is_open}
            fires = {(scope, day(began).isoformat()) for scope, (began, _) in self.truth.items()}
            by_hand = [(alert.scope, alert.resolved_on or "") for alert in alerts if alert.resolved_by]
            assert opened <= fires
            for scope, began in fires - opened:  # only what a person resolved is held back, and only in that session or while it goes on
                assert any(scope == resolved and began <= on for resolved, on in by_hand)


Life.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
TestLife = Life.TestCase
