"""What a person reads about an alert, at night and on a small screen; for plain text, Markdown and HTML. Pure.

A message is stored as the words it is made of; how they are written depends on where it goes. Names of symbols, strategies
and the like come from a ledger, that is from outside: on one line, without control characters, and never as markup.
"""

import html
import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from portfolio_platform.alerts.model import GRAVITY, RANK, Notice
from portfolio_platform.book.alerts import Alert
from portfolio_platform.book.events import Json
from portfolio_platform.monitor.alerts.contributors import parse_contributors
from portfolio_platform.monitor.alerts.sentences import NULL, formatted
from portfolio_platform.render.text import markdown_text, one_line

Form = Literal["text", "markdown", "html"]
LIMIT = 3_000
"""Characters of a message, markup included: what the smallest common chat takes, with room for its own frame."""
TITLE = 140
FIELD = 400
_CONTRIBUTORS = 5
_BARE = str.maketrans({"<": "‹", ">": "›", "@": "＠", "`": "'", "*": "∗", "[": "(", "]": ")", "|": "¦", "~": "∼", "\\": "∖", "#": "＃"})
_COMPARISONS = {">=": "≥", "<=": "≤", ">": "above", "<": "below"}
_OPENING = {"fired": "New", "escalated": "Worse", "repeated": "Still firing", "resolved": "Over"}


@dataclass(frozen=True)
class Line:
    """A line of a message: a label and what it says. A command is shown so that it can be copied; see `_command`."""

    label: str
    text: str
    command: bool = False


@dataclass(frozen=True)
class Item:
    """What is said of one alert: its kind and severity, a sentence, the facts, and what can be done."""

    alert_id: str
    kind: str
    severity: str
    sentence: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Message:
    """A message about alerts of one portfolio and cause in one session."""

    portfolio: str
    session: str
    kind: str
    severity: str
    items: tuple[Item, ...]

    @property
    def title(self) -> str:
        """Return the first line: plain text that is markup nowhere."""
        first = self.items[0]
        opening = "RESOLVED" if self.kind == "resolved" else self.severity.upper()
        said = first.sentence if len(self.items) == 1 else f"{len(self.items)} alerts: {first.sentence}"
        return cut(f"({opening}) {bare(self.portfolio)}: {bare(said)}", TITLE)

    def body(self) -> dict[str, object]:
        """Return the message as it is stored."""
        return asdict(self)

    @classmethod
    def stored(cls, content: bytes) -> "Message":
        """Return a message from what is stored."""
        given: dict[str, Any] = json.loads(content)
        items = tuple(Item(**{**item, "lines": tuple(Line(**line) for line in item["lines"])}) for item in given["items"])
        return cls(**{**given, "items": items})


def cut(text: str, limit: int) -> str:
    """Return a text of at most so many characters."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def bare(text: str) -> str:
    """Return text on one line with look-alikes for the characters that could be markup or call somebody, wherever it is shown."""
    return one_line(text).translate(_BARE).replace("://", ":∕∕")


def compose(notices: Sequence[Notice], why: Mapping[str, str] | None = None) -> list[Message]:
    """Return one message for each portfolio and cause, the gravest alert first.

    Args:
        notices: of one sync.
        why: by id of an alert, why it ended where no evaluation says so.
    """
    groups: dict[tuple[str, str, str], list[Notice]] = {}
    for notice in notices:
        groups.setdefault((notice.alert.portfolio, notice.cause, notice.session), []).append(notice)
    messages = []
    for (portfolio, _, session), found in sorted(groups.items()):
        ordered = sorted(found, key=lambda one: (-RANK.get(one.severity, 0), -GRAVITY.index(one.kind), one.alert.rule, one.alert.scope))
        kind = max((one.kind for one in ordered), key=GRAVITY.index)
        items = tuple(_item(one, (why or {}).get(one.alert.id, "")) for one in ordered)
        messages.append(Message(portfolio, session, kind, ordered[0].severity, items))
    return messages


def _item(notice: Notice, why: str) -> Item:
    alert, said = notice.alert, notice.alert.said
    sentence = cut(_text(said, "sentence") or f"{alert.rule} {alert.scope}".strip(), FIELD)
    lines = [*_ending(alert, why)] if notice.kind == "resolved" else [*_waited(notice), *_facts(said), *_since(alert, said)]
    lines.append(Line("Look", _command(alert, "portfolio why {id}"), command=True))
    if notice.kind != "resolved":
        lines.append(Line("Acknowledge", _command(alert, "portfolio alerts ack {id} --by NAME"), command=True))
    kept = (Line(line.label, line.text if line.command else cut(line.text, FIELD), line.command) for line in lines if line.text)
    return Item(alert.id, notice.kind, notice.severity, sentence, tuple(kept))


def _command(alert: Alert, text: str) -> str:
    """Return a command that can be copied; one that lists the alerts where the id itself holds what could be markup."""
    return text.format(id=shlex.quote(alert.id)) if bare(alert.id) == alert.id else listing(alert.portfolio)


def listing(portfolio: str) -> str:
    """Return the command that lists a portfolio's alerts."""
    return f"portfolio alerts list{f' --portfolio {shlex.quote(portfolio)}' if bare(portfolio) == portfolio else ''}"


def _waited(notice: Notice) -> Iterable[Line]:
    if notice.kind == "escalated" and notice.severity != notice.alert.severity:
        yield Line("Waiting", f"nobody has acknowledged it for {_sessions(notice.alert.sessions - notice.alert.told_first)}")


def _facts(said: Mapping[str, Json]) -> Iterable[Line]:
    observed = figure(said, "observed")
    if observed != NULL:
        yield Line("Observed", f"{observed} against {threshold(said)} ({_window(said)})")
    yield Line("Who", contributors(_text(said, "contributors")))
    if said.get("room") is not None:
        yield Line("Room", f"{figure(said, 'room')} to the next limit")
    trend = _text(said, "trend")
    change = figure(said, "change")
    signed = change if change.startswith("−") or not any(char in "123456789" for char in change) else f"+{change}"
    moved = f"{signed} since the session before" if said.get("change") is not None else ""
    yield Line("Trend", ", ".join(part for part in (trend, moved) if part))
    yield Line("How sure", sureness(said))
    yield Line("Do", _text(said, "action"))


def _window(said: Mapping[str, Json]) -> str:
    over, start = _text(said, "lookback") or "session", _text(said, "window_start")
    if over == "session":
        return f"in the session of {_text(said, 'day')}" if _text(said, "day") else "in the session"
    return f"over {over}{f', since {start}' if start else ''}"


def sureness(said: Mapping[str, Json]) -> str:
    """Return how many observations there are, and whether they suffice."""
    if said.get("gate_passed") is None and said.get("sample_size") is None:
        return ""
    required = f" ({said['required']} required)" if said.get("required") is not None else ""
    count = f"n = {said['sample_size']}{required}, " if said.get("sample_size") is not None else ""
    if said.get("gate_passed") is False:
        return f"{count}gate failed: {_text(said, 'gate_reason') or 'the sample does not suffice'}"
    return f"{count}gate passed"


def _since(alert: Alert, said: Mapping[str, Json]) -> Iterable[Line]:
    worst = figure(said, "worst")
    yield Line("Since", f"{alert.first_seen} ({_sessions(alert.sessions)}{f', at worst {worst}' if worst != NULL else ''})")
    yield Line("Before", _text(said, "previous"))


def _ending(alert: Alert, why: str) -> Iterable[Line]:
    worst = figure(alert.said, "worst")
    span = f"from {alert.first_seen} to {alert.resolved_on or alert.last_seen}"
    yield Line("Lasted", f"{_sessions(alert.sessions)}, {span}")
    yield Line("At worst", "" if worst == NULL else f"{worst} against a threshold of {figure(alert.said, 'threshold')}")
    yield Line("Ended", f"{alert.resolved_by} resolved it by hand: {why or alert.note}" if alert.resolved_by else why)


def _sessions(count: int) -> str:
    return f"{count} session{'' if count == 1 else 's'}"


def _text(said: Mapping[str, Json], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


def figure(said: Mapping[str, Json], name: str) -> str:
    """Return a number of an alert's content in its unit."""
    value = said.get(name)
    try:
        return formatted(float(value), _text(said, "unit")) if isinstance(value, (str, int)) else NULL
    except ValueError:
        return NULL


def threshold(said: Mapping[str, Json]) -> str:
    """Return the threshold and its bad side: '≥ 30.0 %'."""
    comparison = _text(said, "comparison")
    return f"{_COMPARISONS.get(comparison, comparison)} {figure(said, 'threshold')}".strip()


def contributors(text: str, most: int = _CONTRIBUTORS) -> str:
    """Return who contributes how much: 'momentum AAPL 40.0 % (63 % of it), MSFT 6.0 % (9 % of it)'."""
    try:
        given = parse_contributors(text)
    except (ValueError, KeyError, TypeError, AttributeError):  # an alert whose contributors cannot be read is told without them
        return ""
    shown = []
    for part in given[:most]:
        name = " ".join(word for word in (part.strategy, part.symbol, part.code) if word) or NULL
        share = f" ({part.share * 100.0:.0f} % of it)" if part.share is not None else ""
        shown.append(f"{name} {formatted(part.value, part.unit)}{share}")
    return ", ".join(shown)


def written(message: Message, form: Form, limit: int = LIMIT) -> str:
    """Return the message's text for a place that shows plain text, Markdown or HTML, cut with a pointer where it is long."""
    heading, line, pointer = _FORMS[form]
    texts: list[str] = []
    for item in message.items:
        texts.append(heading(f"{_OPENING.get(item.kind, item.kind)} · {item.severity}", item.sentence))
        texts += [line(one) for one in item.lines]
        texts.append("")
    texts = texts[:-1] if texts and not texts[-1] else texts
    more = pointer(Line("More", listing(message.portfolio), command=True))
    kept: list[str] = []
    size = 0
    for number, text in enumerate(texts):
        last = number == len(texts) - 1
        if size + len(text) + 1 + (0 if last else len(more) + 1) > limit:
            return "\n".join([*kept, more])
        kept.append(text)
        size += len(text) + 1
    return "\n".join(kept)


_Heading = Callable[[str, str], str]
_Line = Callable[[Line], str]


def _plain_line(line: Line) -> str:
    return f"{line.label}: {line.text if line.command else bare(line.text)}"


def _markdown_line(line: Line) -> str:
    return f"- **{markdown_text(line.label)}:** {f'`{line.text}`' if line.command else markdown_text(line.text)}"


def _html_line(line: Line) -> str:
    text = html.escape(one_line(line.text))
    return f"<b>{html.escape(line.label)}:</b> {f'<code>{text}</code>' if line.command else text}<br/>"


_FORMS: dict[Form, tuple[_Heading, _Line, _Line]] = {
    "text": (lambda opening, said: f"{opening}: {bare(said)}", _plain_line, lambda line: f"… {_plain_line(line)}"),
    "markdown": (
        lambda opening, said: f"**{markdown_text(opening)}:** {markdown_text(said)}\n",
        _markdown_line,
        lambda line: f"- … {_markdown_line(line).removeprefix('- ')}",
    ),
    "html": (
        lambda opening, said: f"<b>{html.escape(opening)}:</b> {html.escape(one_line(said))}<br/>",
        _html_line,
        lambda line: f"… {_html_line(line)}",
    ),
}
