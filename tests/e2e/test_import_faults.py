"""An import or a build that is killed anywhere loses nothing and doubles nothing; several processes do not disturb each other."""

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from portfolio_platform.build import build_all
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.facts import CASH_FLOWS, CONTESTED, FILLS, IMPORTS, QUARANTINE
from portfolio_platform.lake.store import Lake
from portfolio_platform.ledger import pipeline as ledger
from portfolio_platform.sources.pipeline import import_paths, quarantined
from portfolio_platform.stage import build_stage
from portfolio_platform.stages import STAGES
from tests.e2e.running import fill, fills

LAST = date(2010, 5, 14)
FILES = {
    "fills.csv": fills(fill(1), fill(2), fill(2, price="99"), fill(3, side="sell"), fill(4, price="-1"), fill(5), fill(6)),
    "cash_flows.csv": "flow_id,ts,portfolio,amount,kind\nC1,2010-05-03T09:00:00Z,main,100000,deposit\n",
}
BEFORE = fills(fill(3, side="sell", quantity="1"), fill(7))
"""What the home holds already; E3 is then in dispute."""
COMPARED = ("ledger_snapshots", "cash_balances", "portfolio_equity", "round_trips", "concentration_metrics", "drawdown_state")

KILLER = """
import os, sys
from pathlib import Path
from portfolio_platform.lake.store import Lake
from portfolio_platform.cli.main import main

original, left = Lake._write, [int(sys.argv.pop(1))]

def write(self, *arguments, **named):
    if not left[0]:
        os._exit(9)
    left[0] -= 1
    original(self, *arguments, **named)

Lake._write = write
main()
"""


READER = """
import sys
from portfolio_platform.cli.main import main

for table in ("fills", "portfolio_equity", "tables"):
    sys.argv[1:] = ["show", table, "--json", "--home", sys.argv[-1]]
    try:
        main()
    except SystemExit as end:
        assert not end.code, f"show {table}: {end.code}"
    print("=====", flush=True)
"""
"""A process that reads three times, one command after another."""


class Killed(BaseException):
    """Stands for a kill: no handler of the program catches it."""


def opened(root: Path) -> Home:
    home = Home(root)
    home.create()
    home.pin_clock(LAST)
    return home


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    for name, text in FILES.items():
        (made / name).write_text(text, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with some fills, whose tables are built; made once, and only copied."""
    folder = tmp_path_factory.mktemp("started")
    home = opened(folder / "home")
    before = folder / "fills_before.csv"
    before.write_text(BEFORE, encoding="utf-8")
    import_paths(home, [before])
    build_all(home)
    home.book.close()
    return home.root


@pytest.fixture
def start(started: Path, tmp_path: Path) -> Path:
    """A home with some fills, whose tables are built, for one test alone."""
    return shutil.copytree(started, tmp_path / "start")


def copied(start: Path, name: str) -> Home:
    root = start.with_name(name)
    shutil.copytree(start, root)
    return Home(root)


def build_compared(home: Home) -> None:
    """Build the tables that are compared and what they rest on: an import that was killed had built nothing of any other either."""
    ledger.build(home)
    needed: set[str] = set()
    for stage in reversed(STAGES):
        if stage.name in needed or {table.name for table in stage.tables} & {*COMPARED}:
            needed |= {stage.name, *stage.upstreams}
    for stage in STAGES:
        if stage.name in needed:
            build_stage(home, stage)


def content(home: Home, build: Callable[[Home], object] = build_compared) -> dict[str, Any]:
    """Return all that must not depend on what happened on the way: rows, what is set aside, derived tables."""
    build(home)
    found: dict[str, Any] = {}
    for fact in (FILLS, CASH_FLOWS):
        keys = home.lake.read(fact.table, ["row_id", "revision", "content_hash"]).to_pylist()
        found[fact.name] = sorted(tuple(row.values()) for row in keys)
        found[f"{fact.name} in force"] = sorted(active.read(home.lake, fact, ("row_id",))["row_id"].to_pylist())
    found["contested"] = sorted(home.lake.read(CONTESTED, ["row_id"])["row_id"].to_pylist())
    found["set aside"] = sorted(quarantined(home.lake)["quarantine_id"].to_pylist())
    found["quarantine"] = sorted(home.lake.read(QUARANTINE, ["quarantine_id"])["quarantine_id"].to_pylist())
    found["first day"] = home.first_day
    for name in COMPARED:
        table = derived.DERIVED[name]
        rows = home.lake.read(table).sort_by([(key, "ascending") for key in table.key])
        found[name] = rows.to_pylist()
    return found


@pytest.fixture
def killed_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, bool], None]:
    """Return a function that lets ``n`` writes of any lake pass and kills at the next one, before or after it."""
    original = Lake._write

    def arm(writes: int, done: bool) -> None:
        left = [writes]

        def write(self: Lake, *arguments: Any, **named: Any) -> None:
            if left[0] == 0 and not done:
                raise Killed
            original(self, *arguments, **named)
            if left[0] == 0:
                raise Killed
            left[0] -= 1

        monkeypatch.setattr(Lake, "_write", write)

    def set_(writes: int, done: bool) -> None:
        if writes < 0:
            monkeypatch.setattr(Lake, "_write", original)
        else:
            arm(writes, done)

    return set_


def points(run: Callable[[], object], arm: Callable[[int, bool], None], done: bool, n: int) -> bool:
    """Run with a kill at write ``n``; say whether it came to that."""
    arm(n, done)
    try:
        run()
    except Killed:
        return True
    finally:
        arm(-1, False)
    return False


@pytest.mark.parametrize("done", [False, True], ids=["before a write", "after a write"])
def test_an_import_killed_at_any_write_is_completed_by_the_next(
    start: Path, folder: Path, killed_after: Callable[[int, bool], None], done: bool
) -> None:
    whole = copied(start, "whole")
    import_paths(whole, [folder])
    expected = content(whole)
    assert len(expected["fills"]) == 8 and expected["contested"] == ["main|E2", "main|E3"] and len(expected["quarantine"]) == 1
    for n in range(20):
        home = copied(start, f"killed{n}")
        if not points(lambda home=home: import_paths(home, [folder]), killed_after, done, n):  # type: ignore[misc]
            break
        import_paths(Home(home.root), [folder])
        assert content(Home(home.root)) == expected, f"killed at write {n}"
        sequences = home.lake.read(IMPORTS, ["import_seq", "fact"]).to_pylist()
        assert len({tuple(row.values()) for row in sequences}) == len(sequences)
    assert n == 5, "contested, fills, quarantine, cash flows, imports"


def test_a_first_import_killed_after_its_fills_leaves_a_ledger_that_begins_on_its_first_day(
    tmp_path: Path, folder: Path, killed_after: Callable[[int, bool], None]
) -> None:
    home = opened(tmp_path / "home")
    assert points(lambda: import_paths(home, [folder]), killed_after, True, 1)
    build_all(home)
    days = home.lake.read(derived.PORTFOLIO_EQUITY, ["day"])["day"].to_pylist()
    assert min(days) == date(2010, 5, 3) == home.first_day


def test_a_build_killed_at_a_write_is_completed_by_the_next(start: Path, folder: Path, killed_after: Callable[[int, bool], None]) -> None:
    base = copied(start, "imported")
    import_paths(base, [folder])
    whole = copied(base.root, "whole")
    expected = content(whole, build_all)
    for n in range(0, 99, 11):
        home = copied(base.root, f"killed{n}")
        if not points(lambda home=home: build_all(home), killed_after, False, n):  # type: ignore[misc]
            break
        assert content(Home(home.root), build_all) == expected, f"killed at write {n}"
    assert 9 < n < 99


def run(*arguments: str | Path, killer: int | None = None) -> "subprocess.Popen[str]":
    command = ["-c", KILLER, str(killer)] if killer is not None else ["-m", "portfolio_platform.cli.main"]
    return subprocess.Popen(
        [sys.executable, *command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    stdout, stderr = process.communicate(timeout=120)
    return process.returncode, stdout, stderr


@pytest.mark.parametrize("writes", [2])
def test_a_process_that_dies_in_an_import_leaves_no_lock_and_nothing_half_done(start: Path, folder: Path, writes: int) -> None:
    whole = copied(start, "whole")
    import_paths(whole, [folder])
    home = copied(start, "died")
    assert ended(run("import", folder, "--home", home.root, killer=writes))[0] == 9
    began = time.monotonic()
    import_paths(home, [folder])
    assert time.monotonic() - began < 20, "the lock of a dead process is free"
    assert content(home) == content(whole)


@pytest.mark.parametrize("seed", [1, 2])
def test_an_import_killed_at_a_random_moment_is_completed_by_the_next(start: Path, folder: Path, seed: int) -> None:
    whole = copied(start, "whole")
    import_paths(whole, [folder])
    home = copied(start, "killed")
    process = run("import", folder, "--home", home.root)
    time.sleep(random.Random(seed).uniform(0.6, 1.8))
    process.kill()
    ended(process)
    import_paths(home, [folder])
    assert content(home) == content(whole)


def test_two_processes_that_import_the_same_files_import_each_fill_once(start: Path, folder: Path) -> None:
    whole = copied(start, "whole")
    import_paths(whole, [folder])
    home = copied(start, "shared")
    both = [run("import", folder, "--home", home.root, "--json") for _ in range(2)]
    assert [ended(process)[0] for process in both] == [1, 1], "one row is wrong, which both of them tell"
    assert content(home) == content(whole)


@pytest.fixture
def writer(start: Path, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """A process that imports and builds again and again; each of its imports brings four fills."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom portfolio_platform.home import Home\n"
        "from portfolio_platform.build import build_all\nfrom portfolio_platform.sources.pipeline import import_paths\n"
        "from tests.e2e.running import fill, fills\nhome, n = Home(Path(sys.argv[1])), 0\n"
        "file = Path(sys.argv[2])\nprint('ready', flush=True)\n"
        "while not file.with_name('stop').exists():\n"
        "    file.write_text(fills(*(fill(8, execution_id=f'W{n}-{i}') for i in range(4))), encoding='utf-8')\n"
        "    import_paths(home, [file])\n    build_all(home)\n    n += 1\n    time.sleep(0.2)\n"
    )
    file = tmp_path / "fills_w.csv"
    command = [sys.executable, "-c", code, str(start), str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None

    def stop() -> None:
        file.with_name("stop").touch()
        assert process.wait(120) == 0

    try:
        assert process.stdout.readline() == "ready\n"
        yield stop
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()


def test_readers_beside_a_writer_all_end_well_and_see_whole_imports(start: Path, writer: Callable[[], None]) -> None:
    """Twelve readings and more by processes of three each, until the writer has imported twice beside them."""

    def imported_twice() -> bool:
        return len(active.read(Home(start).lake, FILLS, ("row_id",))) > 2 + 4

    begun, running = 0, list["subprocess.Popen[str]"]()
    while running or begun < 4 or not imported_twice():
        while len(running) < 2 and begun < 20 and (begun < 4 or not imported_twice()):
            command = [sys.executable, "-c", READER, str(start)]
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"))
            begun += 1
        assert running, "sixty readings have ended, and the writer has not imported twice"
        code, stdout, stderr = ended(running.pop(0))
        assert (code, stderr) == (0, ""), f"{code} {stderr}"
        found, equity, tables, rest = stdout.split("=====")
        assert (found.count('"execution_id"') - 2) % 4 == 0, "half an import was seen"
        assert equity.count('"day"') == 9, "half a build was seen"
        assert tables.strip() and not rest.strip()
    writer()
