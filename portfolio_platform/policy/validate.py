"""Looking through policy files: what is wrong in each, with key, rule and remedy, and what can hardly be meant."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from portfolio_platform.errors import PortfolioError
from portfolio_platform.home import Home
from portfolio_platform.policy.assigned import policies_in_time
from portfolio_platform.policy.compare import values
from portfolio_platform.policy.load import DATES, default_policy, load_policy, load_version, policy_names
from portfolio_platform.policy.sound import Doubt, doubts
from portfolio_platform.policy.timeline import Timeline


@dataclass(frozen=True)
class Fault:
    """What makes a file, or the versions of a policy together, unusable: the key (empty: the whole), the rule, and the way out."""

    key: str
    rule: str
    remedy: str


@dataclass(frozen=True)
class Looked:
    """What was found in a file, or of a policy with all its versions."""

    what: str
    hash: str = ""
    faults: tuple[Fault, ...] = ()
    doubts: tuple[Doubt, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Say whether it can be used."""
        return not self.faults


def validate(home: Home, files: Sequence[Path], metrics: Collection[str] = ()) -> list[Looked]:
    """Look through files, or through every policy of a home where none is given: its files, then each policy's versions in time.

    Args:
        home: whose policies are looked at.
        files: files anywhere; one within the home's folder has to say the name that its file has.
        metrics: names of the metrics that rules may look at; where none are given, names are not looked at.
    """
    if files:
        return [look_at(path, metrics, named=path.absolute().parent == home.policies) for path in files]
    found = [look_at(path, metrics) for path in sorted(home.policies.glob("*.toml"))]
    broken = {item.what.removesuffix(".toml").partition("@")[0] for item in found if not item.ok}
    names = [name for name in policy_names(home.policies) if name not in broken]
    return [*found, *(_in_time(home, name) for name in names), *([] if broken else _assigned(home))]


def look_at(path: Path, metrics: Collection[str] = (), *, named: bool = True) -> Looked:
    """Look at one file; ``named`` says whether its name is that of its policy."""
    try:
        policy = load_version(path).policy if named else load_policy(path)
    except PortfolioError as error:
        cause = error.__cause__
        if isinstance(cause, ValidationError):
            return Looked(path.name, faults=tuple(_faults(cause)))
        return Looked(path.name, faults=(_fault(str(error).removeprefix(f"policy {path.name}: ")),))
    except OSError as error:
        return Looked(path.name, faults=(Fault("", f"it cannot be read: {error.strerror}", "check the path and its rights"),))
    return Looked(path.name, policy.hash, doubts=tuple(doubts(policy, metrics)))


def _faults(error: ValidationError) -> Iterator[Fault]:
    """Yield what is wrong with each key; the remedy names the key that may be meant, or the value that is shipped."""
    shipped = values(default_policy())
    for fault in error.errors():
        key = ".".join(map(str, fault["loc"]))
        rule = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            near = get_close_matches(key, [*_with_sections(shipped), *DATES], n=1)
            yield Fault(key, "there is no such key", f"write {near[0]}" if near else "take it out; `portfolio policy show` has every key")
        elif key in shipped:
            yield Fault(key, f"{rule}, and it is {fault['input']!r}", f"the shipped value is {shipped[key]!r}")
        else:
            yield Fault(key, rule, f"`portfolio policy show --section {key.rsplit('.', 1)[0]}` has what is shipped")


def _with_sections(shipped: Collection[str]) -> list[str]:
    return sorted({".".join(key.split(".")[:count]) for key in shipped for count in range(1, key.count(".") + 2)})


def _fault(text: str) -> Fault:
    """Return a fault of a sentence, whose remedy follows a semicolon."""
    rule, _, remedy = text.partition("; ")
    key, _, rest = rule.partition(": ")
    known = key in (*DATES, "name")
    return Fault(key if known else "", rest if known else rule, remedy or "mend the file, then validate it again")


def _in_time(home: Home, name: str) -> Looked:
    """Look at a policy's versions together: one has to be in force today, and none may contradict another."""
    try:
        timeline = home.timeline(name)
        timeline.on(home.today)
    except PortfolioError as error:
        return Looked(f"policy {name}", faults=(_fault(str(error).removeprefix(f"policy {name!r}: ")),))
    return Looked(f"policy {name}", timeline.hash, doubts=tuple(_of_versions(timeline)))


def _of_versions(timeline: Timeline) -> Iterator[Doubt]:
    same = Counter(version.policy.version for version in timeline.versions)
    for number, count in sorted(same.items()):
        files = [version.source for version in timeline.versions if version.policy.version == number]
        if count > 1:
            yield Doubt("version", f"{' and '.join(files)} both call themselves version {number}", "count up: reports tell the number")
    last = timeline.newest
    if last.expires is not None:
        yield Doubt(
            "expires", f"{last.source} ends on {last.expires}, and nothing takes over", "write the version that follows before then"
        )


def _assigned(home: Home) -> Iterator[Looked]:
    """Look at which portfolio has which policy."""
    try:
        in_time = policies_in_time(home)
    except PortfolioError as error:
        yield Looked("portfolios", faults=(_fault(str(error)),))
        return
    used = {"default", *(timeline.name for timeline in in_time.by_portfolio.values())}
    idle = [name for name in policy_names(home.policies) if name not in used]
    said = [Doubt("", f"no portfolio has the policy {name!r}", "name it in portfolios.csv and import that, or delete it") for name in idle]
    yield Looked("portfolios", doubts=tuple(said))
