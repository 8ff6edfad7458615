"""Timing: the shortest of several runs, alternated so that a busy moment of the machine hits all contestants alike."""

import gc
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

BYTES_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024


def wall(work: Callable[[], Any]) -> float:
    """Return the seconds that a work took."""
    gc.collect()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def alternate(*works: Callable[[], Any], runs: int) -> list[float]:
    """Return each work's shortest time over several rounds, in each of which every work runs once."""
    rounds = [[wall(work) for work in works] for _ in range(runs)]
    return [min(times) for times in zip(*rounds, strict=True)]


def cpu_seconds(arguments: list[str]) -> float:
    """Return the user and system time of a command; raises where it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(arguments, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def peak_bytes() -> int:
    """Return the largest resident memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_OF_MAXRSS


def seconds(value: float) -> str:
    """Return seconds as a person reads them."""
    return f"{value:.2f} s" if value >= 1.0 else f"{value * 1000:.1f} ms" if value < 0.1 else f"{value * 1000:.0f} ms"
