"""Decisions of the log become facts (`intents`), by the import that every source goes through.

Rejections, idle capital, breaches and reflections then speak of them without knowing the control plane. Up to which event of the
log it was done is in the name of the imported file, in the lake's own list of imports: a lake that was restored from a backup is
filled up again from there. An intent that another source has stated is left to that source.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pyarrow.compute as pc
from sqlalchemy import Connection, select

from portfolio_platform.book import schema
from portfolio_platform.book.events import chain_head
from portfolio_platform.control import model
from portfolio_platform.control.events import DECIDED, AllocationDecided, decode
from portfolio_platform.control.money import digits_of, major
from portfolio_platform.control.pipeline.fills import read_money
from portfolio_platform.days import format_timestamp
from portfolio_platform.home import Home
from portfolio_platform.lake.facts import IMPORTS, INTENTS
from portfolio_platform.lake.store import Lake
from portfolio_platform.sources.pipeline import import_paths

SOURCE = "control"
SIDES = {"long": "buy", "short": "sell"}
"""The words of the facts for the sides of an intent that asks for risk; one that reduces asks for none, and is no fact."""
AT_ONCE = 20_000
"""How many decisions one file holds."""
COLUMNS = (
    "intent_id",
    "ts",
    "portfolio",
    "strategy",
    "symbol",
    "side",
    "template",
    "playbook",
    "requested_risk",
    "requested_notional",
    "approved_risk",
    "decision_code",
    "reasons",
)
_NAME = re.compile(rf"intents-{SOURCE}-0*(\d+)\.csv$")


@dataclass(frozen=True)
class Published:
    """What publishing did: decisions that became facts, those that could not or need not, and the event of the log it reached."""

    decisions: int
    left_out: int
    until_seq: int


def publish(home: Home, portfolio: str | None = None) -> Published:
    """Import the decisions that the lake does not have yet, of one portfolio only where it is named; a second time it finds nothing to do.

    A malformed request that names no symbol, side or sound amount is left out, and so is one that only reduces. Amounts are in the
    portfolio's currency; codes are those of the control plane, which `idle.capacity_reasons` of the policy knows by their beginnings.

    Raises:
        StoreProblem: lake or book cannot be read or written.
    """
    decided, left_out, after = 0, 0, published_until(home)
    while True:
        with home.book.reading() as connection:
            events = list(_decided_after(connection, after))
        if not events:
            return Published(decided, left_out, after)
        after = events[-1][0]
        events = [one for one in events if portfolio in (None, one[1].decision.portfolio)]
        rows = _rows(home, [event for _, event in events])
        if rows:
            _import(home, after, rows)
        decided, left_out = decided + len(rows), left_out + len(events) - len(rows)


def published_until(home: Home) -> int:
    """Return the event of the log up to which decisions are facts; from the beginning where the log ends before it, being another."""
    names = home.lake.read(IMPORTS, ["files"], pc.field("fact") == INTENTS.name)["files"].to_pylist()
    found = [int(match[1]) for files in names for name in files.split(",") if (match := _NAME.match(name))]
    until = max(found, default=0)
    with home.book.reading() as connection:
        return until if until <= chain_head(connection).seq else 0


def newest_published_import(lake: Lake) -> int:
    """Return the number of the newest import that decisions of the log came by; 0 where none has."""
    rows = lake.read(IMPORTS, ["import_seq", "files"], pc.field("fact") == INTENTS.name).to_pylist()
    return max((row["import_seq"] for row in rows if any(_NAME.match(name) for name in row["files"].split(","))), default=0)


def _decided_after(connection: Connection, after: int) -> Iterator[tuple[int, AllocationDecided]]:
    log = schema.events.c
    query = select(log.seq, log.content).where(log.seq > after, log.type == DECIDED).order_by(log.seq).limit(AT_ONCE)
    with connection.execute(query.execution_options(yield_per=1_000)) as found:
        for seq, content in found:
            event = decode(DECIDED, orjson.loads(content)["data"], brief=True)
            assert isinstance(event, AllocationDecided)
            yield seq, event


def _rows(home: Home, events: Iterable[AllocationDecided]) -> list[list[str]]:
    """Return the decisions that can be facts and are none yet, as the rows of a file; of one intent the first answer."""
    money, known = read_money(home), _known(home.lake)
    rows: dict[tuple[str, str], list[str]] = {}
    for event in events:
        key = (event.decision.portfolio, event.intent.intent_id)
        if key not in known and key not in rows and is_fact(event):
            rows[key] = _row(event, digits_of(money.base_of(event.decision.portfolio)))
    return list(rows.values())


def _known(lake: Lake) -> set[tuple[str, str]]:
    found = lake.read(INTENTS.table, ["portfolio", "intent_id"])
    return set(zip(found["portfolio"].to_pylist(), found["intent_id"].to_pylist(), strict=True))


def is_fact(event: AllocationDecided) -> bool:
    """Say whether a decision can be stated as a fact: it answers a request for risk that names its symbol and its side. Pure."""
    intent = event.intent
    return (
        intent.side in SIDES and bool(intent.symbol) and bool(event.decision.portfolio) and 0 <= intent.requested_risk <= model.MILLION**3
    )


def _row(event: AllocationDecided, digits: int) -> list[str]:
    intent, decision = event.intent, event.decision
    # the time of a request that was refused as malformed may be anything; when it was answered is known
    at = decision.at if decision.code == model.REJECTED_INVALID else min(intent.ts, decision.at)
    notional = intent.requested_notional
    stated = notional is not None and 0 <= notional <= model.MILLION**3
    return [
        intent.intent_id,
        format_timestamp(at),
        decision.portfolio,
        intent.strategy,
        intent.symbol,
        SIDES[intent.side],
        intent.template,
        intent.playbook,
        str(major(intent.requested_risk, digits)),
        str(major(notional, digits)) if stated and notional is not None else "",
        str(major(decision.approved_risk, digits)),
        decision.code,
        "; ".join(decision.reasons),
    ]


def _import(home: Home, last: int, rows: Iterable[list[str]]) -> None:
    with TemporaryDirectory(prefix="portfolio-decisions-") as folder:
        path = Path(folder) / f"intents-{SOURCE}-{last:012d}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(rows)
        import_paths(home, [path])
