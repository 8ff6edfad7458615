"""How a message leaves: through Apprise to whatever a channel's URL names, or to a log in the home.

Nothing here may let a URL out: not in an error, not in a log, also not in those of the libraries that send.
"""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from portfolio_platform.alerts.channels import LOG, Channel
from portfolio_platform.alerts.message import Form, Message, written
from portfolio_platform.errors import PortfolioError
from portfolio_platform.home import Home

TIMEOUT_SECONDS = 15.0
"""How long a channel may take; the services' own time-outs for a connection and an answer are shorter."""
SOCKET_SECONDS = 5.0
LOG_FILE = "notifications.log"
_TALKATIVE = ("apprise", "urllib3", "requests", "http", "smtplib", "paho", "slixmpp", "asyncio")
_STATUS = re.compile(r"error=(\d{3})\b")
_log = logging.getLogger("portfolio_platform.notifications")


class NotSent(PortfolioError):
    """A channel did not take a message; the text says why and holds no secret."""


class Notifier(Protocol):
    """Sends a message to a channel."""

    def send(self, channel: Channel, message: Message) -> None:
        """Send. Raises `NotSent`, whose text may be shown to anybody."""
        ...


@dataclass(frozen=True)
class Everywhere:
    """The notifier of a home: the log for the channel `log`, Apprise for every other."""

    home: Home

    def send(self, channel: Channel, message: Message) -> None:
        """Send. Raises `NotSent`."""
        if channel.name == LOG:
            to_log(self.home.root / LOG_FILE, message)
        else:
            within(TIMEOUT_SECONDS, lambda: to_apprise(channel, message))


def to_log(path: Path, message: Message) -> None:
    """Append a message to a file that only its owner can read, and say it in the process's log."""
    text = f"{message.title}\n{written(message, 'text')}\n\n"
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, text.encode("utf-8", "replace"))  # in one write, so that two messages never mix
        finally:
            os.close(file)
    except OSError as error:
        raise NotSent(f"{LOG_FILE} cannot be written: {error.strerror}") from None
    _log.warning("%s", message.title)


def to_apprise(channel: Channel, message: Message) -> None:
    """Send a message through Apprise, in the form that the service shows. Raises `NotSent`."""
    import apprise

    with _discreet() as heard:
        service = instance(channel)
        if service is None:
            raise NotSent(f"{channel.redacted} is no address that can be sent to; check the channel {channel.name}")
        service.socket_connect_timeout = service.socket_read_timeout = SOCKET_SECONDS
        form = _form(str(getattr(service.notify_format, "value", service.notify_format)))
        kinds = {"critical": apprise.NotifyType.FAILURE, "warning": apprise.NotifyType.WARNING}
        kind = apprise.NotifyType.SUCCESS if message.kind == "resolved" else kinds.get(message.severity, apprise.NotifyType.INFO)
        limit = min(int(service.body_maxlen), 32_000) if service.body_maxlen else 32_000
        text = written(message, form, max(200, min(limit - len(message.title) - 50, 10_000)))
        sent = service.notify(body=text, title=message.title, notify_type=kind, body_format=service.notify_format)
    if not sent:
        raise NotSent(_why(heard))


def instance(channel: Channel) -> Any:
    """Return Apprise's service for a channel, None where it knows none."""
    import apprise

    with _discreet():
        try:
            return apprise.Apprise.instantiate(channel.url.get_secret_value(), suppress_exceptions=True)
        except Exception as error:  # what a service's parser says may quote its URL
            _log.error("the channel %s cannot be used: %s", channel.name, type(error).__name__)
            return None


def within(seconds: float, work: Callable[[], None]) -> None:
    """Do something, but wait no longer than this for it. Raises `NotSent`, and what the work raises."""
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            work()
            ended.append(None)
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)  # a service that hangs must not hold up the process's end
    thread.start()
    thread.join(seconds)
    if not ended:
        raise NotSent(f"no answer within {seconds:.0f} s")
    if ended[0] is not None:
        raise ended[0]


def _form(name: str) -> Form:
    return "markdown" if name == "markdown" else "html" if name == "html" else "text"


def _why(heard: list[str]) -> str:
    """Return why a service did not take a message, from what the libraries said of it, in words of our own."""
    said = " ".join(heard)
    status = _STATUS.search(said)
    if status:
        return f"the service refused it (HTTP {status[1]})"
    if re.search(r"connection (error|refused)|could not be reached|resolve|unreachable", said, re.IGNORECASE):
        return "the service cannot be reached"
    if re.search(r"time[d-]?\s?out", said, re.IGNORECASE):
        return "the service did not answer in time"
    return "the service did not take it"


@contextmanager
def _discreet() -> Iterator[list[str]]:
    """Keep this thread's log records of the sending libraries from everybody: they quote URLs. Yield what they said."""
    heard: list[str] = []
    thread = threading.get_ident()

    def withheld(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        heard.append(record.getMessage())
        return False

    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    loggers += [
        logger
        for name, logger in list(logging.Logger.manager.loggerDict.items())
        if isinstance(logger, logging.Logger) and name.partition(".")[0] in _TALKATIVE and name not in _TALKATIVE
    ]
    for logger in loggers:
        logger.addFilter(withheld)
    try:
        yield heard
    finally:
        for logger in loggers:
            logger.removeFilter(withheld)
