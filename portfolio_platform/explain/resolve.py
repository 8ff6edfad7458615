"""From the id of a number or a row to its draft: which table it is in, whether it is there, and how its ids look."""

import difflib

from portfolio_platform.errors import WrongUse
from portfolio_platform.evidence.ids import Address, RowAddress, identity_column, parse_evidence_id, parse_row_id
from portfolio_platform.explain.cells import cell, whole
from portfolio_platform.explain.sources import Row, Sources
from portfolio_platform.explain.tree import Draft, listing
from portfolio_platform.lake.derived import TABLES
from portfolio_platform.lake.facts import FACTS, QUARANTINE


def at_evidence_id(of: Sources, text: str) -> Draft:
    """Return the number or the row that an id names. Raises `WrongUse` where there is none."""
    table = TABLES.get(text.split("/", 1)[0])
    if table is not None and identity_column(table) and not (table is QUARANTINE and text.count("/") == 3):
        return _of_row(of, parse_row_id(text))
    address = parse_evidence_id(text)
    if address.table is QUARANTINE:
        return set_aside(of, address)
    found = row_at(of, address)
    if found is None:
        raise WrongUse(f"there is no row of {address.table.name} for {text!r}; {_nearest(of, address)}")
    return cell(of, found, address.column)


def row_at(of: Sources, address: Address) -> Row | None:
    """Return the row that holds a number; None where there is none."""
    rest = {name: value for name, value in address.key.items() if name not in ("day", "portfolio")}
    return of.row(address.table, address.portfolio, address.day, **_typed(address, rest))


def _typed(address: Address, rest: dict[str, object]) -> dict[str, object]:
    kinds = {column.name: column.kind for column in address.table.columns}
    return {name: int(str(value)) if kinds[name] == "integer" else value for name, value in rest.items()}


def _nearest(of: Sources, address: Address) -> str:
    """Say which days or keys there are near one that is not there."""
    days = of.days(address.portfolio)
    if not days:
        names = ", ".join(of.portfolios) or "none"
        return f"there is no portfolio {address.portfolio!r}; there is {names}"
    if address.day not in days:
        earlier = [day for day in days if day < address.day]
        return f"{address.day} was no session of {address.portfolio}; the nearest before it is {earlier[-1] if earlier else days[0]}"
    there = of.rows(address.table, address.portfolio, address.day, address.day)
    if not there:
        return f"{address.table.name} has no row of that day; run `portfolio build`"
    ids = {
        "/".join(str(row[name]) for name in address.table.key if name not in ("day", "portfolio")): row.id(address.column) for row in there
    }
    close = difflib.get_close_matches("/".join(address.rest), ids, n=3, cutoff=0.3) or list(ids)[:3]
    near = [ids[name] for name in close]
    return f"that day has {len(there)} such rows, among them {', '.join(near)}"


def _of_row(of: Sources, address: RowAddress) -> Draft:
    if address.table.name in FACTS:
        from portfolio_platform.explain.tables.facts import fact_line, statements

        rows = statements(of, address.table, address.identity)
        if not rows:
            raise WrongUse(f"there is no row {address.identity!r} in {address.table.name}; {near_ids(of, address)}")
        lines = [fact_line(of, row) for row in reversed(rows)]
        if len(lines) == 1:
            return lines[0]
        words = "the highest undisputed revision is in force"
        return listing(f"{len(lines)} statements of {address.table.name} {address.identity}", lambda: lines, words)
    row = of.by_id(address.table, address.identity)
    if row is None:
        raise WrongUse(f"there is no row {address.identity!r} in {address.table.name}; {near_ids(of, address)}")
    return cell(of, row, address.column) if address.column else whole(of, row)


def near_ids(of: Sources, address: RowAddress) -> str:
    """Say which ids look like one that is not there."""
    own = identity_column(address.table)
    known = of.home.lake.read(address.table, [own])[own].to_pylist()
    near = difflib.get_close_matches(address.identity, known, n=3)
    return f"near it are {', '.join(near)}" if near else f"`portfolio show {address.table.name}` lists them"


def set_aside(of: Sources, address: Address) -> Draft:
    """Return the rows that were set aside up to a day."""
    from portfolio_platform.days import end_of_day_ns, format_timestamp
    from portfolio_platform.sources.pipeline import quarantined

    found = [row for row in quarantined(of.home.lake).to_pylist() if row["portfolio"] in (address.portfolio, None)]
    mine = [row for row in found if row["ts"] is None or row["ts"] <= end_of_day_ns(address.day)]

    def lines() -> list[Draft]:
        return [
            Draft(
                f"{row['fact']}: {row['source_file']} line {row['source_line']}",
                words=f"{row['column']} {row['value']!r}: {row['rule']}; {row['remedy']}"
                + (f"; of {format_timestamp(row['ts'])}" if row["ts"] is not None else "")
                + f"; import {row['import_seq']}",
            )
            for row in mine
        ]

    words = "rows in quarantine of that portfolio up to the day, those without a portfolio or a time included"
    return Draft(f"rows set aside for {address.portfolio} up to {address.day}", len(mine), f"{len(mine):,} rows", words,
                 f"quarantine/{address.portfolio}/{address.day}/rows", lines, listed=True)  # fmt: skip
