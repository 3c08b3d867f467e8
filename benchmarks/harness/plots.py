"""Plots of results: a bar for each contender, with the range of its rounds."""

from __future__ import annotations

from pathlib import Path

from .statistics import spread_of
from .values import OURS, Figure, Result

WIDTH = 1280
"""Pixels of a picture, at most."""
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
        from matplotlib.figure import Figure as Page  # noqa: PLC0415 - needed for plots alone
    except ModuleNotFoundError as missing:
        msg = "plots need matplotlib: pip install 'trio-instances[benchmarks]'"
        raise ModuleNotFoundError(msg) from missing

    figures = result.workload.figures
    height = 1.2 + 0.34 * len(result.samples)
    page = Page(figsize=(5.2 * len(figures), height), layout="constrained")
    for axes, figure in zip(page.subplots(1, len(figures), squeeze=False)[0], figures, strict=True):
        _bars(axes, result, figure)
    page.suptitle(result.workload.title.format(n=f"{result.size:,}"), fontsize=10)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"benchmark-{result.workload.name.replace('_', '-')}.png"
    page.savefig(path, dpi=min(110.0, WIDTH / page.get_figwidth()))
    return path


def _bars(axes: object, result: Result, figure: Figure) -> None:
    spreads = {name: spread_of(result.values(name, figure.name)) for name in result.samples}
    known = {name: each for name, each in reversed(spreads.items()) if each is not None}
    middles = [each.median * figure.scale for each in known.values()]
    errors = [
        [(each.median - each.low) * figure.scale for each in known.values()],
        [(each.high - each.median) * figure.scale for each in known.values()],
    ]
    colors = ["#2b6cb0" if name.startswith(OURS) else "#b0b7c3" for name in known]
    bars = axes.barh(list(known), middles, xerr=errors, color=colors, ecolor="#4a5568")
    axes.bar_label(bars, fmt=lambda value: f"{value:,.3g}", padding=6, fontsize=8)
    if middles and min(middles) > 0 and max(middles) > WIDE * min(middles):
        axes.set_xscale("log")
    axes.margins(x=0.18)
    axes.set_xlabel(f"{figure.name}, {figure.unit}", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
