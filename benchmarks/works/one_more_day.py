"""One more day from a saved state, against all days in one pass; both from facts in memory to arrays in memory."""

from collections.abc import Iterator

from benchmarks.measure import alternate, seconds, wall
from benchmarks.platform_run import before_first, concentrate, last_day, only_day, read_classes, read_facts
from benchmarks.registry import Bench, Row, benchmark
from portfolio_platform.ledger.advance import advance
from portfolio_platform.policy.model import AccountingPolicy

GOAL = 15.0
DAYS = 10


@benchmark("one_more_day", sizes=("M",), order=30)
def one_more_day(bench: Bench, size: str) -> Iterator[Row]:
    """Measure the median of the last days, each from the state that the day before left."""
    folder = bench.facts(size)
    facts, classes, last = read_facts(folder), read_classes(folder), last_day(folder)
    policy = AccountingPolicy()
    state = advance(before_first(), facts, policy, last - DAYS - 1).state
    times = []
    for day in range(last - DAYS, last + 1):
        alone = only_day(facts, day)
        times.append(wall(lambda alone=alone, state=state, day=day: concentrate(advance(state, alone, policy, day), classes)))
        state = advance(state, alone, policy, day).state
    # the first day of a process makes the exchange's calendar, and reads the compiled code
    one = sorted(times[1:])[len(times[1:]) // 2]
    (whole,) = alternate(lambda: concentrate(advance(before_first(), facts, policy, last), classes), runs=3)
    work, reference = f"one more day, {size}", f"all {last - before_first().day:,} days"
    note = f"median of {DAYS} days; the process's first took {seconds(times[0])}"
    # at S a pass is nearly all fixed cost, and so is a day
    goal, met = ("", None) if size == "S" else (f"at most 1/{GOAL:g}", one * GOAL <= whole)
    yield Row(work, seconds(one), reference, seconds(whole), one / whole, goal, met, note)
