"""Channels and what they keep to themselves: no URL in a text, a log, an error, or the book."""

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from portfolio_platform.alerts import notifiers
from portfolio_platform.alerts.channels import LOG_CHANNEL, Channel, load_channels, wanted
from portfolio_platform.alerts.delivery import deliver
from portfolio_platform.alerts.notifiers import NotSent, within
from portfolio_platform.alerts.pipeline import sync
from portfolio_platform.book.events import read
from portfolio_platform.doctor import examine
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from tests.unit.alerts.making import alert_row, messages, put
from tests.unit.alerts.test_delivery import NOW

SECRETS = ("hunter2", "T0KENPATH", "s3cretquery")


def channels_file(home: Home, text: str, mode: int = 0o600) -> Path:
    file = home.root / "channels.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


@contextmanager
def service(status: int, pause: float = 0.0) -> Iterator[tuple[str, list[dict]]]:
    """Serve HTTP as a notification service would; yield its URL, with secrets in it, and what it was sent."""
    got: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            time.sleep(pause)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"json://ada:hunter2@127.0.0.1:{server.server_port}/T0KENPATH?-key=s3cretquery", got
    finally:
        server.shutdown()
        server.server_close()


def everything_written(home: Home, caplog: pytest.LogCaptureFixture) -> str:
    with home.book.reading() as connection:
        book = " ".join(event.content.decode() for event in read(connection))
    rows = " ".join(str(message) for message in messages(home))
    log = home.root / "notifications.log"
    return " ".join((caplog.text, book, rows, log.read_text() if log.exists() else "", str(examine(home)), repr(load_channels(home))))


@pytest.mark.parametrize(("status", "said"), [(200, ""), (500, "the service refused it (HTTP 500)"), (0, "the service cannot be reached")])
def test_a_message_goes_out_for_real_and_no_secret_does(
    home: Home, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], status: int, said: str
) -> None:
    caplog.set_level(1)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.DEBUG)
    put(home, 1, [alert_row(1)])
    sync(home)
    with service(status or 200) as (url, got):
        if not status:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                url = f"json://ada:hunter2@127.0.0.1:{free.getsockname()[1]}/T0KENPATH?-key=s3cretquery"
        channels_file(home, f'[[channel]]\nname = "desk"\nurl = "{url}"\n')
        done = deliver(home, NOW)
    (message,) = messages(home)
    assert message.last_error == (f"desk: {said}" if said else "") and bool(done.sent) == (not said)
    if status == 200:
        assert got[0]["title"] == message.title and "portfolio alerts ack" in got[0]["message"]
    written = everything_written(home, caplog) + "".join(capfd.readouterr())
    assert not [secret for secret in SECRETS if secret in written]


def test_a_service_that_hangs_is_left(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifiers, "TIMEOUT_SECONDS", 0.3)
    put(home, 1, [alert_row(1)])
    sync(home)
    with service(200, pause=2.0) as (url, _):
        channels_file(home, f'[[channel]]\nname = "desk"\nurl = "{url}"\n')
        began = time.monotonic()
        deliver(home, NOW)
    assert messages(home)[0].last_error == "desk: no answer within 0 s"
    assert time.monotonic() - began < 2.0 + 1.0


def test_work_that_ends_in_time_is_done_and_its_error_is_raised() -> None:
    within(5.0, lambda: None)
    with pytest.raises(NotSent, match="why"):
        within(5.0, lambda: (_ for _ in ()).throw(NotSent("why")))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_can_read_is_refused_and_seen_by_the_doctor(home: Home, mode: int) -> None:
    file = channels_file(home, '[[channel]]\nname = "desk"\nurl = "json://u:hunter2@h/"\n', mode)
    with pytest.raises(WrongUse, match=f"chmod 600 {file}"):
        load_channels(home)
    assert [item.level for item in examine(home) if item.what == "channels"] == ["fail"]


@pytest.mark.parametrize(
    "text",
    [
        "[[channel]]\nname = 'desk'\nurl = 'json://u:hunter2@h/",
        "[[channel]]\nname = 'desk'\nurl = 'u:hunter2@h'\n",
        "[[channel]]\nname = 'desk'\nurl = 'json://u:hunter2@h/'\ncolour = 'hunter2'\n",
        "[[channel]]\nname = 'hunter2 !'\nurl = 'json://u:hunter2@h/'\n",
        "[[channel]]\nname = 'desk'\nurl = 'json://u:hunter2@h/'\nminimum = 'hunter2'\n",
        "[[channel]]\nname = 'a'\nurl = 'json://hunter2'\n[[channel]]\nname = 'a'\nurl = 'json://hunter2'\n",
        "[[channel]]\nname = 'log'\nurl = 'json://hunter2'\n",
        "[channel]\nurl = 'json://hunter2'\n",
        "url = 'json://hunter2'\n",
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_without_repeating_it(home: Home, text: str) -> None:
    channels_file(home, text)
    with pytest.raises(WrongUse) as raised:
        load_channels(home)
    assert "hunter2" not in str(raised.value) and "hunter2" not in repr(raised.value.__cause__)


def test_channels_of_the_environment_stand_beside_those_of_the_file(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    channels_file(home, '[[channel]]\nname = "desk"\nurl = "json://u:hunter2@h/"\nminimum = "critical"\nportfolios = ["core"]\n')
    monkeypatch.setenv("PORTFOLIO_NOTIFY_URLS", "json://u:hunter2@one/  mailto://u:hunter2@two.example")
    found = load_channels(home)
    assert [(channel.name, channel.redacted) for channel in found] == [("desk", "json://…"), ("env-1", "json://…"), ("env-2", "mailto://…")]
    assert "hunter2" not in repr(found) and "hunter2" not in str(found[0].model_dump())


def test_a_channel_takes_its_portfolios_from_its_severity_on_and_the_log_what_nobody_takes(home: Home) -> None:
    channels_file(home, '[[channel]]\nname = "desk"\nurl = "json://h/"\nminimum = "critical"\nportfolios = ["core"]\n')
    channels = load_channels(home)
    assert wanted(channels, "core", "critical") == channels
    assert wanted(channels, "core", "warning") == wanted(channels, "macro", "critical") == (LOG_CHANNEL,)


def test_an_address_that_nothing_can_be_sent_to_is_seen_by_the_doctor_and_not_shown(home: Home) -> None:
    channels_file(home, '[[channel]]\nname = "desk"\nurl = "nosuchthing://u:hunter2@h/"\n')
    (finding,) = [item for item in examine(home) if item.what == "channels"]
    assert finding.level == "fail" and "nosuchthing://…" in finding.state and "hunter2" not in str(finding)


def test_a_channel_that_is_gone_from_the_file_is_not_waited_for(home: Home) -> None:
    put(home, 1, [alert_row(1)])
    sync(home)
    from tests.unit.alerts.making import Flaky

    notifier = Flaky({"gone": 1})
    gone, kept = (Channel.model_validate({"name": name, "url": "json://h/"}) for name in ("gone", "kept"))
    deliver(home, NOW, notifier=notifier, channels=(gone, kept))
    deliver(home, NOW + timedelta(hours=1), notifier=notifier, channels=(kept,))
    assert messages(home)[0].status == "sent" and notifier.sent == [("kept", messages(home)[0].title)]
