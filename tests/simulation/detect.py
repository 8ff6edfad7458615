"""What a mutant is held against, in a process of its own: schedules, and the shell on a book. Exit code 3 where it was caught."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from portfolio_platform.book.location import sqlite_url
from portfolio_platform.book.store import Book
from portfolio_platform.clock import FixedClock
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.errors import PortfolioError
from tests.simulation.kills import NOW, begun, command
from tests.simulation.mutants import CAUGHT, UNCAUGHT
from tests.simulation.world import run

SEEDS = 120


def schedules() -> None:
    for seed in range(SEEDS):
        run(seed)


def durable() -> None:
    """What a process was told is what another process finds, and what failed is nowhere."""
    with tempfile.TemporaryDirectory() as folder, Book(sqlite_url(Path(folder) / "book.sqlite")) as book:
        book.create()
        begun(book)
        plane = ControlPlane(book, FixedClock(NOW))
        for number in range(10):
            command(plane, number)
            other = ControlPlane(book, FixedClock(NOW)).get_portfolio_state("p")
            assert other == plane.get_portfolio_state("p"), "another process finds another state"
            assert other.reservations or other.positions, "what was granted is not there"
        remembers_nothing(plane)


def remembers_nothing(plane: ControlPlane) -> None:
    """A batch whose writing failed is as if it had never been."""
    from portfolio_platform.control import plane as shell
    from portfolio_platform.errors import StoreProblem

    def full(*_arguments: object, **_options: object) -> None:
        raise StoreProblem("the disk is full")

    before, writes = plane.get_portfolio_state("p"), shell.append
    shell.append = full
    try:
        command(plane, 1_000)
    except StoreProblem:
        assert plane._states["p"] == before, "a batch that failed is remembered"
    else:
        raise AssertionError("nothing was written, and nobody was told")
    finally:
        shell.append = writes


def chained() -> None:
    """A log of which one byte was changed is no longer whole."""
    from sqlalchemy import update

    from portfolio_platform.book import schema
    from portfolio_platform.book.chain import verify_chain
    from portfolio_platform.book.events import read

    with tempfile.TemporaryDirectory() as folder, Book(sqlite_url(Path(folder) / "book.sqlite")) as book:
        book.create()
        begun(book)
        with book.writing() as connection:
            assert verify_chain(connection).ok
            victim = next(iter(read(connection, after_seq=2)))
            changed = victim.content.replace(b'"USD"', b'"EUR"').replace(b"1000000", b"1000001")
            victim = replace(victim, content=changed) if changed != victim.content else replace(victim, content=victim.content + b" ")
            connection.execute(update(schema.events).where(schema.events.c.seq == victim.seq).values(content=victim.content))
            assert not verify_chain(connection).ok, "a changed event was not noticed"


def main() -> int:
    import portfolio_platform

    assert Path(portfolio_platform.__file__).is_relative_to(Path(sys.argv[1])), "the copy is not what runs"
    for proof in (schedules, durable, chained):
        try:
            proof()
        except (AssertionError, PortfolioError) as error:
            sys.stdout.write(f"{proof.__name__}: {error}\n")
            return CAUGHT
    return UNCAUGHT


if __name__ == "__main__":
    sys.exit(main())
