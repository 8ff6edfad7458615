"""What the other processes of `test_processes` run."""

import sys
from datetime import UTC, datetime

from portfolio_platform.book import migrate
from portfolio_platform.book.events import NewEvent, append
from portfolio_platform.book.store import Book

NOW = datetime(2026, 3, 2, 17, 30, 0, 5, tzinfo=UTC)


def append_one_by_one(url: str, worker: int, count: int) -> None:
    with Book(url) as book:
        for number in range(count):
            event = NewEvent(f"worker/{number % 3}", "counted", {"number": number}, f"{worker}-{number}")
            with book.writing() as connection:
                append(connection, [event], recorded_at=NOW)


def append_batches_for_ever(url: str, size: int) -> None:
    with Book(url) as book:
        batch = 0
        while True:
            with book.writing() as connection:
                for part in range(size):
                    event = NewEvent("batches", "counted", {"text": "x" * 2_000}, f"batch {batch}-{part}")
                    append(connection, [event], recorded_at=NOW)
                    if part == size // 2:
                        sys.stdout.write(f"{batch}\n")
                        sys.stdout.flush()
            batch += 1


def upgrade(url: str) -> None:
    migrate.upgrade(url)


if __name__ == "__main__":
    append_batches_for_ever(sys.argv[1], int(sys.argv[2]))
