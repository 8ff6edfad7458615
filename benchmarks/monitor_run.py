"""The monitor over generated facts: a home of them, its stages built, and a stage computed again from what it read, in memory."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.generate import FIRST_DAY
from benchmarks.platform_run import last_day
from portfolio_platform.days import to_date
from portfolio_platform.home import Home
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import FACTS
from portfolio_platform.lake.store import Lake

FILES = ("fills", "bars", "cash_flows", "instruments", "signals", "intents", "playbook_expectations")


def home_of(folder: Path, root: Path) -> Home:
    """Return a new home whose lake has generated facts; nothing is built in it."""
    home = Home(root)
    home.create()
    home.pin_clock(to_date(last_day(folder)))
    home.remember_first_day(FIRST_DAY)
    with home.lake.writing():
        for name in FILES:
            home.lake.append(FACTS[name].table, pq.read_table(folder / f"{name}.parquet"))
    return home


class Remembering(Lake):
    """A lake that reads each thing once, and then gives what it read from memory."""

    def __init__(self, lake: Lake) -> None:
        """Remember nothing yet; ``seconds`` counts what reading took."""
        super().__init__(lake.url, lake._lock_path)
        self._known: dict[tuple[str, ...], pa.Table] = {}
        self.seconds = 0.0

    def read(
        self,
        table: Table,
        columns: Sequence[str] | None = None,
        where: Any = None,
        *,
        from_month: str | None = None,
        to_month: str | None = None,
        dictionaries: Sequence[str] = (),
    ) -> pa.Table:
        """Return what the lake returned for the same question."""
        key = (table.name, *(str(part) for part in (columns, where, from_month, to_month, dictionaries)))
        if key not in self._known:
            begun = time.process_time()
            self._known[key] = super().read(table, columns, where, from_month=from_month, to_month=to_month, dictionaries=dictionaries)
            self.seconds += time.process_time() - begun
        return self._known[key]


def remembering(home: Home) -> tuple[Home, Remembering]:
    """Return the same home over a lake that remembers."""
    other, lake = Home(home.root), Remembering(home.lake)
    other.__dict__["lake"] = lake
    return other, lake


class Stopwatch:
    """Counts the seconds that some functions take, for as long as it is looking."""

    def __init__(self, *functions: tuple[Any, str]) -> None:
        """``functions`` are modules and the names in them."""
        self._functions = functions
        self.seconds = 0.0

    @contextmanager
    def looking(self) -> Iterator["Stopwatch"]:
        """Count from 0 on."""
        self.seconds = 0.0
        patches = [patch.object(module, name, self._timed(getattr(module, name))) for module, name in self._functions]
        for each in patches:
            each.start()
        try:
            yield self
        finally:
            for each in patches:
                each.stop()

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            begun = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds += time.process_time() - begun

        return timed
