"""A home as it was known after some import: its facts up to then, under archived policies, built again from nothing."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.compute as pc

from portfolio_platform.book.control import Decisions
from portfolio_platform.build import build_all
from portfolio_platform.clock import end_of_day
from portfolio_platform.errors import DataProblem
from portfolio_platform.explain.basis import Basis
from portfolio_platform.home import Home
from portfolio_platform.lake.facts import CONTESTED, FACTS, IMPORTS, QUARANTINE
from portfolio_platform.policy.timeline import Timeline
from portfolio_platform.sources.pipeline import remember_span


@dataclass(frozen=True)
class ScratchHome(Home):
    """A home in a temporary folder whose policies are given, not read from files, and whose decisions are those of another's book."""

    archived: Mapping[str, Timeline] = field(default_factory=dict)
    decided: Decisions | None = None

    @property
    def decisions(self) -> Decisions:
        """Return the decisions known then."""
        return self.decided if self.decided is not None else super().decisions

    def timeline(self, name: str = "default") -> Timeline:
        """Return the policies that were in force under this name, and from when on."""
        if name not in self.archived:
            raise DataProblem(f"no policy {name!r} was in force then; the portfolio has been given one since")
        return self.archived[name]


@contextmanager
def as_known(home: Home, basis: Basis, until: date, progress: Callable[[str], None] = lambda text: None) -> Iterator[Home]:
    """Hand out a home with the facts and decisions of a basis, every table built up to a day under its policies; it is gone afterwards.

    Quarantine and contested ids are those known then: a row in dispute since a later import stands as it did.
    """
    with TemporaryDirectory(prefix="portfolio-verify-") as folder:
        decided = Decisions(home.decisions.book, basis.decisions)
        scratch = ScratchHome(Path(folder), as_of=end_of_day(until), archived=basis.policies, decided=decided)
        scratch.create()
        known = pc.field("import_seq") <= basis.import_seq
        progress("copying the facts known then")
        with scratch.lake.writing():
            for table in (*(fact.table for fact in FACTS.values()), QUARANTINE, IMPORTS, CONTESTED):
                rows = home.lake.read(table, None, known)
                if len(rows):
                    scratch.lake.append(table, rows)
        remember_span(scratch)
        build_all(scratch, until=until, report=progress)
        try:
            yield scratch
        finally:
            scratch.book.close()
