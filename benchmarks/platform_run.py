"""The platform's own path in memory: facts from Parquet, the ledger's step, concentration of every session."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from portfolio_platform.diagnostics.concentration import Concentration, Exposures, concentration
from portfolio_platform.lake.facts import FACTS, UNCLASSIFIED
from portfolio_platform.ledger.advance import Facts, LedgerState, Step, advance
from portfolio_platform.ledger.inputs import FILL_COLUMNS, Reference
from portfolio_platform.policy.model import AccountingPolicy

BAR_COLUMNS = ("symbol", "ts", "close")
NAMES = ("portfolio", "strategy", "symbol", "side", "currency", "template", "playbook")


@dataclass(frozen=True)
class Classes:
    """Sector and cohort of each symbol."""

    sector: dict[str, str]
    cohort: dict[str, str]


def read_facts(folder: Path) -> tuple[Facts, Classes]:
    """Read what the ledger needs of generated facts: the columns in use, names as dictionaries."""
    instruments = pq.read_table(folder / "instruments.parquet").to_pylist()
    known = Reference(
        multiplier={row["symbol"]: float(row["multiplier"]) for row in instruments},
        calendar={row["symbol"]: row["calendar"] for row in instruments},
        currency={row["symbol"]: row["currency"] for row in instruments},
        base_currency={},
    )
    facts = Facts(
        fills=pq.read_table(folder / "fills.parquet", columns=list(FILL_COLUMNS), read_dictionary=list(NAMES)),
        bars=pq.read_table(folder / "bars.parquet", columns=list(BAR_COLUMNS), read_dictionary=["symbol"]),
        cash_flows=pq.read_table(folder / "cash_flows.parquet"),
        corporate_actions=FACTS["corporate_actions"].table.arrow_schema().empty_table(),
        fx_rates=FACTS["fx_rates"].table.arrow_schema().empty_table(),
        reference=known,
    )
    return facts, Classes({row["symbol"]: row["sector"] for row in instruments}, {row["symbol"]: row["cohort"] for row in instruments})
