import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from portfolio_platform.book import migrate, schema
from portfolio_platform.book.chain import verify_chain
from portfolio_platform.book.events import read
from portfolio_platform.book.location import sqlite_url
from portfolio_platform.book.store import Book
from tests.unit.book import workers

ROOT = Path(__file__).resolve().parents[3]


def run_at_once(work: Callable[..., None], arguments: list[tuple[object, ...]]) -> list[int | None]:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=work, args=given) for given in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]


@pytest.mark.parametrize(("store", "count"), [("sqlite", 8), ("postgres", 3)], indirect=["store"])
def test_writers_in_many_processes_make_one_chain(book: Book, count: int) -> None:
    assert run_at_once(workers.append_one_by_one, [(book._url, worker, 25) for worker in range(count)]) == [0] * count
    with book.reading() as connection:
        verdict = verify_chain(connection)
        keys = [event.idempotency_key for event in read(connection)]
    assert verdict.ok, verdict.reason
    assert sorted(keys) == sorted(f"{worker}-{number}" for worker in range(count) for number in range(25))


def test_two_processes_may_create_the_book_at_once(url: str) -> None:
    assert run_at_once(workers.upgrade, [(url,)] * 2) == [0] * 2
    assert migrate.current(url) == schema.VERSION


@pytest.mark.parametrize("batches", [1, 4])
def test_a_process_killed_in_the_middle_of_a_batch_leaves_a_whole_chain(tmp_path: Path, batches: int) -> None:
    url, size = sqlite_url(tmp_path / "book.db"), 40
    migrate.upgrade(url)
    command = [sys.executable, "-m", "tests.unit.book.workers", url, str(size)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(batches):
            process.stdout.readline()  # written in the middle of a batch
        process.kill()
    with Book(url) as book:
        with book.reading() as connection:
            verdict = verify_chain(connection)
        assert verdict.ok, verdict.reason
        assert verdict.events % size == 0
        assert verdict.events >= (batches - 1) * size
        workers.append_one_by_one(url, 1, 3)
        with book.reading() as connection:
            assert verify_chain(connection).events == verdict.events + 3
