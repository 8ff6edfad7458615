"""The long form of the proofs, with figures: `make prove`. Exit code 1 where anything does not hold."""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from rich.console import Console
from rich.table import Table

from portfolio_platform.book.location import sqlite_url
from tests.simulation.kills import Survived, survive
from tests.simulation.machine import ControlMachine
from tests.simulation.mutants import MUTANTS, caught
from tests.simulation.torn import tear
from tests.simulation.world import run

CORES = min(2, os.cpu_count() or 1)
KILLS_EACH = 25
"""How many kills one book lives through: a child reads all of the log when it starts."""


def _schedules(seeds: range) -> int:
    for seed in seeds:
        run(seed)
    return len(seeds)


def schedules(count: int) -> str:
    pieces = [range(first, min(first + 100, count)) for first in range(0, count, 100)]
    with ProcessPoolExecutor(CORES) as pool:
        return f"{sum(pool.map(_schedules, pieces)):,} seeded schedules of 40 steps, every invariant after every event"


def machine(count: int) -> str:
    run_state_machine_as_test(ControlMachine, settings=settings(max_examples=count, stateful_step_count=40, deadline=None))
    return f"{count:,} schedules that hypothesis thought of"


def _killed(url: str, rounds: int, seed: int) -> Survived:
    return survive(url, rounds, seed, longest=0.12)


def kills(count: int) -> str:
    found = []
    for seed in range(-(-count // KILLS_EACH)):
        with tempfile.TemporaryDirectory() as folder:
            found.append(_killed(sqlite_url(Path(folder) / "book.sqlite"), min(KILLS_EACH, count - seed * KILLS_EACH), seed))
    return _told("SQLite", found)


@contextmanager
def postgres() -> Iterator[str]:
    import pgserver

    with tempfile.TemporaryDirectory() as folder:
        server = pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg2://")
        finally:
            server.cleanup()


def postgres_kills(count: int) -> str:
    import sqlalchemy

    found = []
    with postgres() as url:
        for seed in range(-(-count // KILLS_EACH)):
            engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                connection.execute(sqlalchemy.text("DROP SCHEMA public CASCADE"))
                connection.execute(sqlalchemy.text("CREATE SCHEMA public"))
            engine.dispose()
            found.append(_killed(url, min(KILLS_EACH, count - seed * KILLS_EACH), 1_000 + seed))
    return _told("Postgres", found)


def _told(name: str, found: list[Survived]) -> str:
    rounds, acknowledged = sum(one.rounds for one in found), sum(one.acknowledged for one in found)
    again, decisions = sum(one.again for one in found), sum(one.decisions for one in found)
    said = f"{acknowledged:,} commands acknowledged, {again:,} of them sent again, {decisions:,} decisions"
    return f"{rounds} kills on {name}: {said}, none lost, none twice"


def torn(count: int) -> str:
    found: Counter[str] = Counter()
    with ProcessPoolExecutor(CORES) as pool:
        for one in pool.map(_torn, [(seed, min(200, count - seed * 200)) for seed in range(-(-count // 200))]):
            found += one
    said = ", ".join(f"{number:,} {what}" for what, number in sorted(found.items()))
    return f"{sum(found.values()):,} damaged logs: {said}; none silent"


def _torn(piece: tuple[int, int]) -> Counter[str]:
    with tempfile.TemporaryDirectory() as folder:
        return tear(Path(folder), piece[1], piece[0])


def mutants(_count: int) -> str:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(CORES) as pool:
        results = list(pool.map(lambda one: caught(one, Path(folder) / one.name.replace(" ", "_")), MUTANTS))
    alive = [f"{one.name} ({said})" for one, (was, said) in zip(MUTANTS, results, strict=True) if not was]
    if alive:
        raise AssertionError(f"not caught: {'; '.join(alive)}")
    return f"{len(MUTANTS)} mutants, each caught"


PROOFS: dict[str, tuple[Callable[[int], str], int]] = {
    "schedules": (schedules, 10_000),
    "machine": (machine, 300),
    "kills": (kills, 500),
    "postgres kills": (postgres_kills, 500),
    "torn logs": (torn, 2_000),
    "mutants": (mutants, 0),
}


def main() -> int:
    """Run every proof, or one, and print its figures."""
    parser = argparse.ArgumentParser(prog="prove", description="What the control plane promises, shown by trying to break it.")
    parser.add_argument("--only", choices=sorted(PROOFS))
    parser.add_argument("--share", type=float, default=1.0, help="a share of the usual numbers")
    arguments = parser.parse_args()
    console, failed = Console(width=160), False
    table = Table("proof", "what was found", "seconds", title="Proofs of the control plane", title_justify="left")
    for name, (proof, count) in PROOFS.items():
        if arguments.only not in (None, name):
            continue
        console.print(f"[dim]{name} …[/]")
        begun = time.monotonic()
        try:
            said = proof(max(1, round(count * arguments.share)))
        except AssertionError as error:
            said, failed = f"[bold red]DOES NOT HOLD[/] {error}", True
        table.add_row(name, said, f"{time.monotonic() - begun:.0f}")
    console.print(table)
    console.print("[dim]Not shown: a machine that loses power. What a disk promised to have written is taken on its word.[/]")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
