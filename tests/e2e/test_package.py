"""The wheel, the import arrows, the documentation: what a stranger relies on."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("portfolio_platform", "assets", "sensors", "resources")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what belongs into it (a build leaves traces beside its sources)."""
    import shutil

    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copyfile(ROOT / name, source / name)
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source], check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_every_module_and_data_file_is_in_the_wheel(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert path.relative_to(ROOT).as_posix() in names


def test_the_packages_of_the_wheel_import_and_the_default_policy_loads(wheel, tmp_path):
    """Unpacked over the locked environment, as `pip install --no-deps` would; run where the checkout is not in sight."""
    target = tmp_path / "site"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", target, wheel], check=True)
    code = (
        "import importlib, pkgutil, sys\n"
        f"sys.path.insert(0, {str(target)!r})\n"
        "import portfolio_platform, assets, sensors, resources\n"
        "for package in (portfolio_platform, assets, sensors, resources):\n"
        "    assert 'site' in package.__path__[0], package.__path__\n"
        "    for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if '.migrations' not in found.name: importlib.import_module(found.name)\n"
        "from portfolio_platform.policy.load import default_policy\n"
        "from portfolio_platform.home import Home\n"
        "from pathlib import Path\n"
        "Home(Path('home').absolute()).create()\n"
        "print(default_policy().name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "default"


def test_the_import_arrows_of_the_design_hold():
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stdout


def test_the_page_of_tables_is_what_the_declarations_say():
    from portfolio_platform.lake.documentation import page

    assert (ROOT / "docs" / "tables.md").read_text() == page()


def test_the_readme_names_the_two_commands_and_every_page_exists():
    import re

    readme = (ROOT / "README.md").read_text()
    assert "make run" in readme and "make test" in readme
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_a_python_that_is_too_old_or_too_new_is_refused_with_a_sentence(tmp_path):
    """A stand-in interpreter says it is another version; make must not go on with it."""
    fake = tmp_path / "python3.9"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    done = subprocess.run(
        ["make", "run", f"PYTHON={fake}", f"VENV={tmp_path / 'venv'}"], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.returncode != 0
    assert "needs Python 3.11 or 3.12" in done.stderr
    assert not (tmp_path / "venv").exists()
