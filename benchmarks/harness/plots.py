"""Plots of results: a bar for each contender, with the range of its rounds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .statistics import spread_of
from .values import OURS, Figure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Page

WIDTH = 1280
"""Pixels of a picture, at most."""
INK = "#7a7a7a"
"""Of all text and lines: as far from a white page as from a dark one, as the picture has none."""
BARS = {True: "#3b82c4b0", False: "#7a7a7a80"}
"""Ours and those of others; half transparent, so that the ranges show on them."""
WIDE = 20.0
"""How many times the least the greatest may be on a plain scale."""


def draw(result: Result, folder: Path) -> Path:
    """Draw a workload's figures side by side into one PNG file, and return its path.

    Args:
        result: Of one workload.
        folder: Where to; it is made if need be.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context  # noqa: PLC0415 - needed for plots alone
        from matplotlib.figure import Figure as Drawn  # noqa: PLC0415 - as above
    except ModuleNotFoundError as missing:
        msg = "plots need matplotlib: pip install 'trio-instances[benchmarks]'"
        raise ModuleNotFoundError(msg) from missing

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"benchmark-{result.workload.name.replace('_', '-')}.png"
    with rc_context(dict.fromkeys(_INKED, INK)):
        page = _page(Drawn, result)
        dpi = min(110.0, WIDTH / page.get_figwidth())
        page.savefig(path, dpi=dpi, transparent=True)
    return path


_INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")


def _page(make: type[Page], result: Result) -> Page:
    figures = result.workload.figures
    height = 1.2 + 0.34 * len(result.samples)
    page = make(figsize=(5.2 * len(figures), height), layout="constrained")
    for axes, figure in zip(page.subplots(1, len(figures), squeeze=False)[0], figures, strict=True):
        _bars(axes, result, figure)
    page.suptitle(result.workload.title.format(n=f"{result.size:,}"), fontsize=10)
    return page


def _bars(axes: object, result: Result, figure: Figure) -> None:
    spreads = {name: spread_of(result.values(name, figure.name)) for name in result.samples}
    known = {name: each for name, each in reversed(spreads.items()) if each is not None}
    middles = [each.median * figure.scale for each in known.values()]
    errors = [
        [(each.median - each.low) * figure.scale for each in known.values()],
        [(each.high - each.median) * figure.scale for each in known.values()],
    ]
    colors = [BARS[name.startswith(OURS)] for name in known]
    bars = axes.barh(list(known), middles, xerr=errors, color=colors, ecolor=INK)
    axes.bar_label(bars, fmt=lambda value: f"{value:,.3g}", padding=6, fontsize=8)
    if middles and min(middles) > 0 and max(middles) > WIDE * min(middles):
        axes.set_xscale("log")
    axes.margins(x=0.18)
    axes.set_xlabel(f"{figure.name}, {figure.unit}", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
