"""What is wrong with the machine: versions, disk, clocks, shadowed packages."""

import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING

from portfolio_platform.clock import SystemClock
from portfolio_platform.home import Home
from portfolio_platform.version import __version__

if TYPE_CHECKING:
    pass

from portfolio_platform.doctor.finding import Check, Finding, Level

PACKAGES = ("dagster", "pandas", "numpy", "pyarrow", "deltalake", "sqlalchemy", "pydantic", "great-expectations")
OUR_FOLDERS = ("assets", "sensors", "resources")
SUPPORTED_PYTHON = ((3, 11), (3, 13))
LOW_BYTES, FULL_BYTES = 1 << 30, 100 << 20


def _versions(home: Home) -> Iterator[Finding]:
    low, high = SUPPORTED_PYTHON
    python = ".".join(map(str, sys.version_info[:3]))
    if low <= sys.version_info[:2] < high:
        yield Finding("ok", "python", f"{python} on {platform.system()} {platform.machine()}")
    else:
        supported = f"{low[0]}.{low[1]} to {high[0]}.{high[1] - 1}"
        yield Finding("fail", "python", f"{python} is not supported", f"make the environment with Python {supported}")
    yield Finding("ok", "portfolio-platform", __version__)
    versions, missing = [], []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    yield Finding("ok", "packages", ", ".join(versions))
    if missing:
        yield Finding("fail", "packages", f"missing: {', '.join(missing)}", "install the project again")


def _home(home: Home) -> Iterator[Finding]:
    if not os.access(home.root, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("fail", "home", f"{home.root} cannot be written", "give yourself the rights, or use a home of your own")
        return
    others = home.root.stat().st_mode & (stat.S_IROTH | stat.S_IXOTH)
    if others:
        yield Finding("warn", "home", f"{home.root} can be read by every user of this machine", f"chmod o-rwx {home.root}")
    else:
        yield Finding("ok", "home", str(home.root))


def _disk(home: Home) -> Iterator[Finding]:
    """Look at the disk of the home, and at that of a lake which is on another one."""
    places = {"disk": home.root}
    lake = Path(home.lake.url)
    if home.lake.is_local and lake.is_dir() and lake.stat().st_dev != home.root.stat().st_dev:
        places["disk of the lake"] = lake
    for what, place in places.items():
        free = shutil.disk_usage(place).free
        used = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
        level: Level = "fail" if free < FULL_BYTES else "warn" if free < max(LOW_BYTES, used) else "ok"
        state = f"{free / (1 << 30):,.1f} GiB free, {used / (1 << 20):,.0f} MiB in use here"
        yield Finding(level, what, state, "" if level == "ok" else "free some space before the next build")


def _clock(home: Home) -> Iterator[Finding]:
    pinned = home.pinned_at
    if home.as_of is not None:
        yield Finding("info", "clock", f"as of {home.clock.now().isoformat()}, by --as-of")
    elif pinned is not None:
        yield Finding("info", "clock", f"pinned to the end of {home.today}", "`portfolio init --unpin-clock` lets it live in the present")
    else:
        yield Finding("ok", "clock", f"the machine's: {home.clock.now().isoformat(timespec='seconds')}")


def _time(home: Home) -> Iterator[Finding]:
    """Warn of a machine whose clock stands before the facts."""
    if home.as_of is None and home.pinned_at is None and SystemClock().now().date() < home.first_day:
        state = f"the machine's clock stands before the ledger's first day, {home.first_day}"
        yield Finding("fail", "clock", state, "set the machine's clock, or pin the home's with `portfolio init --pin-clock DAY`")


def _shadows(home: Home) -> Iterator[Finding]:
    """Look for folders of the working directory that Python takes, or would take, for ours."""
    ours, here = Path(__file__).resolve().parents[2], Path.cwd().resolve()
    for name in OUR_FOLDERS:
        local = (here / name).resolve()
        if not local.is_dir() or local == ours / name:
            continue
        spec = util.find_spec(name)
        places = list(spec.submodule_search_locations or ()) if spec else []
        taken = local in {Path(place).resolve() for place in places}
        verb = "hides" if taken else "would hide, where Python starts in this folder,"
        remedy = f"work in another folder, or rename {name}/"
        yield Finding("fail" if taken else "warn", "working directory", f"{local} {verb} our package {name}", remedy)


CHECKS: dict[str, Check] = {
    "versions": _versions,
    "home": _home,
    "disk": _disk,
    "clock": _clock,
    "machine's clock": _time,
}
SHADOWS: dict[str, Check] = {"working directory": _shadows}
"""Looked at last."""
