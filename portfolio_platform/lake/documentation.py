"""The tables as a page of documentation: `python -m portfolio_platform.lake.documentation > docs/tables.md`."""

import sys

from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.derived import DERIVED
from portfolio_platform.lake.facts import CONTESTED, FACTS, IMPORTS, QUARANTINE

HEAD = """# Tables of the lake

Written from the declarations in `portfolio_platform/lake/facts.py` and `derived.py` by
`python -m portfolio_platform.lake.documentation > docs/tables.md`; a test holds the two equal. Names and columns are a
contract. `portfolio show TABLE` prints any of them; Delta Lake readers (Spark, DuckDB, Polars, ...) open them under
`lake/` in the home.

**Types.** `decimal` is exact, 38 digits of which 18 after the point. `timestamp` is an integer of nanoseconds UTC.
`day` is a UTC day: day D is (D 00:00Z, D+1 00:00Z], so a close at midnight belongs to the day that ends. `number` is a
64-bit float. Fractions are fractions (0.06 is 6 %). A null has its reason in the column `reason`. `month` (YYYY-MM)
names the folder that a row lies in.
"""


def page() -> str:
    """Return the whole page as markdown."""
    parts = [
        HEAD,
        "## Facts\n\nWhat the sources said, every row with the import that brought it. Of rows with one id\n"
        "the highest undisputed revision is in force.\n",
    ]
    parts += [_table(fact.table) for fact in FACTS.values()]
    parts.append("## Imports\n")
    parts += [_table(table) for table in (IMPORTS, QUARANTINE, CONTESTED)]
    parts.append("## Derived tables\n")
    parts += [_table(table) for table in DERIVED.values()]
    return "\n".join(parts)


def _table(table: Table) -> str:
    lines = [f"### {table.name}", "", table.description, "", f"Key: {', '.join(f'`{name}`' for name in table.key)}.", ""]
    lines += ["| column | type | unit | meaning |", "| --- | --- | --- | --- |"]
    for column in table.columns:
        said = column.description + (f" ({', '.join(column.choices)})" if column.choices else "")
        said += "; must be given" if column.required and column.name != "month" else ""
        said += f"; {column.default} where not given" if column.default else ""
        said += {"positive": "; above 0", "not_negative": "; 0 or above", "not_zero": "; not 0"}.get(column.sign, "")
        lines.append(f"| `{column.name}` | {column.kind} | {column.unit} | {said} |".replace("  ", " "))
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.stdout.write(page())
