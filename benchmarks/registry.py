"""The list of benchmarks. A new one is a file in `benchmarks/works/` with a function under `@benchmark`.

The function gets the `Bench` and yields a `Row` for each thing it measured, the most important first.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generate import facts_folder


@dataclass(frozen=True)
class Row:
    """A line of the table: a work and what it took, beside a reference and what that took.

    ``met`` is None where there is no goal, or where it could not be measured; then ``note`` says why.
    """

    work: str
    took: str
    reference: str = ""
    reference_took: str = ""
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None
    note: str = ""


@dataclass(frozen=True)
class Bench:
    """What a benchmark may ask for: where generated facts of a size are."""

    cache: Path | None = None

    def facts(self, size: str) -> Path:
        """Return the folder with the facts of a size, generated where they are not there yet."""
        return facts_folder(size, self.cache)


Work = Callable[[Bench, str], Iterable[Row]]


@dataclass(frozen=True)
class Benchmark:
    """A named work and the sizes it runs at where none is asked for; no size, and it runs once."""

    name: str
    sizes: tuple[str, ...]
    order: int
    work: Work


_FOUND: dict[str, Benchmark] = {}


def benchmark(name: str, *, sizes: tuple[str, ...] = (), order: int = 100) -> Callable[[Work], Work]:
    """Register a work under a name; ``order`` places it in the table."""

    def register(work: Work) -> Work:
        _FOUND[name] = Benchmark(name, sizes, order, work)
        return work

    return register


def found() -> Iterator[Benchmark]:
    """Return every benchmark of `benchmarks/works/`, in the order of the table."""
    from benchmarks import works

    for module in pkgutil.iter_modules(works.__path__):
        importlib.import_module(f"benchmarks.works.{module.name}")
    return iter(sorted(_FOUND.values(), key=lambda item: (item.order, item.name)))
