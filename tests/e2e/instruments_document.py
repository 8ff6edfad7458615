"""The commands and outputs in docs/instruments.md, written between the page's markers.

`python -m tests.e2e.instruments_document` writes those of a month anew (``made``), and a test says whether it would;
`python -m tests.e2e.instruments_document years` also runs the four years of the sample and writes what it says (``measured``).
"""

import json
import re
import sys
import time
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from portfolio_platform.explain.instruments import why_instrument
from portfolio_platform.home import Home
from portfolio_platform.instruments.store import InstrumentLog, symbols_of
from portfolio_platform.sources.pipeline import import_paths
from tests.conftest import LAST_DAY, SAMPLE
from tests.e2e.control_plane import ROOT, Walk
from tests.unit.paper.conftest import _bars_alone
from tests.unit.paper.ran import run_month

PAGE = ROOT / "docs" / "instruments.md"
FROM, TO = date(2007, 1, 3), date(2010, 12, 31)


def told(walk: Walk) -> str:
    """Return what a walk said since the last time as a block of the page; hashes stay: they are the same in every run."""
    lines, walk.said = walk.said, []
    text = "\n".join(lines).replace(str(walk.home.root.parent) + "/", "")
    return f"```console\n{text.strip()}\n```\n"


def of_month(home: Home) -> dict[str, str]:
    """Return the sections of a month's run."""
    entered, waiting = _entered(home), _waiting(home)
    walk, found = Walk(home), dict[str, str]()
    walk.run("portfolio instruments list")
    found["list"] = told(walk)
    walk.run(f"portfolio instruments show {entered[0]}")
    found["show"] = told(walk)
    walk.run(f"portfolio instruments why {entered[0]} --setup {entered[1]}")
    found["why"] = told(walk)
    walk.run(f"portfolio instruments why {waiting} --no-entry")
    found["no entry"] = told(walk)
    walk.run(f"portfolio instruments stop {entered[0]} --by ada --reason 'earnings next week'")
    found["stop"] = told(walk)
    home.book.close()
    return found


def _entered(home: Home) -> tuple[str, int]:
    """Return the symbol whose newest position is the oldest, and the number of its setup: it has most to tell."""
    with home.book.reading() as connection:
        placed = InstrumentLog(home.book).load(connection, "paper", symbols_of(connection, "paper"))
    held = [(one.state.position.opened_at, symbol, one.state.position.trade_id) for symbol, one in placed.items() if one.state.position]
    closed = [
        (one.state.outcomes[-1].opened_at, symbol, one.state.outcomes[-1].trade_id) for symbol, one in placed.items() if one.state.outcomes
    ]
    _, symbol, trade = min(held or closed)
    return symbol, int(trade.rpartition(":")[2])


def _waiting(home: Home) -> str:
    """Return a symbol that armed nothing at its newest boundary because its conditions did not hold."""
    with home.book.reading() as connection:
        symbols = symbols_of(connection, "paper")
    trees = {symbol: why_instrument(home, "paper", symbol, none=True) for symbol in symbols}
    return next(symbol for symbol, tree in trees.items() if "does not hold" in tree.words)


def of_years(folder: Path) -> dict[str, str]:
    """Return the sections of the four years of the sample: minutes of work."""
    home = Home(folder / "home")
    home.create()
    home.pin_clock(LAST_DAY)
    import_paths(home, [SAMPLE / "instruments.csv", SAMPLE / "bars.csv.gz"])
    walk, found = Walk(home), dict[str, str]()
    began = time.process_time()
    walk.run(f"portfolio paper run --from {FROM} --to {TO}", keep=_without_progress)
    seconds = time.process_time() - began
    found["run"] = told(walk) + f"\nIt took {seconds:.0f} s of processor time, every table of the home at the end included.\n"
    found["monitor"] = _monitored(walk)
    output = walk.run(f"portfolio paper compare --control off --from {FROM} --to {TO}", keep=_without_progress)
    assert "page:" in output
    found["compare"] = told(walk)
    home.book.close()
    return found


def _without_progress(lines: list[str]) -> list[str]:
    return [line for line in lines if not re.match(r"\d{4}-\d\d-\d\d \d|[\w ]+: \d{4}-\d\d-\d\d, \d", line)]


def _monitored(walk: Walk) -> str:
    """Return the newest recommendation that was applied, what it says, and what it became."""
    listed = walk.run("portfolio recommendations list --all --json")
    rows = json.loads(listed[listed.index("[") :])
    walk.said = []
    applied = [row for row in rows if row.get("commands") not in (None, "", "[]", [])]
    if applied:
        identity = str(applied[-1].get("id") or applied[-1].get("recommendation_id"))
        walk.run(f"portfolio recommendations show {identity}", keep=told_fields)
    walk.run("portfolio control state paper")
    return told(walk)


def told_fields(lines: list[str]) -> list[str]:
    """Return the lines of a shown recommendation that say what it is for: the others are for programs."""
    kept, found = True, []
    for line in lines:
        name = line[1:].partition("│")[0].strip() if line.startswith("│") else "state"
        kept = name in ("state", "holds", "reason") if name else kept
        found += [line] if kept else []
    return [*found[:-1], "│ …                 │", found[-1]]


def written(page: str, made: dict[str, str], kind: str) -> str:
    """Return the page with its sections of a kind as they are now; every section has its place, and every place its section."""
    end = f"<!-- {kind}: end -->"
    for name, text in made.items():
        begin = f"<!-- {kind}: {name} -->"
        if page.count(begin) != 1:
            raise AssertionError(f"{PAGE.name} has no one place {begin}")
        head, _, rest = page.partition(begin)
        page = f"{head}{begin}\n{text}{end}{rest.partition(end)[2]}"
    places = [name for name in re.findall(rf"<!-- {kind}: ([\w ]+) -->", page) if name != "end"]
    if sorted(places) != sorted(made):
        raise AssertionError(f"{PAGE.name} has places {places}, and there are sections {sorted(made)}")
    return page


def main(arguments: list[str]) -> None:
    """Write the page anew."""
    with TemporaryDirectory() as place:
        bars = Path(place) / "bars"
        bars.mkdir()
        _bars_alone(bars)
        page = written(PAGE.read_text(encoding="utf-8"), of_month(run_month(bars, Path(place) / "month")), "made")
        PAGE.write_text(page, encoding="utf-8")
        if "years" in arguments:
            (Path(place) / "years").mkdir()
            found = of_years(Path(place) / "years")
            PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), found, "measured"), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
