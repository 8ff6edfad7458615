"""Seeded schedules and shrinking ones: whatever happens in whatever order, limits hold and the log replays to the byte."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.machine import ControlMachine
from tests.simulation.world import Broken, World, run

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("hundred", range(2))
def test_invariants_hold_in_every_seeded_schedule(hundred):
    for seed in range(hundred * 100, hundred * 100 + 100):
        run(seed)


def test_invariants_hold_whatever_hypothesis_thinks_of():
    run_state_machine_as_test(ControlMachine, settings=settings(max_examples=40, stateful_step_count=25, deadline=None))


def test_a_broken_invariant_names_its_seed(monkeypatch):
    monkeypatch.setattr(World, "_within", lambda self, *_: self._require(False, "on purpose"))
    with pytest.raises(Broken, match="seed 3: on purpose"):
        run(3)


def test_the_bytes_are_the_same_in_processes_with_other_hash_seeds_time_zones_and_locales():
    found = []
    for seed, zone, locale in (("0", "UTC", "C"), ("4242", "Asia/Kathmandu", "de_DE.UTF-8")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale, "LANG": locale}
        command = [sys.executable, "-m", "tests.simulation.foreign", "12"]
        found.append(subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout)
    assert found[0] == found[1]
    assert len(set(found[0].split())) == 12
    assert found[0].split()[0] == run(0)
