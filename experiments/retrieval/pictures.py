"""PNG pictures: bars with intervals, a confusion matrix, queries with their hits, a projection."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from .blocks import bootstrap
from .neighbours import by_cosine
from .problem import Problem
from .protocols import knn_20
from .sheet import Sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, OTHERS, RIGHT, WRONG = "#1f6f8b", "#b8b8b8", "#2a9d55", "#c8553d"
COLOURS = 128  # of a picture
QUERIES_SHOWN, HITS_SHOWN, CLASSES_SHOWN = 6, 6, 12


@dataclass(frozen=True)
class Exhibit:
    """What pictures of one set are drawn from."""

    problem: Problem
    vectors: np.ndarray  # (n, d) ours
    draw: Callable[["Axes", int], None]  # draws item i into axes


def draw_sheet(sheet: Sheet, folder: Path) -> Path:
    """Bars of the headline metric with 95 % intervals."""
    rows = [row for row in sheet.rows if sheet.headline in row.scores][::-1]
    intervals = [bootstrap(row.scores[sheet.headline]) for row in rows]
    means = np.array([interval.mean for interval in intervals])
    reach = np.abs(np.array([[i.low, i.high] for i in intervals]).T - means)
    figure, axes = _figure(7.5, 0.6 + 0.36 * len(rows))
    colours = [OURS if row is sheet.rows[0] else OTHERS for row in rows]
    axes.barh([row.name for row in rows], means, color=colours, xerr=np.nan_to_num(reach), capsize=2.5)
    axes.set(xlabel=f"{sheet.headline}, 95 % over blocks", title=_title(sheet), xlim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    return _saved(figure, folder / f"{_slug(_title(sheet))}-bars.png")


def draw_exhibit(exhibit: Exhibit, folder: Path) -> list[Path]:
    """Confusion matrix (single-label sets), retrieval sheet and projection."""
    paths = [draw_hits(exhibit, folder), draw_projection(exhibit, folder)]
    if not exhibit.problem.is_multi_label:
        paths.append(draw_confusion(exhibit, folder))
    return paths


def draw_confusion(exhibit: Exhibit, folder: Path) -> Path:
    """Rows: true classes of the queries; columns: kNN-20's answers; shares of each row."""
    problem = exhibit.problem
    predicted = np.concatenate([knn_20(problem, fold, exhibit.vectors) for fold in problem.folds]).argmax(
        axis=1
    )
    counts = confusion(problem.code[problem.queries], predicted, len(problem.classes))
    shown = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    share = counts[np.ix_(shown, shown)] / np.maximum(counts[shown].sum(axis=1, keepdims=True), 1)
    names = [problem.classes[i] for i in shown]
    figure, axes = _figure(2.6 + 0.42 * len(shown), 2.2 + 0.42 * len(shown))
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.argwhere(share >= 0.005):
        axes.text(j, i, f"{100 * share[i, j]:.0f}", ha="center", va="center", fontsize=7,
                  color="white" if share[i, j] > 0.6 else "black")  # fmt: skip
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=7)
    labels = [f"{name} ({int(n)})" for name, n in zip(names, counts[shown].sum(axis=1), strict=True)]
    axes.set_yticks(range(len(names)), labels, fontsize=7)
    axes.set(xlabel="kNN-20 says", ylabel="is (queries)", title=f"{problem.name}, %")
    return _saved(figure, folder / f"{_slug(problem.name)}-confusion.png")


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts (classes, classes): true class by predicted class."""
    return np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)


def draw_hits(exhibit: Exhibit, folder: Path) -> Path:
    """A query of each frequent class with its nearest rows; the frame says whether a label is shared."""
    problem = exhibit.problem
    queries = some_queries(problem)
    figure, grid = _figure(1.75 * (HITS_SHOWN + 1), 1.75 * len(queries), len(queries), HITS_SHOWN + 1)
    for line, query in zip(grid, queries, strict=True):
        fold = next(f for f in problem.folds if query in f.query)
        hits = by_cosine(exhibit.vectors[[query]], exhibit.vectors[fold.database], HITS_SHOWN)
        _draw_item(line[0], exhibit, int(query), "black", f"{_names(problem, query)}\nquery")
        for axes, at, similarity in zip(line[1:], hits.index[0], hits.similarity[0], strict=False):
            row = int(fold.database[at])
            shared = (problem.labels[row] & problem.labels[query]).any()
            _draw_item(
                axes, exhibit, row, RIGHT if shared else WRONG, f"{_names(problem, row)}\n{similarity:.3f}"
            )
    return _saved(figure, folder / f"{_slug(problem.name)}-hits.png")


def some_queries(problem: Problem) -> np.ndarray:
    """One query of each of the most frequent classes, from the middle of their rows."""
    rows = problem.queries
    order = np.argsort(-problem.labels[rows].sum(axis=0), kind="stable")[:QUERIES_SHOWN]
    members = [rows[problem.labels[rows, c]] for c in order]
    return np.array([m[len(m) // 2] for m in members if len(m)])


def _draw_item(axes: "Axes", exhibit: Exhibit, row: int, colour: str, title: str) -> None:
    exhibit.draw(axes, row)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=6.5, color=colour)
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=2)


def draw_projection(exhibit: Exhibit, folder: Path) -> Path:
    """All rows on the two main axes of our vectors, coloured by their first label."""
    problem = exhibit.problem
    plane, share = principal_plane(exhibit.vectors)
    first = problem.labels.argmax(axis=1)
    order = np.argsort(-np.bincount(first, minlength=len(problem.classes)), kind="stable")[:CLASSES_SHOWN]
    figure, axes = _figure(7.5, 5.2)
    colours = _colours()
    for i, c in enumerate(order):
        rows = first == c
        axes.scatter(
            *plane[rows].T, s=7, alpha=0.7, color=colours[i % len(colours)], label=problem.classes[c]
        )
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axes.set(
        xlabel=f"axis 1 ({share[0]:.0%} of variance)",
        ylabel=f"axis 2 ({share[1]:.0%})",
        title=f"{problem.name}: embeddings by label (PCA)",
    )
    return _saved(figure, folder / f"{_slug(problem.name)}-projection.png")


def draw_cells(outlines: Sequence[np.ndarray], values: np.ndarray, title: str, path: Path) -> Path:
    """Cells on a map in lon/lat, coloured by values in 0..1: outlines of (points, 2) degrees each."""
    from matplotlib.collections import PolyCollection

    figure, axes = _figure(7.5, 6.0)
    drawn = PolyCollection(outlines, array=values, cmap="RdYlBu", linewidths=0)
    drawn.set_clim(0, 1)
    axes.add_collection(drawn)
    axes.autoscale()
    middle = np.mean([outline[:, 1].mean() for outline in outlines])
    axes.set_aspect(1 / max(np.cos(np.radians(middle)), 0.1))
    axes.set(xlabel="lon", ylabel="lat", title=title)
    figure.colorbar(drawn, ax=axes, shrink=0.8)
    return _saved(figure, path)


def principal_plane(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """PCA: (n, d) -> coordinates (n, 2) and the two shares of the variance."""
    centred = vectors - vectors.mean(axis=0)
    _, size, axes = np.linalg.svd(centred, full_matrices=False)
    return centred @ axes[:2].T, (size[:2] ** 2) / max(float((size**2).sum()), 1e-12)


def _names(problem: Problem, row: int) -> str:
    names = [problem.classes[c] for c in np.flatnonzero(problem.labels[row])]
    text = ", ".join(names)
    return text if len(text) < 28 else text[:26] + ".."


def _title(sheet: Sheet) -> str:
    return f"{sheet.problem.name} {sheet.title}: {sheet.family}".replace(" :", ":")


def _figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    many = rows * columns > 1
    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", squeeze=not many)


def _colours() -> list[Any]:
    import matplotlib.pyplot as plt

    return list(plt.get_cmap("tab20").colors)  # type: ignore[attr-defined]


def _saved(figure: Any, path: Path) -> Path:
    import matplotlib.pyplot as plt

    figure.savefig(path, dpi=90)
    plt.close(figure)
    with Image.open(path) as drawn:  # a palette takes a third of the bytes
        drawn.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


def _slug(text: str) -> str:
    return (
        "".join(c if c.isalnum() else "-" for c in text.lower().replace("->", "to"))
        .strip("-")
        .replace("--", "-")
    )
