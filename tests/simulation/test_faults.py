"""Kills, torn files and faults in the code, in small numbers; `make prove` has the large ones."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from portfolio_platform.book.location import sqlite_url
from tests.simulation.kills import survive
from tests.simulation.mutants import MUTANTS, caught, missing
from tests.simulation.torn import tear


def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice_when_processes_are_killed(tmp_path):
    found = survive(sqlite_url(tmp_path / "book.sqlite"), rounds=15, seed=1, least=16)
    assert found.acknowledged > 15
    assert found.again > 0


def test_damaged_logs_are_refused_found_out_or_equal(tmp_path):
    found = tear(tmp_path, 60, seed=2)
    assert sum(found.values()) == 60
    assert found["found out"] > 0
    assert found["refused"] > 0


def test_every_mutant_changes_just_what_it_says():
    assert missing() == []
    assert len(MUTANTS) >= 10


@pytest.mark.parametrize("half", [0, 1])
def test_every_mutant_is_caught(tmp_path, half):
    mine = MUTANTS[half::2]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda one: caught(one, tmp_path / one.name.replace(" ", "_")), mine))
    survived = {one.name: said for one, (was, said) in zip(mine, results, strict=True) if not was}
    assert survived == {}
