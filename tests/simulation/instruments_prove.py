"""The long form of the proofs of the instruments' workflows, with figures: `python -m tests.simulation.instruments_prove`.

Exit code 1 where anything does not hold. A mutant is a fault put into the code of a process of its own; the schedules have to catch it.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from rich.console import Console
from rich.table import Table

from portfolio_platform.instruments import entry, flow, holding, policy, settling, told, workflow
from portfolio_platform.instruments.transitions import AFTER
from tests.unit.instruments.workflow_watch import WAYS, schedule

CORES = min(2, os.cpu_count() or 1)
MUTANT_SEEDS = 5_000
"""Schedules in which a mutant has to be caught."""
Figures = tuple[Counter[str], Counter[tuple[str, str]]]


def _figures(seeds: range, deep: bool) -> Figures:
    counts: Counter[str] = Counter()
    ways: Counter[tuple[str, str]] = Counter()
    for seed in seeds:
        world = schedule(seed, deep=deep)
        counts.update(schedules=1, events=len(world.events), commands=len(world.commands), **world.state.totals._asdict())
        ways.update(dict.fromkeys(world.visited, 1))
    return counts, ways


def _plain(seeds: range) -> Figures:
    return _figures(seeds, False)


def _deep(seeds: range) -> Figures:
    return _figures(seeds, True)


def _run(count: int, first: int, work: Callable[[range], Figures]) -> Figures:
    pieces = [range(start, min(start + 50, first + count)) for start in range(first, first + count, 50)]
    counts: Counter[str] = Counter()
    ways: Counter[tuple[str, str]] = Counter()
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
        for more, went in pool.map(work, pieces):
            counts, ways = counts + more, ways + went
    return counts, ways


def schedules(count: int) -> str:
    counts, ways = _run(count, 0, _plain)
    missing = WAYS - set(ways)
    assert not missing or count < 1_000, f"never gone: {sorted(missing)}"
    return (
        f"{counts['schedules']:,} seeded schedules, {counts['events']:,} events, {counts['trades']:,} trades, "
        f"{counts['unexpected_fills']:,} fills that nobody asked for, {counts['ignored_candles']:,} candles late or twice; "
        f"all {len(WAYS)} ways gone; each ends stopped and flat"
    )


def replays(count: int) -> str:
    counts, _ = _run(count, 1_000_000, _deep)
    return f"{counts['schedules']:,} schedules: from the stored bytes of each of {counts['events']:,} states the same follows"


def _twice() -> None:
    flow.Flow.is_new = lambda self, identity: True  # type: ignore[method-assign]


def _no_refusal() -> None:
    entry.refusal = lambda terms, state, at: ""  # type: ignore[assignment]


def _twice_the_size() -> None:
    sized = entry.granted
    entry.granted = lambda *given: 2 * sized(*given)  # type: ignore[assignment]


def _looser_stop() -> None:
    holding.trailed = lambda rule, position, bars, tick: position.stop - tick  # type: ignore[assignment]


def _lost_stops() -> None:
    holding.secured = lambda flow: None  # type: ignore[assignment]


def _exits_refused() -> None:
    holding.leave = workflow.leave = lambda flow: None  # type: ignore[assignment]


def _stray_exits() -> None:
    holding._stray = lambda flow, event, sign: None  # type: ignore[assignment]


def _orders_left() -> None:
    def kept(self: flow.Flow, order: object, reason: str) -> None:
        del self, order, reason

    flow.Flow.cancel = kept  # type: ignore[method-assign]


def _no_stop() -> None:
    worked_out = entry.contract_of

    def without(*given: object) -> object:
        contract, reason = worked_out(*given)  # type: ignore[arg-type]
        return (None if contract is None else contract._replace(stop=0)), reason

    entry.contract_of = without  # type: ignore[assignment]


def _stops_early() -> None:
    told.emergency = lambda flow, why: None  # type: ignore[assignment]


def _plans_while_held() -> None:
    AFTER["position_open", "closed"] = "idle"


def _cancels_again() -> None:
    asked = flow.Flow.cancel

    def again(self: flow.Flow, order: flow.Resting, reason: str) -> None:
        asked(self, order._replace(cancelled=False), reason)

    flow.Flow.cancel = again  # type: ignore[method-assign]


def _ids_again() -> None:
    flow.Flow.next_id = lambda self: f"{self.config.portfolio}:{self.config.symbol}:1"  # type: ignore[method-assign]


def _arms_always() -> None:
    armed = policy.thesis
    workflow._flattening = lambda flow: armed(flow, ("1d",))  # type: ignore[assignment]


def _late_answers() -> None:
    entry._too_late = lambda flow, event, contract: ""  # type: ignore[assignment]
    entry._disposed = lambda flow, disposition, reason: None  # type: ignore[assignment]
    flow.Flow.ask_of = lambda self, intent_id: next(  # type: ignore[method-assign]
        (one._replace(answered_at=0) for one in self.state.asks if one.intent_id == intent_id), None
    )


def _forgets_entries() -> None:
    settling.settle = holding.settle = lambda flow, cause: None  # type: ignore[assignment]


MUTANTS: dict[str, Callable[[], None]] = {
    "a fill counts twice": _twice,
    "nothing forbids an entry": _no_refusal,
    "twice the size that was granted": _twice_the_size,
    "a stop is loosened": _looser_stop,
    "a lost stop stays lost": _lost_stops,
    "exits are refused": _exits_refused,
    "exits of an entry that was given up are forgotten": _stray_exits,
    "orders are left when flat": _orders_left,
    "an entry has no stop": _no_stop,
    "it stops though something is held": _stops_early,
    "no cooldown": _plans_while_held,
    "a cancel is asked for again": _cancels_again,
    "an id is used twice": _ids_again,
    "a thesis is armed while flattening": _arms_always,
    "an answer counts twice": _late_answers,
    "the end of an entry is forgotten": _forgets_entries,
}


def caught(name: str, seeds: int = MUTANT_SEEDS) -> str:
    """Return what caught a mutant; empty where nothing did. It changes the process that it runs in."""
    MUTANTS[name]()
    for seed in range(seeds):
        try:
            schedule(seed)
        except Exception as error:  # whatever it is, it was seen
            return f"{type(error).__name__} at seed {seed}"
    return ""


def mutants(_count: int) -> str:
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        results = dict(zip(MUTANTS, pool.map(caught, MUTANTS), strict=True))
    alive = [name for name, said in results.items() if not said]
    assert not alive, f"not caught: {'; '.join(alive)}"
    return f"{len(MUTANTS)} mutants, each caught"


PROOFS: dict[str, tuple[Callable[[int], str], int]] = {
    "schedules": (schedules, 10_000),
    "replays": (replays, 400),
    "mutants": (mutants, 0),
}


def main() -> int:
    """Run every proof, or one, and print its figures."""
    parser = argparse.ArgumentParser(prog="instruments_prove", description="What a workflow promises, shown by trying to break it.")
    parser.add_argument("--only", choices=sorted(PROOFS))
    parser.add_argument("--share", type=float, default=1.0, help="a share of the usual numbers")
    arguments = parser.parse_args()
    console, failed = Console(width=160), False
    table = Table("proof", "what was found", "seconds", title="Proofs of the instruments' workflows", title_justify="left")
    for name, (proof, count) in PROOFS.items():
        if arguments.only not in (None, name):
            continue
        begun = time.monotonic()
        try:
            said = proof(max(1, round(count * arguments.share)))
        except AssertionError as error:
            said, failed = f"[bold red]DOES NOT HOLD[/] {error}", True
        table.add_row(name, said, f"{time.monotonic() - begun:.0f}")
    console.print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
