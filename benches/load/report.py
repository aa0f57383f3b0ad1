"""Figures as people read them: a table for each work, and a plot of all."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from .measure import Series

Results = Mapping[str, Mapping[str, Series]]
"""Work, then system."""


def machine() -> str:
    """The processor, its cores, kernel and Python: what a reader needs to judge the figures."""
    model = "unknown processor"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return (
        f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def tables(results: Results, base: str, memory: Mapping[str, int]) -> str:
    """Markdown: for each work a row a system, ratios against `base` with their smallest and largest round."""
    parts = []
    for work, systems in results.items():
        rows = [
            f"| {work} | requests/s | x {base} | CPU us/request | CPU: x {base} | p50 ms | p99 ms |",
            "|---|--:|--:|--:|--:|--:|--:|",
        ]
        reference = systems.get(base)
        for name, series in sorted(systems.items(), key=lambda entry: -entry[1].rate):
            ratio = spread(series.ratios(reference)) if reference else ""
            cheaper = spread(series.cpu_ratios(reference)) if reference else ""
            rows.append(
                f"| {name} | {series.rate:,.0f} | {ratio} | {series.cpu_us:.1f} | {cheaper} "
                f"| {series.p50_ms:.2f} | {series.p99_ms:.2f} |"
            )
        parts.append("\n".join(rows))
    rows = ["| resident memory after the run | MB |", "|---|--:|"]
    rows += [f"| {name} | {size / 1e6:.0f} |" for name, size in sorted(memory.items(), key=lambda entry: entry[1])]
    parts.append("\n".join(rows))
    return "\n\n".join(parts)


def spread(ratios: Sequence[float]) -> str:
    """The median, the smallest and the largest."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def plot(results: Results, path: Path, title: str) -> None:
    """Writes bars of requests a second, a panel a work, as SVG or PNG by the name of `path`. Needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "bimetal"
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(len(results), 1, figsize=(9, 1.1 + 1.9 * len(results)), squeeze=False)
    for panel, (work, systems) in zip(panels[:, 0], results.items(), strict=True):
        ordered = sorted(systems.items(), key=lambda entry: entry[1].rate)
        rates = [series.rate for _, series in ordered]
        low = [series.rate - min(sample.rate for sample in series.samples) for _, series in ordered]
        high = [max(sample.rate for sample in series.samples) - series.rate for _, series in ordered]
        colours = ["#c8553d" if name.startswith("bimetal") else "#8d99ae" for name, _ in ordered]
        panel.barh([name for name, _ in ordered], rates, xerr=[low, high], color=colours, ecolor="#2b2d42")
        panel.set_title(work, loc="left", fontsize=10)
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    panels[-1, 0].set_xlabel("requests a second (median of the rounds; the line spans all of them)", fontsize=8)
    figure.suptitle(title, fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
