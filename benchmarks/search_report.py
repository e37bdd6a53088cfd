"""Results of `benchmarks.search` as a table and as a plot of recall against time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

Report = Mapping[str, Any]

GOOD_ENOUGH = 0.99


def best_point(report: Report, kind: str, selectivity: float) -> Mapping[str, Any] | None:
    """The fastest setting at recall >= GOOD_ENOUGH, else that of the highest recall; None: not measured."""
    points: list[Mapping[str, Any]] = [
        p
        for p in report["points"]
        if (p["kind"], p["selectivity"]) == (kind, selectivity) and p["recall"] is not None
    ]
    good = [p for p in points if p["recall"] >= GOOD_ENOUGH]
    if good:
        return min(good, key=lambda p: float(p["cpu_ms"]))
    return max(points, key=lambda p: float(p["recall"]), default=None)


def cases(reports: Mapping[str, Report]) -> list[tuple[str, float]]:
    """Kinds of filter and shares, in the order they were measured."""
    measured = ((p["kind"], p["selectivity"]) for report in reports.values() for p in report["points"])
    order = {"all": 0, "region": 1, "random": 2}
    return sorted(set(measured), key=lambda case: (order[case[0]], case[1]))


def as_markdown(reports: Mapping[str, Report]) -> str:
    """The tables of docs/performance.md: what each peer is, then its best point at each share."""
    return f"{_sizes(reports)}\n\n{_times(reports)}"


def _sizes(reports: Mapping[str, Report]) -> str:
    lines = [
        "| peer | build, s | on disk, MB | resident, MB | own, MB | open, s | first pass, ms | batch, 1/s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, report in reports.items():
        point = best_point(report, "all", 1.0) or {}
        rate = point.get("batch_per_s")
        lines.append(
            f"| {name} | {report['build_s']:.3g} | {report['bytes'] / 1e6:,.1f}"
            f" | {report['resident_mb']:,.0f} | {report['resident_own_mb']:,.0f} | {report['open_s']:.2g}"
            f" | {report['first_pass_cpu_ms']:.2g} | {'' if rate is None else f'{rate:,.0f}'} |"
        )
    return "\n".join(lines)


def _times(reports: Mapping[str, Report]) -> str:
    columns = cases(reports)
    head = " | ".join("all rows" if kind == "all" else f"{kind} {share:.4g}" for kind, share in columns)
    lines = [f"| peer | {head} |", "|---|" + "---|" * len(columns)]
    for name, report in reports.items():
        cells = (_cell(best_point(report, kind, share)) for kind, share in columns)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(point: Mapping[str, Any] | None) -> str:
    if point is None:
        return "–"
    return f"{point['recall']:.3f}: {point['p50_ms']:.2g} / {point['p99_ms']:.2g} ({point['cpu_ms']:.2g})"


def plot(reports: Mapping[str, Report], path: Path) -> None:
    """One panel per case: processor time of a query against recall@10, one line per peer."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = cases(reports)
    figure = Figure(figsize=(12, 11), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, 3, sharex=True).ravel()
    for axis, (kind, share) in zip(axes, columns, strict=False):
        for number, (name, report) in enumerate(reports.items()):
            points = [p for p in report["points"] if (p["kind"], p["selectivity"]) == (kind, share)]
            known = sorted((p["recall"], p["cpu_ms"]) for p in points if p["recall"] is not None)
            if known:
                ours = {"marker": "D", "zorder": 3} if name.startswith("skyhex") else {"marker": "o"}
                axis.plot(*zip(*known, strict=True), label=name, color=f"C{number}", **ours)
        axis.set_yscale("log")
        axis.set_title("all rows" if kind == "all" else f"{kind} filter, {share:.4g} of the rows")
    for axis in axes[6:]:
        axis.set_xlabel("recall@10")
    for axis in axes[::3]:
        axis.set_ylabel("processor time, ms a query")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    figure.savefig(path, dpi=100)
