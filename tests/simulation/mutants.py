"""Faults put into a copy of the code, one at a time: each has to be caught by what is proved about the rules and the log.

A mutant names a file, a text that is there once, and what stands there instead. It is run in a process of its own.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CAUGHT, UNCAUGHT = 3, 0


@dataclass(frozen=True)
class Mutant:
    """A fault: its name, and the text of a file that it changes."""

    name: str
    file: str
    before: str
    after: str


_REMEMBERED = """                try:
                    yield batch, connection
                finally:
                    self._states[portfolio] = batch.state
"""

MUTANTS = (
    Mutant("a cap is off by one", "control/rules.py", "limit - used if limit > used else 0", "limit - used + 1 if limit > used else 0"),
    Mutant(
        "reserved risk is not counted",
        "control/reduce.py",
        "*labels), remaining, exposure)",
        "*labels), 0, exposure)",
    ),
    Mutant(
        "expiry is ignored",
        "control/batch.py",
        "if state.next_expiry and state.next_expiry <= now:",
        "if False and state.next_expiry <= now:",
    ),
    Mutant(
        "an order has no end",
        "control/batch.py",
        "if state.terms.next_end and state.terms.next_end <= now:",
        "if False and state.terms.next_end <= now:",
    ),
    Mutant("risk-off grants", "control/rules.py", 'if terms.mode == "risk_off" or terms.multiplier <= 0:', "if False:"),
    Mutant("flatten-only grants", "control/rules.py", "    if terms.flatten:", "    if False:"),
    Mutant(
        "the mode's size is ignored",
        "control/rules.py",
        "asked if terms.multiplier >= MILLION else asked * terms.multiplier // MILLION",
        "asked",
    ),
    Mutant("old facts are good enough", "control/rules.py", "if at - facts.at > limits.facts_age:", "if False:"),
    Mutant("the cohort is forgotten", "control/state.py", '("cohort", instrument.cohort),', '("cohort", ""),'),
    Mutant("a fill is not committed", "control/reduce.py", "taken = min(reservation.remaining, opened)", "taken = 0"),
    Mutant(
        "a partial fill commits all", "control/reduce.py", "taken = min(reservation.remaining, opened)", "taken = reservation.remaining"
    ),
    Mutant("closing keeps the reservation", "control/reduce.py", "after = _closed(after, key,", "after = after or _closed(after, key,"),
    Mutant(
        "flat keeps some risk",
        "control/fills.py",
        "        return positions.delete(key), 0, 0",
        "        return positions.set(key, before._replace(quantity=0)), 0, 0",
    ),
    Mutant("the same intent is decided twice", "control/batch.py", "if earlier is not None and earlier.intent == intent:", "if False:"),
    Mutant(
        "the same fill counts twice",
        "control/batch.py",
        "        if earlier is not None:\n            if _differs",
        "        if False:\n            if _differs",
    ),
    Mutant(
        "another intent under a known id is granted",
        "control/batch.py",
        "intent = intent._replace(fault=",
        "intent = intent._replace(regime=",
    ),
    Mutant("later fills are lost under new facts", "control/reduce.py", "if fill.at > event.facts.at:", "if False:"),
    Mutant(
        "acknowledged before it is written", "control/plane.py", "append(connection, batch.pending, recorded_at=self._clock.now())", "()"
    ),
    Mutant(
        "half a batch is written",
        "control/plane.py",
        "append(connection, batch.pending, recorded_at=",
        "append(connection, batch.pending[:1], recorded_at=",
    ),
    Mutant("a failed batch is remembered", "control/plane.py", "                yield batch, connection\n", _REMEMBERED),
    Mutant("a fill takes from another symbol's reservation", "control/fills.py", "found.symbol != fill.symbol or ", ""),
    Mutant(
        "a fill's own words move risk to another template", "control/fills.py", "reservation.template or fill.template", "fill.template"
    ),
    Mutant(
        "a place is given back that another intent holds",
        "control/reduce.py",
        "    if key not in state.holders:\n        return state._replace(opened=",
        "    if True:\n        return state._replace(opened=",
    ),
    Mutant(
        "adding to a position counts for another template",
        "control/state.py",
        "held.template or template",
        "template",
    ),
    Mutant("the chain is not looked at", "book/chain.py", "if sha256(previous.encode() + content).hexdigest() != hashed:", "if False:"),
)


def missing() -> list[str]:
    """Return the mutants whose text is not in its file just once: they would change nothing, or too much."""
    return [one.name for one in MUTANTS if (ROOT / "portfolio_platform" / one.file).read_text(encoding="utf-8").count(one.before) != 1]


def caught(mutant: Mutant, folder: Path) -> tuple[bool, str]:
    """Run the proofs on a copy of the code with a fault in it; say whether they failed, and with what words."""
    copy = folder / "code"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT / "portfolio_platform", copy / "portfolio_platform", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "tests").symlink_to(ROOT / "tests")
    path = copy / "portfolio_platform" / mutant.file
    path.write_text(path.read_text(encoding="utf-8").replace(mutant.before, mutant.after), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation.detect", str(copy)],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode not in (CAUGHT, UNCAUGHT):
        return False, f"it broke instead of failing: {done.stderr[-500:]}"
    return done.returncode == CAUGHT, done.stdout.strip()
