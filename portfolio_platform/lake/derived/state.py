"""The tables that builds go on from: saved states of the accounting, and how far each build is."""

from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.derived.words import (
    DAY,
    PLAYBOOK,
    POSITION,
    SYMBOL,
    TEMPLATE,
    number,
    of,
)

STATE_POSITIONS = Table(
    "state_positions",
    "State of the accounting at the end of a saved day, by position: where one more day goes on from.",
    (
        DAY,
        *POSITION,
        of("text", "currency", "currency of the position"),
        of("decimal", "quantity", "open quantity", "units"),
        number("average_cost", "average cost"),
        number("realised_pnl", "cumulative realised P&L"),
        number("fees", "cumulative fees"),
        number("income", "cumulative dividends"),
        number("stop_price", "stop in force"),
        number("fill_price", "last fill price, in today's units"),
        of("timestamp", "fill_ts", "time of that fill", "ns UTC"),
        of("day", "first_day", "day of the first fill"),
        of("timestamp", "trip_opened_at", "opening of the open round trip", "ns UTC"),
        of("decimal", "trip_entry_quantity", "units entered in the open round trip", "units"),
        number("trip_entry_value", "price times units entered"),
        of("decimal", "trip_exit_quantity", "units left in the open round trip", "units"),
        number("trip_exit_value", "price times units left"),
        number("trip_realised", "P&L of the open round trip so far"),
        number("trip_fees", "fees of the open round trip so far"),
        of("text", "trip_row_id", "row id of its opening fill"),
        of("text", "trip_template", "template of its opening fill"),
        of("text", "trip_playbook", "playbook of its opening fill"),
    ),
    ("day", "portfolio", "strategy", "symbol", "currency"),
)

STATE_LOTS = Table(
    "state_lots",
    "Open FIFO lots at the end of a saved day.",
    (
        DAY,
        *POSITION,
        of("text", "currency", "currency of the position"),
        of("integer", "lot", "position of the lot in the queue, 0 the oldest"),
        of("decimal", "quantity", "open quantity of the lot", "units"),
        number("price", "entry price (after splits)"),
        number("fee_per_unit", "entry fee for one unit (after splits)"),
        of("timestamp", "opened_at", "time of its fill", "ns UTC"),
        TEMPLATE,
        PLAYBOOK,
        of("text", "row_id", "row id of its fill"),
    ),
    ("day", "portfolio", "strategy", "symbol", "currency", "lot"),
)

STATE_MARKS = Table(
    "state_marks",
    "Last bar of every symbol at the end of a saved day.",
    (
        DAY,
        SYMBOL,
        of("timestamp", "ts", "close of the bar", "ns UTC"),
        number("close", "its close, as traded"),
    ),
    ("day", "symbol"),
)

PROGRESS = Table(
    "progress",
    "The builds of the derived tables: how far each went, from which day on it wrote, and what it rests on.",
    (
        of("text", "name", "derived table, or the group of tables that are built together"),
        of("integer", "generation", "counts the builds of this name"),
        of("day", "built_until", "last day that is built"),
        of("day", "changed_from", "earliest day that this build wrote"),
        of("integer", "import_seq", "newest import it rests on"),
        of("text", "upstreams", "builds of the tables upstream that it rests on: JSON, generation by name"),
        of("text", "policy_hash", "policy it was built under"),
        of("text", "code_version", "version of the code that built it"),
    ),
    ("name", "generation"),
)
