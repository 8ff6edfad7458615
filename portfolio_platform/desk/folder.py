"""The folder of a plan, `executions/<execution id>` of the home: made from the papers in the log, and again, byte for byte.

Nothing is ever decided from these files; they are for people. A file that was changed is named and written anew.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from portfolio_platform.errors import StoreProblem
from portfolio_platform.orchestrator.papers import PlanPapers

if TYPE_CHECKING:
    from portfolio_platform.home import Home


def executions(home: "Home") -> Path:
    """Return the folder of all plans' folders."""
    return home.root / "executions"


def folder_of(home: "Home", papers: PlanPapers) -> Path:
    """Return the folder of a plan."""
    return executions(home) / papers.folder_name


def differing(home: "Home", papers: PlanPapers) -> list[str]:
    """Return the files of a plan's folder that are missing or not as the log makes them."""
    from portfolio_platform.render.orchestration.files import files_of

    folder = folder_of(home, papers)
    return [name for name, content in files_of(papers).items() if not _holds(folder / name, content)]


def write_folder(home: "Home", papers: PlanPapers) -> tuple[Path, list[str]]:
    """Bring a plan's folder to what the log says; return it, and the names of the files that had to be written.

    Raises:
        StoreProblem: the folder cannot be written. The plan is in the log all the same.
    """
    from portfolio_platform.render.orchestration.files import files_of

    folder = folder_of(home, papers)
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files_of(papers).items():
            if not _holds(folder / name, content):
                _write(folder / name, content)
                written.append(name)
    except OSError as error:
        raise StoreProblem(
            f"the folder {folder} cannot be written: {error.strerror}; the plan is in the log, and "
            f"`portfolio orchestrate guide {papers.execution_id}` writes it once the folder can be"
        ) from error
    return folder, written


def _holds(path: Path, content: bytes) -> bool:
    try:
        return not path.is_symlink() and path.read_bytes() == content
    except OSError:
        return False


def _write(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old or the new content, never a part; a link is replaced, not followed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.write_bytes(content)
    temporary.replace(path)
