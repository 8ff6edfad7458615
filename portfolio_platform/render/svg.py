"""A drawn figure as bytes: SVG that can stand in a page beside others, and PNG. Equal input gives equal bytes anywhere."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[["Figure"], None]
SVG_SIZE = (5.8, 2.75)
PNG_SIZE = (9.0, 3.2)
PNG_DPI = 100
FONT = "DejaVu Sans"
"""The font that comes with matplotlib; in SVG its glyphs are paths, so no font of the reader's machine matters."""

_PROLOGUE = re.compile(r"<\?xml.*?\?>\s*|<!DOCTYPE.*?>\s*|<!--.*?-->\s*|<metadata>.*?</metadata>\s*", re.DOTALL)
_STYLE = re.compile(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>\s*", re.DOTALL)
_PATH = re.compile(r' d="([^"]*)"')
_LONG = re.compile(r"-?\d+\.\d{3,}")
_IDENTITY = re.compile(r'( id="| xlink:href="#|url\(#)')
_EMPTY_LINES = re.compile(r">\s+<")
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "path",
    "font.family": [FONT],
    "font.size": 8.5,
    "axes.titlesize": 9.0,
    "axes.edgecolor": "#8a8f98",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e6ea",
    "grid.linewidth": 0.7,
    "xtick.color": "#4a4f57",
    "ytick.color": "#4a4f57",
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "legend.handlelength": 1.8,
    "legend.borderaxespad": 0.2,
    "path.simplify": True,
    "text.parse_math": False,
}


@contextmanager
def _settings(salt: str) -> Iterator[None]:
    """Apply matplotlib's own defaults and ours, whatever the reader's matplotlibrc says; restore all after."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        matplotlib.rcParams["svg.hashsalt"] = salt
        yield


def svg(draw: Draw, name: str, label: str, size: tuple[float, float] = SVG_SIZE) -> str:
    """Return what is drawn as an SVG element.

    Args:
        draw: draws on an empty figure.
        name: the chart's name; every id in the SVG begins with it, so that charts can share a page.
        label: what a screen reader says.
        size: width and height in inches.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with _settings(name):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = _STYLE.sub("", _PROLOGUE.sub("", buffer.getvalue()))
    text = _PATH.sub(lambda found: f' d="{shorter(found[1])}"', text)
    text = _EMPTY_LINES.sub("><", _IDENTITY.sub(rf"\g<1>{name}-", text))
    root = f'<svg role="img" aria-label="{escape(label)}" style="stroke-linejoin:round;stroke-linecap:butt" '
    return text.replace("<svg ", root, 1).strip()


def png(draw: Draw, name: str, size: tuple[float, float] = PNG_SIZE) -> bytes:
    """Return what is drawn as a PNG of 100 pixels an inch, 900 by 320 where no size is given."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    with _settings(name):
        figure = Figure(figsize=size, dpi=PNG_DPI, layout="constrained")
        canvas: Any = FigureCanvasAgg(figure)
        draw(figure)
        canvas.draw()  # once: saving a figure lays it out and draws it a second time
        pixels = canvas.get_width_height(physical=True)
        picture = Image.frombytes("RGBA", pixels, bytes(canvas.buffer_rgba())).convert("RGB")
    buffer = io.BytesIO()
    # at most 128 colours, found the fast way: a third of the bytes, and nothing that the eye would miss in a line chart
    picture.quantize(128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(buffer, format="png")
    return buffer.getvalue()


def shorter(path: str) -> str:
    """Return a path's commands with coordinates of a hundredth of a point; no vertex is left out.

    A line that goes straight across or down is written as H or V: a step line is mostly those.
    """
    words = _LONG.sub(_rounded, path).split()
    if not set(words[::3]) <= {"M", "L", "z"}:
        return " ".join(words)
    out: list[str] = []
    x = y = ""
    for place in range(0, len(words) - 2, 3):
        command, new_x, new_y = words[place : place + 3]
        if command == "L" and new_y == y:
            out.append(f"H{new_x}")
        elif command == "L" and new_x == x:
            out.append(f"V{new_y}")
        else:
            out.append(f"{command}{new_x} {new_y}")
        x, y = new_x, new_y
    return "".join(out) + ("z" if words and words[-1] == "z" else "")


def _rounded(found: re.Match[str]) -> str:
    return f"{round(float(found[0]), 2) + 0.0:.2f}".rstrip("0").rstrip(".")
