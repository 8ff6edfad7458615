"""Where messages go: the channels of `channels.toml` in the home, and those of PORTFOLIO_NOTIFY_URLS.

A channel's URL holds tokens and passwords. It is a secret everywhere: the file has to be private, and nothing but the
notifier ever reads it; people see its scheme alone.
"""

import os
import re
import stat
import tomllib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from portfolio_platform.alerts.model import RANK
from portfolio_platform.book.alerts import PLATFORM
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.policy.alerts import Severity

FILE = "channels.toml"
VARIABLE = "PORTFOLIO_NOTIFY_URLS"
LOG = "log"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Channel(BaseModel):
    """A channel: its name, where it leads (a secret), the least severity and the portfolios it takes (none named: all)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str
    url: SecretStr
    minimum: Severity = Field("warning", description="least severity that it takes")
    portfolios: tuple[str, ...] = Field((), description="portfolios that it takes; `platform` is the platform itself")

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("a channel's name has letters, digits, dots, - and _ only")
        return name

    @field_validator("url")
    @classmethod
    def _has_scheme(cls, url: SecretStr) -> SecretStr:
        if not _SCHEME.match(url.get_secret_value()):
            raise ValueError("the url wants a scheme, such as slack://, mailto:// or json://")
        return url

    @property
    def redacted(self) -> str:
        """Return what people may see of the URL."""
        found = _SCHEME.match(self.url.get_secret_value())
        return f"{found[0]}://…" if found else "…"

    def takes(self, portfolio: str, severity: str) -> bool:
        """Say whether a message goes here. What the platform says of itself goes to every channel that names no portfolios."""
        return RANK.get(severity, 0) >= RANK[self.minimum] and (not self.portfolios or portfolio in self.portfolios)


LOG_CHANNEL = Channel(name=LOG, url=SecretStr("log://"), minimum="info")
"""Where messages go that no channel takes: a file in the home, and the process's log."""


def load_channels(home: Home) -> tuple[Channel, ...]:
    """Return the configured channels.

    Raises:
        WrongUse: the file is not private, cannot be read, or says something that cannot be meant. No text repeats a URL.
    """
    found = [*_of_file(home.root / FILE), *_of_environment(os.environ.get(VARIABLE, ""))]
    names = [channel.name for channel in found]
    twice = sorted({name for name in names if names.count(name) > 1 or name == LOG})
    if twice:
        raise WrongUse(f"{FILE}: the channel name {twice[0]!r} is taken; give each channel a name of its own")
    return tuple(found)


def wanted(channels: Sequence[Channel], portfolio: str, severity: str) -> tuple[Channel, ...]:
    """Return the channels that take a message; the log where none does."""
    return tuple(channel for channel in channels if channel.takes(portfolio, severity)) or (LOG_CHANNEL,)


def _of_file(path: Path) -> list[Channel]:
    if not path.exists():
        return []
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise WrongUse(f"{FILE} holds secrets and others can read it; chmod 600 {path}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        content = None  # the parser's own message may quote what stands there
    if content is None:
        raise WrongUse(f"{FILE} is no TOML; write [[channel]] with name and url for each channel")
    listed = content.get("channel", [])
    if not isinstance(listed, list) or set(content) - {"channel"}:
        raise WrongUse(f"{FILE}: write [[channel]] with name and url for each channel, and nothing else")
    return [_channel(item, f"{FILE}, channel {number}") for number, item in enumerate(listed, start=1)]


def _of_environment(text: str) -> list[Channel]:
    urls = text.split()
    return [_channel({"name": f"env-{number}", "url": url}, f"{VARIABLE}, URL {number}") for number, url in enumerate(urls, start=1)]


def _channel(item: object, where: str) -> Channel:
    try:
        return Channel.model_validate(item)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        said = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
    raise WrongUse(f"{where}: {said}")


__all__ = ["LOG_CHANNEL", "PLATFORM", "Channel", "load_channels", "wanted"]
