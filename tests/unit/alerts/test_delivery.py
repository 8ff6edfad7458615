"""Each message once to each channel: failures told apart, pauses that grow, dead letters, deliverers side by side."""

import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from portfolio_platform.alerts.channels import Channel
from portfolio_platform.alerts.delivery import ATTEMPTS, FIRST_PAUSE, LONGEST_PAUSE, deliver, pause, revive
from portfolio_platform.alerts.pipeline import sync
from portfolio_platform.book import notifications as book
from portfolio_platform.book.notifications import Notification, outbox
from portfolio_platform.doctor import examine
from portfolio_platform.home import Home
from tests.unit.alerts import workers
from tests.unit.alerts.making import Flaky, alert_row, assert_rebuilds, day, messages, put
from tests.unit.book.test_processes import run_at_once

NOW = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
DESK = Channel(name="desk", url=SecretStr("json://desk"))
PHONE = Channel(name="phone", url=SecretStr("json://phone"), minimum="critical")
BOTH = (DESK, PHONE)


def queued(home: Home, *rows: dict) -> None:
    put(home, 1, rows or [alert_row(1, severity="critical")])
    sync(home)


def the_message(home: Home) -> Notification:
    (message,) = messages(home)
    return message


def test_a_message_goes_once_to_every_channel_that_takes_it(store_home: Home) -> None:
    queued(store_home, alert_row(1, severity="critical"), alert_row(1, rule="stack", scope="", cause="correlation"))
    notifier = Flaky()
    done = deliver(store_home, NOW, notifier=notifier, channels=BOTH)
    assert len(done.sent) == 2 and Counter(name for name, _ in notifier.sent) == {"desk": 2, "phone": 1}
    assert deliver(store_home, NOW + timedelta(days=1), notifier=notifier, channels=BOTH).tried == 0
    assert {message.status for message in messages(store_home)} == {"sent"}
    assert_rebuilds(store_home)


def test_a_channel_that_has_a_message_never_gets_it_again(store_home: Home) -> None:
    queued(store_home)
    notifier = Flaky({"phone": 2})
    first = deliver(store_home, NOW, notifier=notifier, channels=BOTH)
    message = the_message(store_home)
    assert first.partial == (message.id,) and message.status == "partial"
    assert {name: item["status"] for name, item in message.results.items()} == {"desk": "sent", "phone": "failed"}
    assert message.last_error == "phone: the service refused it (HTTP 503)"
    assert deliver(store_home, NOW + timedelta(seconds=1), notifier=notifier, channels=BOTH).tried == 0  # not due yet
    for _ in range(2):
        deliver(store_home, datetime.fromisoformat(the_message(store_home).due_at), notifier=notifier, channels=BOTH)
    assert the_message(store_home).status == "sent" and the_message(store_home).attempts == 3
    assert [name for name, _ in notifier.sent] == ["desk", "phone"]
    assert_rebuilds(store_home)


def test_a_message_is_given_up_after_so_many_attempts_and_can_be_tried_again(home: Home) -> None:
    queued(home)
    notifier, at = Flaky({"desk": 1_000, "phone": 1_000}), NOW
    for attempt in range(1, ATTEMPTS + 1):
        done = deliver(home, at, notifier=notifier, channels=BOTH)
        assert done.dead == (() if attempt < ATTEMPTS else (the_message(home).id,))
        at = max(at, datetime.fromisoformat(the_message(home).due_at))
    assert the_message(home).status == "dead" and deliver(home, at + timedelta(days=9), notifier=notifier, channels=BOTH).tried == 0
    (letter,) = [finding for finding in examine(home) if finding.what == "dead letters"]
    assert letter.level == "fail" and "--retry-dead" in letter.remedy
    notifier.failures.clear()
    assert revive(home, at) == 1 and len(deliver(home, at, notifier=notifier, channels=BOTH).sent) == 1
    assert_rebuilds(home)


def test_pauses_double_up_to_an_hour_differ_between_messages_and_are_the_same_for_a_seed() -> None:
    for attempt in range(1, 60):
        doubled = min(FIRST_PAUSE * 2 ** min(attempt - 1, 20), LONGEST_PAUSE)
        assert doubled / 2 <= pause("a", attempt) < doubled * 1.5
        assert pause("a", attempt, 7) == pause("a", attempt, 7)
    assert len({pause(name, 1) for name in "abcdefgh"}) == 8 and pause("a", 1, 1) != pause("a", 1, 2)


def test_a_notifier_that_breaks_is_a_failed_channel_and_its_text_is_not_kept(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    queued(home)
    caplog.set_level(logging.DEBUG)
    deliver(home, NOW, notifier=Flaky({"desk": 1}, error=ValueError("bad url json://user:hunter2@desk")), channels=BOTH)
    assert the_message(home).last_error == "desk: it failed with ValueError"
    assert "hunter2" not in caplog.text


def test_a_message_that_no_channel_takes_goes_to_the_log_in_the_home(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    queued(home, alert_row(1))
    assert len(deliver(home, NOW, channels=(PHONE,)).sent) == 1
    file = home.root / "notifications.log"
    text = file.read_text(encoding="utf-8")
    assert "AAPL holds 31.0 %" in text and "portfolio alerts ack" in text
    assert file.stat().st_mode & 0o077 == 0
    assert "AAPL holds 31.0 %" in caplog.text


def test_what_was_leased_by_who_died_is_sent_when_the_lease_has_run_out(store_home: Home) -> None:
    queued(store_home)
    with store_home.book.writing() as connection:
        assert book.lease(connection, holder="dead", now=NOW, until=NOW + timedelta(minutes=1)) is not None
    notifier = Flaky()
    assert deliver(store_home, NOW + timedelta(seconds=59), notifier=notifier, channels=BOTH).tried == 0
    assert len(deliver(store_home, NOW + timedelta(minutes=1), notifier=notifier, channels=BOTH).sent) == 1


def test_what_two_sent_after_a_lease_ran_out_both_counts(home: Home) -> None:
    queued(home)
    with home.book.writing() as connection:
        slow = book.lease(connection, holder="slow", now=NOW, until=NOW + timedelta(minutes=1))
    assert slow is not None
    deliver(home, NOW + timedelta(minutes=2), notifier=Flaky({"phone": 1}), channels=BOTH)
    from portfolio_platform.alerts.delivery import _after

    with home.book.writing() as connection:
        late = _after(slow, {"desk": "no answer", "phone": ""}, NOW + timedelta(minutes=3), ATTEMPTS, 0)
        book.settle(connection, late, holder="slow", at=NOW + timedelta(minutes=3))
    assert the_message(home).sent_to == {"desk", "phone"}
    assert_rebuilds(home)


@pytest.mark.parametrize("count", [3])
def test_processes_that_deliver_at_once_send_each_message_once(store_home: Home, url: str, tmp_path: Path, count: int) -> None:
    rows = [alert_row(1, f"S{number}", cause=f"cause {number}") for number in range(20)]
    queued(store_home, *rows)
    store_home.book.close()
    file = tmp_path / "sent.txt"
    arguments = [(str(store_home.root), url, str(file), NOW.isoformat())] * count
    assert run_at_once(workers.deliver_all, arguments) == [0] * count
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(set(lines)) == 20
    with store_home.book.reading() as connection:
        assert outbox(connection).waiting == 0
    assert_rebuilds(store_home)


def test_the_doctor_sees_an_outbox_that_nobody_empties(home: Home) -> None:
    queued(home)
    (box,) = [finding for finding in examine(home) if finding.what == "outbox"]
    assert box.level == "ok" and box.state.startswith("1 message waiting")
    home.pin_clock(day(60))
    (box,) = [finding for finding in examine(home) if finding.what == "outbox"]
    assert box.level == "warn" and "deliver" in box.remedy
