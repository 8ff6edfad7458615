"""Run the benchmarks and print a table of ratios: `python -m benchmarks [--size S|M|L] [--only NAME] [--cache FOLDER]`.

Exit code 0 also where a goal is missed: a time is a measurement, and a busy machine is no bug. Misses are shown in red.
"""

import argparse
import os
import time
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.generate import SIZES, default_cache
from benchmarks.registry import Bench, Row, found

SHOWN = {True: Text("ok", "green"), False: Text("MISSED", "bold white on red"), None: Text("")}


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return ""
    return f"1/{1 / row.ratio:.0f}" if row.ratio < 0.1 else f"{row.ratio:.2f}" if row.ratio < 100 else f"{row.ratio:.0f}"


def table_of(rows: list[Row]) -> Table:
    """Return the rows as a table for the terminal."""
    table = Table(title="Benchmarks: ratios of one run on one machine", title_justify="left")
    for heading in ("work", "took", "reference", "took", "ratio", "goal", "", "note"):
        table.add_column(heading, justify="right" if heading in ("took", "ratio") else "left", overflow="fold")
    for row in rows:
        table.add_row(row.work, row.took, row.reference, row.reference_took, _ratio(row), row.goal, SHOWN[row.met], row.note)
    return table


def main() -> None:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="What the platform promises about speed and memory, measured.")
    names = [item.name for item in found()]
    parser.add_argument("--size", choices=sorted(SIZES), help="run at this size alone, whatever a benchmark's own sizes are")
    parser.add_argument("--only", choices=names, help="run this benchmark alone")
    parser.add_argument("--cache", type=Path, help=f"folder of generated facts (default: {default_cache().name} among temporary files)")
    arguments = parser.parse_args()
    # Arrow takes OMP_NUM_THREADS for itself; read as fast as the machine can, on both sides of every ratio
    pa.set_cpu_count(os.cpu_count() or 1)
    # as wide as its content where nobody watches, so that a log shows whole words
    console = Console(width=None if Console().is_terminal else 200)
    bench, rows = Bench(arguments.cache), []
    begun = time.perf_counter()
    for item in found():
        if arguments.only not in (None, item.name):
            continue
        sizes = ("",) if not item.sizes else (arguments.size,) if arguments.size else item.sizes
        for size in sizes:
            console.print(f"[dim]{item.name} {size}[/dim]")
            rows += list(item.work(bench, size))
    console.print(table_of(rows))
    missed = [row for row in rows if row.met is False]
    console.print(
        f"{len(rows)} lines in {time.perf_counter() - begun:.0f} s", "" if not missed else f"[bold red]{len(missed)} MISSED[/bold red]"
    )
    for row in missed:
        console.print(f"[bold red]MISSED[/bold red] {row.work}: {row.took}, goal {row.goal}{', ' + row.note if row.note else ''}")


if __name__ == "__main__":
    main()
