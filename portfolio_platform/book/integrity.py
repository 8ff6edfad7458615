"""Whether the store under the book is sound: pages, indices, references. The hash chain does not look at those."""

from sqlalchemy import Connection

MOST = 20
"""How many damages are named."""


def damages(connection: Connection, *, thorough: bool = True) -> list[str]:
    """Return what the store itself finds wrong, in its words; nothing where all is well.

    SQLite: ``PRAGMA integrity_check``, or the quicker ``quick_check``, which leaves indices out; and rows that refer to none.
    Postgres checks its pages by itself where checksums are on, and has no such statement: nothing is found there.

    Args:
        connection: any transaction.
        thorough: also compare every index with its table.
    """
    if connection.dialect.name != "sqlite":
        return []
    check = "integrity_check" if thorough else "quick_check"
    said = [str(row[0]) for row in connection.exec_driver_sql(f"PRAGMA {check}({MOST})")]
    found = [] if said == ["ok"] else said
    for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(MOST):
        found.append(f"row {row} of {table} refers to a row of {parent} that is not there")
    return found
