"""A paper run from the command line: killed by the system at several points it leaves what one leaves that nobody touched."""

import gzip
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from portfolio_platform.cli.main import app
from portfolio_platform.home import Home
from portfolio_platform.lake.facts import CASH_FLOWS, FILLS, INTENTS, SIGNALS
from portfolio_platform.sources.pipeline import import_paths
from tests.conftest import LAST_DAY, SAMPLE
from tests.unit.paper.reading import left

WINDOW = ("--from", "2007-04-16", "--to", "2007-05-18")
PROVENANCE = ("import_seq", "recorded_at")
"""How often an import was begun is not what it says."""


@pytest.fixture(scope="module")
def with_bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paper")
    home = Home(folder / "home")
    home.create()
    home.pin_clock(LAST_DAY)
    with gzip.open(SAMPLE / "bars.csv.gz", "rt", encoding="utf-8") as packed:
        header, *rows = packed
    (folder / "bars.csv").write_text(header + "".join(row for row in rows if row.split(",")[1][:10] <= "2007-05-21"))
    import_paths(home, [SAMPLE / "instruments.csv", folder / "bars.csv"])
    home.book.close()
    return home.root


def command(home: Path, *more: str) -> list[str]:
    return ["paper", "run", "--home", str(home), *WINDOW, "--no-build", *more]


def sessions(home: Path) -> int:
    """Return how many sessions the book has, as another process sees it."""
    with sqlite3.connect(f"file:{home / 'book.sqlite'}?mode=ro", uri=True, timeout=30) as connection:
        found: tuple[int] = connection.execute("SELECT count(*) FROM events WHERE type = 'paper_session'").fetchone()
    return found[0]


def killed_at(home: Path, wanted: int) -> None:
    """Run until the book has so many sessions, and kill the process there."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "portfolio_platform.cli.main", *command(home)], stderr=subprocess.DEVNULL, env=environment
    ) as process:
        deadline = time.monotonic() + 120
        while sessions(home) < wanted:
            assert process.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def facts(home: Path) -> dict[str, list[dict[str, object]]]:
    lake = Home(home).lake
    found = {}
    for fact in (FILLS, CASH_FLOWS, SIGNALS, INTENTS):
        rows = lake.read(fact.table).drop_columns(list(PROVENANCE)).to_pylist()
        found[fact.name] = sorted(({name: str(value) for name, value in row.items()} for row in rows), key=lambda row: row["row_id"])
    return found  # type: ignore[return-value]


def test_a_run_killed_by_the_system_goes_on_to_the_same_bytes(with_bars: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    shutil.copytree(with_bars, whole)
    shutil.copytree(with_bars, killed)
    done = CliRunner().invoke(app, command(whole))
    assert done.exit_code == 0, done.output
    for wanted in (5, 19):
        killed_at(killed, wanted)
    assert CliRunner().invoke(app, command(killed)).exit_code == 0
    assert left(Home(killed)) == left(Home(whole))
    assert facts(killed) == facts(whole)
    assert len(facts(whole)["fills"]) > 1


def test_the_end_of_a_run_says_what_the_specification_asks(with_bars: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(with_bars, home)
    short = ["paper", "run", "--home", str(home), "--from", "2007-04-16", "--to", "2007-04-27", "--no-build"]
    (tmp_path / "symbols.txt").write_text("symbol\nGOOG\nIBM # blue\nWTI\nSIM24\n")
    done = CliRunner().invoke(app, [*short, "--universe", str(tmp_path / "symbols.txt")])
    assert done.exit_code == 0, done.output
    for said in ("concurrent", "right template", "thirty days", "fan-out", "next: portfolio build"):
        assert said in done.output
    other = CliRunner().invoke(app, [*short, "--monitor", "weekly"])
    assert other.exit_code == 2
    assert "begun with other options" in other.output
    status = CliRunner().invoke(app, ["paper", "status", "--home", str(home)])
    assert status.exit_code == 0
    assert "paper: 2007-04-16 to 2007-04-27, finished up to 2007-04-27" in status.output
    told = json.loads(CliRunner().invoke(app, ["paper", "status", "--home", str(home), "--json"]).output)
    assert told["day"] == "2007-04-27"
    nobody = CliRunner().invoke(app, ["paper", "status", "--home", str(home), "-p", "other"])
    assert nobody.exit_code == 2
    assert "there are: paper" in nobody.output
