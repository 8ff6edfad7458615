"""Decisions and envelopes of the log as tables of the lake: appended by the number of their event, so that a second time adds nothing.

The log is the truth; the tables are a copy to read, filter and draw. How far a table is, is in its own rows: an append is whole or
not there. Where the log is another than the one that was copied, which the hash of the last copied event shows, all is copied anew.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

import orjson
import pyarrow as pa
from sqlalchemy import Connection, select

from portfolio_platform.book import schema
from portfolio_platform.control.events import DECIDED, ENVELOPE_ISSUED, AllocationDecided, decode, decode_envelope
from portfolio_platform.control.model import MILLION, AllocationDecision, Envelope
from portfolio_platform.control.money import major
from portfolio_platform.control.pipeline.digits import digits_by_portfolio
from portfolio_platform.days import day_number, to_date
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.columns import Table

AT_ONCE = 5_000
"""How many events one append holds."""
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
        for table, also in ((derived.ALLOCATION_DECISIONS, derived.DECISION_HEADROOMS), (derived.CONSTRAINT_ENVELOPES, None)):
            if not _same_log(home, table):
                for other in (table, also):
                    if other is not None:
                        home.lake.replace(other, other.arrow_schema().empty_table())
        return Copied(_copy_decisions(home), _copy_envelopes(home))


def _is_behind(home: Home) -> bool:
    """Say whether the log has a decision or an envelope that its table has not, or is another log. No lock is taken."""
    for table, kind in ((derived.ALLOCATION_DECISIONS, DECIDED), (derived.CONSTRAINT_ENVELOPES, ENVELOPE_ISSUED)):
        with home.book.reading() as connection:
            newest = connection.execute(select(_LOG.seq).where(_LOG.type == kind).order_by(_LOG.seq.desc()).limit(1)).scalar_one_or_none()
        if (newest or 0) != home.lake.largest(table, "seq") or not _same_log(home, table):
            return True
    return False


def _same_log(home: Home, table: Table) -> bool:
    """Say whether the last event that was copied is in the log as it was copied."""
    import pyarrow.compute as pc

    last = home.lake.largest(table, "seq")
    if not last:
        return True
    copied = home.lake.read(table, ["event_hash"], pc.field("seq") == last)["event_hash"].to_pylist()
    with home.book.reading() as connection:
        found = connection.execute(select(_LOG.hash).where(_LOG.seq == last)).scalar_one_or_none()
    return found in copied
