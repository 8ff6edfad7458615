"""Decisions and envelopes of the log as tables of the lake: appended by the number of their event, so that a second time adds nothing.

The log is the truth; the tables are a copy to read, filter and draw. How far a table is, is in its own rows: an append is whole or
not there. Where the log is another than the one that was copied, which the hash of the last copied event shows, all is copied anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

import orjson
import pyarrow.compute as pc
from sqlalchemy import Connection, select

from portfolio_platform.book import schema
from portfolio_platform.control.events import (
    DECIDED,
    ENVELOPE_ISSUED,
    NAMES,
    AllocationDecided,
    PortfolioOpened,
    decode,
    decode_envelope,
    stream_of,
)
from portfolio_platform.control.model import MILLION, Envelope
from portfolio_platform.control.money import major
from portfolio_platform.days import day_number, to_date
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.arrays import by_key
from portfolio_platform.lake.columns import Table

AT_ONCE = 5_000
"""How many events one append holds."""
KINDS = {derived.ALLOCATION_DECISIONS: DECIDED, derived.CONSTRAINT_ENVELOPES: ENVELOPE_ISSUED}
"""The tables that have a row for each event of a type."""
_LOG = schema.events.c


@dataclass(frozen=True)
class Copied:
    """What copying added: decisions and envelopes."""

    decisions: int
    envelopes: int


def copy_log(home: Home) -> Copied:
    """Bring the tables of decisions, headrooms and envelopes up to the end of the log.

    Raises:
        StoreProblem: lake or book cannot be read or written; what was appended until then stays.
    """
    if not _is_behind(home):
        return Copied(0, 0)
    with home.lake.writing():
        for table in KINDS:
            if not _same_log(home, table):
                for stale in (derived.DECISION_HEADROOMS, table) if table is derived.ALLOCATION_DECISIONS else (table,):
                    home.lake.replace(stale, stale.arrow_schema().empty_table())
        return Copied(_copy_decisions(home), _copy_envelopes(home))


def _is_behind(home: Home) -> bool:
    """Say whether the log has a decision or an envelope that its table has not, or is another log. No lock is taken."""
    for table, kind in KINDS.items():
        if not _same_log(home, table):
            return True
        with home.book.reading() as connection:
            if next(_after(connection, kind, home.lake.largest(table, "seq")), None) is not None:
                return True
    return False


def _same_log(home: Home, table: Table) -> bool:
    """Say whether the last event that was copied is in the log as it was copied; not where the table beside it was dropped."""
    last = home.lake.largest(table, "seq")
    if not last:
        return True
    if table is derived.ALLOCATION_DECISIONS and home.lake.version(derived.DECISION_HEADROOMS) is None:
        return False
    copied = home.lake.read(table, ["event_hash"], pc.field("seq") == last)["event_hash"].to_pylist()
    with home.book.reading() as connection:
        found = connection.execute(select(_LOG.hash).where(_LOG.seq == last)).scalar_one_or_none()
    return found in copied


@dataclass(frozen=True)
class _Event:
    """An event of the log as a table cites it."""

    seq: int
    hash: str
    version: int
    key: str
    data: Any


def _after(connection: Connection, kind: str, seq: int) -> Iterator[_Event]:
    """Yield the events of a type after one of the log, in their order; rows are fetched as needed."""
    query = select(_LOG.seq, _LOG.hash, _LOG.version, _LOG.idempotency_key, _LOG.content).where(_LOG.seq > seq, _LOG.type == kind)
    with connection.execute(query.order_by(_LOG.seq).execution_options(yield_per=1_000)) as rows:
        for one in rows:
            yield _Event(*one[:4], orjson.loads(one[4])["data"])


def _copy_decisions(home: Home) -> int:
    """Append what is new; headrooms go first, so that a decision which is there has them."""
    added, told = 0, home.lake.largest(derived.DECISION_HEADROOMS, "seq")
    with home.book.reading() as connection:
        digits = _Digits(connection)
        events = _after(connection, DECIDED, home.lake.largest(derived.ALLOCATION_DECISIONS, "seq"))
        while some := list(islice(events, AT_ONCE)):
            made = [(one, decode(DECIDED, one.data)) for one in some]
            decided = [(one, event, digits.of(event.decision.portfolio, one.version))
                       for one, event in made if isinstance(event, AllocationDecided)]  # fmt: skip
            rooms = [row for one, event, places in decided if one.seq > told for row in _room_rows(one, event, places)]
            if rooms:
                home.lake.append(derived.DECISION_HEADROOMS, by_key(derived.DECISION_HEADROOMS, rooms))
            rows = [_decision_row(one, event, places) for one, event, places in decided]
            home.lake.append(derived.ALLOCATION_DECISIONS, by_key(derived.ALLOCATION_DECISIONS, rows))
            added += len(rows)
    return added


def _copy_envelopes(home: Home) -> int:
    added = 0
    with home.book.reading() as connection:
        digits = _Digits(connection)
        events = _after(connection, ENVELOPE_ISSUED, home.lake.largest(derived.CONSTRAINT_ENVELOPES, "seq"))
        while some := list(islice(events, AT_ONCE)):
            told = [(one, decode_envelope(one.data)) for one in some]
            rows = [_envelope_row(one, envelope, digits.of(envelope.portfolio)) for one, envelope in told]
            home.lake.append(derived.CONSTRAINT_ENVELOPES, by_key(derived.CONSTRAINT_ENVELOPES, rows))
            added += len(rows)
    return added


class _Digits:
    """The minor units of portfolios' currencies, as their streams have them; 2 before a portfolio is under control."""

    def __init__(self, connection: Connection) -> None:
        """Read nothing yet."""
        self._connection = connection
        self._known: dict[str, tuple[int, int]] = {}

    def of(self, portfolio: str, version: int | None = None) -> int:
        """Return the digits that held at a version of the portfolio's stream; the newest where none is named."""
        if portfolio not in self._known:
            query = select(_LOG.version, _LOG.content).where(_LOG.stream == stream_of(portfolio), _LOG.type == NAMES[PortfolioOpened])
            found = self._connection.execute(query.order_by(_LOG.version).limit(1)).first()
            self._known[portfolio] = (0, 2) if found is None else (found[0], int(orjson.loads(found[1])["data"]["digits"]))
        opened, digits = self._known[portfolio]
        return digits if version is None or version >= opened else 2


def decision_id(portfolio: str, intent_id: str, key: str, seq: int) -> str:
    """Return the id of a decision, by which `portfolio why` finds it; with the event's number where the intent's id was another's."""
    return f"decision:{portfolio}:{intent_id}" + (f"#{seq}" if "!" in key else "")


def _day_and_month(at: int) -> tuple[Any, str]:
    day = to_date(day_number(at))
    return day, day.isoformat()[:7]


def _amount(value: int | None, digits: int) -> Decimal | None:
    """Return minor units as an amount; None for what no column can hold: such a request was refused as invalid."""
    return None if value is None or abs(value) >= 10 ** (20 + digits) else major(value, digits)


def _decision_row(one: _Event, event: AllocationDecided, digits: int) -> tuple[Any, ...]:
    intent, made = event.intent, event.decision
    day, month = _day_and_month(made.at)
    return (
        decision_id(made.portfolio, intent.intent_id, one.key, one.seq),
        one.seq,
        one.hash,
        made.at,
        day,
        made.portfolio,
        intent.intent_id,
        intent.strategy,
        intent.symbol,
        intent.side,
        intent.template,
        intent.playbook,
        made.code,
        *(_amount(value, digits) for value in (made.requested_risk, made.scaled_risk, made.approved_risk)),
        *(_amount(value, digits) for value in (intent.requested_notional, made.approved_notional)),
        "; ".join(made.reasons),
        made.mode,
        made.multiplier / MILLION,
        _amount(made.equity, digits),
        made.facts_at or None,
        made.policy_hash,
        made.terms_version,
        made.state_version,
        made.envelope_version,
        made.expires_at or None,
        month,
    )


def _room_rows(one: _Event, event: AllocationDecided, digits: int) -> Iterator[tuple[Any, ...]]:
    made = event.decision
    identity = decision_id(made.portfolio, event.intent.intent_id, one.key, one.seq)
    day, month = _day_and_month(made.at)
    for place, room in enumerate(made.headrooms):
        places = 0 if room.basis == "count" else digits
        yield (
            identity,
            one.seq,
            place,
            day,
            made.portfolio,
            room.rule,
            room.scope,
            room.basis,
            _amount(room.limit, places),
            _amount(room.used, places),
            _amount(room.headroom, digits),
            (f"constrained:{room.rule}" if room.basis == "risk" else f"constrained:{room.rule} {room.basis}") in made.reasons,
            room.source,
            month,
        )


def _envelope_row(one: _Event, envelope: Envelope, digits: int) -> tuple[Any, ...]:
    day, month = _day_and_month(envelope.issued_at)
    return (
        f"envelope:{envelope.portfolio}:{envelope.symbol}:{envelope.version}",
        one.seq,
        one.hash,
        envelope.issued_at,
        day,
        envelope.portfolio,
        envelope.symbol,
        envelope.version,
        envelope.portfolio_mode,
        envelope.force_flatten_only,
        envelope.size_multiplier_cap / MILLION,
        *(_amount(value, digits) for value in (envelope.symbol_max_risk, envelope.max_new_risk)),
        envelope.max_additional_positions,
        envelope.binding,
        _amount(envelope.equity, digits),
        envelope.terms_version,
        envelope.expires_at,
        month,
    )
