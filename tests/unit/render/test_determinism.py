"""Equal content gives equal bytes: two processes that differ in all that should not matter."""

import os
import subprocess
import sys
from pathlib import Path

from portfolio_platform.render import charts

SCRIPT = """
import hashlib, locale, sys
try:
    locale.setlocale(locale.LC_ALL, "")
except locale.Error:
    pass
from portfolio_platform.render import charts
from portfolio_platform.render.html import to_html
from portfolio_platform.render.markdown import to_markdown
from tests.unit.render.factory import data_of, page_data, report
parts = [to_html(report(), page_data(400)).encode(), to_markdown(report()).encode()]
parts += [charts.png(name, data_of(name, 400)) for name in charts.NAMES]
assert "matplotlib.pyplot" not in sys.modules and "dagster" not in sys.modules
print([hashlib.sha256(part).hexdigest() for part in parts])
"""


def _run(folder: Path, **differences: str) -> str:
    root = Path(__file__).parents[3]
    folder.mkdir()
    (folder / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: 30\n" if differences["TZ"] == "Asia/Tokyo" else "")
    environment = {**os.environ, "PYTHONPATH": str(root), "MPLBACKEND": "Agg", **differences}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


def test_bytes_do_not_depend_on_the_process(tmp_path: Path) -> None:
    first = _run(tmp_path / "one", PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C.UTF-8")
    second = _run(tmp_path / "two", PYTHONHASHSEED="77", TZ="Asia/Tokyo", LC_ALL="de_DE.UTF-8")
    assert first == second and first.count("'") == 2 * (2 + len(charts.NAMES))
