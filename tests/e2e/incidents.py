"""The sample's incidents, the alerts that have to notice them, and the section of docs/alerts.md that says what was told.

`python -m tests.e2e.incidents HOME` prints that section for a built home of the sample.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.monitor.alerts.review import NEEDED, Message, by_month, messages

BEGIN, END = "<!-- told: begin -->", "<!-- told: end -->"
DRAWDOWN = ("drawdown", "drawdown_regime", "drawdown_velocity")
SLIPPAGE = ("slippage_cusum", "slippage_drift")
STACK = ("stack", "one_sided")
IDLE = ("rejection_spike", "low_exposure", "idle_capital")


@dataclass(frozen=True)
class Incident:
    """What README.md of the sample says that a monitor should notice.

    Attributes:
        name, portfolio, first, last: as the README has them.
        by: the rules of which one at least has to be firing, and told, between ``first`` and ``last``.
        with_it: further rules whose messages in these days are about it too.
        scope: what the scope of the alert has to hold, where it matters.
        before: days before ``first`` in which the alert that notices it may have begun.
    """

    name: str
    portfolio: str
    first: date
    last: date
    by: tuple[str, ...]
    with_it: tuple[str, ...] = ()
    scope: str = ""
    before: int = 0

    def holds(self, message: Message) -> bool:
        """Say whether a message is about it."""
        mine = message.portfolio == self.portfolio and self.first <= message.day <= self.last
        return mine and any(alert.rule in (*self.by, *self.with_it) and self.scope in alert.scope for alert in message.alerts)


def _on(text: str) -> date:
    return date.fromisoformat(text)


def _spans(name: str, portfolio: str, spans: Iterable[tuple[str, str]], *rules: str, before: int = 0) -> Iterator[Incident]:
    for first, last in spans:
        yield Incident(f"{name} {first}", portfolio, _on(first), _on(last), rules, before=before)


GAPS = (
    *(("WTI", "macro", "2008-09-22"), ("GOOG", "core", "2008-04-18"), ("WTI", "macro", "2009-04-20")),
    *(("AAPL", "core", "2009-01-22"), ("GOOG", "core", "2007-07-20"), ("WTI", "macro", "2010-07-01")),
)
FLOWS = (("core", "2008-09-29"), ("core", "2009-08-03"), ("macro", "2008-10-13"), ("macro", "2009-10-23"))
CORE_DRAWDOWNS = (
    *(("2007-07-19", "2007-10-26"), ("2007-11-06", "2008-05-01"), ("2008-10-27", "2009-09-16")),
    ("2010-04-25", "2010-12-31"),
)
MACRO_DRAWDOWNS = (
    *(("2007-04-29", "2008-02-20"), ("2008-03-15", "2009-03-23"), ("2009-04-17", "2009-07-10")),
    *(("2009-08-15", "2010-01-12"), ("2010-05-25", "2010-12-31")),
)
STACKS = (("2009-09-14", "2009-09-30"), ("2009-04-24", "2009-05-11"), ("2009-04-02", "2009-04-16"))

INCIDENTS: tuple[Incident, ...] = (
    Incident("rejections", "core", _on("2009-06-01"), _on("2009-07-31"), ("rejection_spike",), IDLE),
    Incident("rejections", "macro", _on("2010-02-08"), _on("2010-04-30"), ("rejection_spike",), IDLE),
    Incident("churny quarter", "core", _on("2008-04-01"), _on("2008-06-30"), ("trade_rate",)),
    Incident("slippage drift", "core", _on("2009-09-01"), _on("2009-12-31"), SLIPPAGE),
    Incident("slippage drift", "macro", _on("2010-06-01"), _on("2010-10-29"), SLIPPAGE),
    Incident("template drift", "core", _on("2010-01-04"), _on("2010-10-29"), ("template_drift",), scope="trend_continuation"),
    *_spans("stack", "core", STACKS, "one_sided"),
    *_spans("idle", "core", (("2009-06-17", "2009-08-05"), ("2008-11-04", "2008-11-27")), "low_exposure"),
    # the second fortnight goes on from the first: one alert
    *_spans("idle", "core", (("2008-12-04", "2008-12-29"),), "low_exposure", before=31),
    *_spans("idle", "macro", (("2010-02-22", "2010-03-10"),), "low_exposure"),
    *_spans("idle", "macro", (("2010-03-17", "2010-04-13"),), "low_exposure", before=31),
    Incident("crash", "core", _on("2008-09-15"), _on("2008-11-28"), ("turbulence",)),
    Incident("crash", "macro", _on("2008-09-15"), _on("2008-11-28"), ("turbulence",)),
    *(Incident(f"flow trap {day}", portfolio, _on(day), _on(day), ("large_flow",)) for portfolio, day in FLOWS),
    *_spans("drawdown", "core", CORE_DRAWDOWNS, *DRAWDOWN),
    *_spans("drawdown", "macro", MACRO_DRAWDOWNS, *DRAWDOWN, before=31),
    *(Incident(f"gap of {symbol} {day}", portfolio, _on(day), _on(day), ("gap",), scope=symbol) for symbol, portfolio, day in GAPS),
    *(Incident("engine version", portfolio, _on("2009-03-02"), _on("2009-03-02"), ("engine_version",)) for portfolio in ("core", "macro")),
)

NOISE: dict[str, tuple[bool, str]] = {
    "beyond_stop": (False, "a stop that did not work is always looked at"),
    "bucket_exposure": (False, "more than the equity in one direction of symbols that move together"),
    "cohort_exposure": (False, "more than the equity in one cohort"),
    "drawdown": (False, "6 % or 10 % below the mark: the size that is allowed changed or is about to"),
    "drawdown_regime": (False, "the size that is allowed changed"),
    "drawdown_velocity": (False, "a loss out of proportion within a week"),
    "failure_recurrence": (True, "one key of hundreds, a few cases: read at the week's end, not when it comes"),
    "gap": (False, "a stop that did not hold: the loss was a multiple of the plan"),
    "holding_time": (True, "an expectation that does not fit is no matter of the day"),
    "idle_capital": (True, "a few setups of a portfolio that seldom has any"),
    "large_flow": (False, "money moved"),
    "low_exposure": (True, "idle for days and no reason behind it: few setups"),
    "open_risk": (False, "a fifth of the equity at risk"),
    "rejection_spike": (True, "a few refusals of few intents"),
    "slippage_cusum": (True, "one playbook over a handful of fills"),
    "slippage_drift": (True, "no drift is known of these days"),
    "stack": (True, "right, and it often is so: all strategies follow the same indices"),
    "symbol_exposure": (False, "the equity in one symbol"),
    "template_drift": (True, "shares of a few positions swing with the market"),
    "trade_rate": (True, "more trades than usual, and nothing came of it"),
    "turbulence": (False, "days that the market remembers: few, and stops jump on them"),
}
"""By rule: whether a reasonable operator would call its message outside the incidents noise, and why. Hard cases count as noise."""


def told(home: Home, until: date = date.max) -> tuple[Message, ...]:
    """Return everything that was told up to a day."""
    return messages(home.lake.read(derived.ALERT_STATES, list(NEEDED), pc.field("day") <= until))


def firing(rows: pa.Table, incident: Incident) -> pa.Table:
    """Return the rows of alerts that notice an incident in its days: firing, and told of."""
    where = (pc.field("portfolio") == incident.portfolio) & pc.field("rule").isin(list(incident.by)) & pc.field("pages")
    where &= (pc.field("state") == "firing") & (pc.field("day") >= incident.first) & (pc.field("day") <= incident.last)
    found = rows.filter(where).sort_by([("day", "ascending"), ("rule", "ascending")])
    return found.filter(pc.match_substring(found["scope"], incident.scope)) if incident.scope else found


def stacked(home: Home) -> frozenset[date]:
    """Return the days on which `core` held at least five symbols long: the README counts the weekdays and names the longest runs."""
    where = (pc.field("portfolio") == "core") & (pc.field("long_symbols") >= 5)
    return frozenset(home.lake.read(derived.ONE_SIDED, ["day"], where)["day"].to_pylist())


def outside(home: Home, given: Iterable[Message]) -> list[Message]:
    """Return the messages that are about none of the incidents; one about a stack is, on a day of the stack."""
    days = stacked(home)

    def of_a_stack(message: Message) -> bool:
        return message.portfolio == "core" and message.day in days and any(alert.rule in STACK for alert in message.alerts)

    return [one for one in given if not of_a_stack(one) and not any(incident.holds(one) for incident in INCIDENTS)]


def is_noise(message: Message) -> bool:
    """Say whether a reasonable operator would call a message noise: all of it."""
    return all(NOISE[alert.rule][0] for alert in message.alerts)


def noisy_alerts(noise: Iterable[Message]) -> dict[tuple[str, str], int]:
    """Return how many alerts were noise by portfolio and month: one that gets graver is told twice, and is one alert."""
    found: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for message in noise:
        found.setdefault((message.portfolio, message.month), set()).update((alert.rule, alert.scope) for alert in message.alerts)
    return {key: len(alerts) for key, alerts in found.items()}


def section(home: Home) -> str:
    """Return the section: incidents with the alerts that notice them, messages outside incidents by month, counts."""
    given = told(home)
    rows = home.lake.read(derived.ALERT_STATES, [*NEEDED, "first_seen"])
    lines = [
        "| incident | portfolio | its days | noticed by | first told in it | began | sessions firing in it |",
        "|---|---|---|---|---|---|---|",
    ]
    for incident in INCIDENTS:
        found = firing(rows, incident)
        rules = sorted(set(found["rule"].to_pylist()))
        days = sorted(set(found["day"].to_pylist()))
        began = min(found["first_seen"].to_pylist()).isoformat() if days else ""
        span = incident.first.isoformat() if incident.first == incident.last else f"{incident.first} .. {incident.last}"
        name = incident.name.removesuffix(f" {incident.first}")
        first = days[0].isoformat() if days else "never"
        lines.append(f"| {name} | {incident.portfolio} | {span} | {', '.join(rules) or '–'} | {first} | {began} | {len(days)} |")
    rest = outside(home, given)
    lines += ["", "Messages outside the incidents:", "", "| month | portfolio | told | noise? |", "|---|---|---|---|"]
    for portfolio, month in sorted(by_month(rest), key=lambda key: (key[1], key[0])):
        mine = [message for message in rest if (message.portfolio, message.month) == (portfolio, month)]
        said = "; ".join(f"{message.day.day:02d} {_said(message)}" for message in mine)
        noise = ", ".join(f"{message.day.day:02d}" for message in mine if is_noise(message))
        lines.append(f"| {month} | {portfolio} | {said} | {noise or 'no'} |")
    lines += ["", *_counts(home, given, rest)]
    return "\n".join(lines) + "\n"


def _said(message: Message) -> str:
    alerts: dict[str, str] = {}
    for alert in message.alerts:
        alerts[f"{alert.rule} {alert.scope}".strip()] = "" if alert.severity == "warning" else " (critical)"
    return ", ".join(f"{name}{grave}" for name, grave in alerts.items())


def _counts(home: Home, given: tuple[Message, ...], rest: list[Message]) -> list[str]:
    lines = [
        "| portfolio | year | messages | outside incidents | of them noise | most alerts that are noise in a month |",
        "|---|---|---|---|---|---|",
    ]
    for portfolio in sorted({message.portfolio for message in given}):
        for year in sorted({message.day.year for message in given}):
            whole, left = ([one for one in some if one.portfolio == portfolio and one.day.year == year] for some in (given, rest))
            noise = [one for one in left if is_noise(one)]
            most = max(noisy_alerts(noise).values(), default=0)
            lines.append(f"| {portfolio} | {year} | {len(whole)} | {len(left)} | {len(noise)} | {most} |")
    return lines


if __name__ == "__main__":
    sys.stdout.write(section(Home(Path(sys.argv[1]))))
