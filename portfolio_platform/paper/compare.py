"""Two paper runs over the same bars, seeds and playbooks, which differ in their policy or in whether anybody limits them.

Both happen in scratch homes that are gone afterwards: the home's lake is read, its book is not touched. What stays is one page.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home, write_atomically
from portfolio_platform.paper.loop import PaperLoop
from portfolio_platform.paper.model import Control, Moment, PaperOptions
from portfolio_platform.paper.shown import shown_of
from portfolio_platform.policy.load import load_version, policy_names
from portfolio_platform.policy.shipped import DEFAULT_POLICY_FILE
from portfolio_platform.render import paper_compare as pages
from portfolio_platform.render.paper_compare import Compared
from portfolio_platform.render.paper_shown import PaperShown

SHIPPED = "shipped"
COPIED = ("policies", "playbooks")
"""Folders of the home that a run reads."""


@dataclass(frozen=True)
class Side:
    """One of the two runs: a policy (a name of the home's, a file that ends in .toml, or ``shipped``), and whether it is held to it."""

    policy: str = "default"
    control: Control = "on"

    @property
    def label(self) -> str:
        """Return what it is called on the page."""
        name = Path(self.policy).stem if self.policy.endswith(".toml") else self.policy
        return name if self.control == "on" else f"control {self.control}"


@dataclass(frozen=True)
class Written:
    """A comparison and where it was written."""

    compared: Compared
    folder: Path

    @property
    def page(self) -> Path:
        """Return the page's path."""
        return self.folder / "page.html"


def compare(
    home: Home,
    sides: tuple[Side, Side],
    options: PaperOptions | None = None,
    *,
    first: date | None = None,
    last: date | None = None,
    show: Callable[[str, Moment], None] = lambda label, moment: None,
) -> Compared:
    """Run both sides and return what each came to.

    Args:
        home: with bars and instruments; it is only read.
        sides: what differs.
        options: what both share; their policy and control are the sides' own.
        first: first day, as `PaperLoop` takes it.
        last: last day.
        show: is told of each session, with the side's label.

    Raises:
        WrongUse: both sides are the same, a policy is not there, or there are no bars.
    """
    if sides[0] == sides[1]:
        raise WrongUse(f"both sides are {sides[0].label}: nothing can differ; name two policies, or one and --control off")
    labels = _labels(sides)
    runs = tuple(_run(home, side, label, options or PaperOptions(), (first, last), show) for side, label in zip(sides, labels, strict=True))
    return Compared(labels, (runs[0], runs[1]), content_hash("\n".join(one.hash for one in runs).encode()))


def write(home: Home, found: Compared) -> Written:
    """Write a comparison as page, Markdown and JSON to ``<home>/paper/compare-<hash>``; the same one is written to the same place."""
    folder = home.root / "paper" / f"compare-{found.hash[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "page.html", pages.page(found).decode())
    write_atomically(folder / "page.md", pages.markdown(found))
    write_atomically(folder / "compare.json", canonical_bytes(pages.document(found)).decode() + "\n")
    return Written(found, folder)


@contextmanager
def scratch(home: Home, side: Side) -> Iterator[tuple[Home, str]]:
    """Yield a home beside a home that has its bars, policies and playbooks and a book of its own, and the name of the side's policy.

    Raises:
        WrongUse: the side's policy is not there.
        DataProblem: its file is wrong.
    """
    with TemporaryDirectory(prefix="portfolio-compare-") as folder:
        made = Home(Path(folder) / "home", lake_url=home.lake_url or str(home.root / "lake"), as_of=home.clock.now())
        made.create()
        for name in COPIED:
            if (home.root / name).is_dir():
                shutil.copytree(home.root / name, made.root / name, dirs_exist_ok=True)
        try:
            yield made, _policy(made, side.policy)
        finally:
            made.book.close()


def _policy(made: Home, wanted: str) -> str:
    """Put the policy that is wanted among those of a scratch home and return its name."""
    if wanted == SHIPPED:
        shutil.copy(DEFAULT_POLICY_FILE, made.policies / "default.toml")
        return "default"
    if wanted.endswith(".toml"):
        path = Path(wanted).expanduser()
        if not path.is_file():
            raise WrongUse(f"there is no policy file {wanted}")
        name = load_version(path).policy.name
        shutil.copy(path, made.policies / f"{name}.toml")
        return name
    names = policy_names(made.policies)
    if wanted not in names:
        raise WrongUse(f"{wanted!r} names no policy; give one of {', '.join([*names, SHIPPED])}, or a file that ends in .toml")
    return wanted


def _labels(sides: tuple[Side, Side]) -> tuple[str, str]:
    one, two = (side.label for side in sides)
    return (one, two) if one != two else (f"{one} (first)", f"{two} (second)")


def _run(
    home: Home,
    side: Side,
    label: str,
    options: PaperOptions,
    days: tuple[date | None, date | None],
    show: Callable[[str, Moment], None],
) -> PaperShown:
    with scratch(home, side) as (made, policy):
        chosen = replace(options, policy=policy, control=side.control)
        PaperLoop(made, chosen, *days, show=lambda moment: show(label, moment)).run()
        return shown_of(made, chosen.portfolio)
