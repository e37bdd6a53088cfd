"""A linear classifier of cells, taught by labels, tested on blocks of cells that it was not taught with.

Neighbours look alike, so a fold is whole blocks: coarse H3 cells. What is kept is a small JSON of numbers,
with the digest of the encoder whose vectors it takes: it applies to every table and year of that encoder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import QueryError
from ..geo.cells import Cells, parents
from ..search.filter import Filter
from ..table.columns import Cosines
from ..table.embedding_table import EmbeddingTable
from .cell_vectors import cell_vectors

FORMAT = "skyhex-classifier-1"
FOLDS = 5
BLOCKS_COARSER = 3  # resolutions: a block has 343 cells
STEPS = 2_000  # of the solver, at most


@dataclass(frozen=True)
class Classifier:
    """Weights of a multinomial logistic regression on vectors of norm 1."""

    classes: tuple[str, ...]  # (c,)
    weights: NDArray[np.float64]  # (c, d)
    bias: NDArray[np.float64]  # (c,)
    model: str  # of the encoder
    digest: str
    column: str

    def to_json(self) -> str:
        """What a file of it holds."""
        return json.dumps(
            {
                "format": FORMAT,
                "model": {"name": self.model, "digest": self.digest, "column": self.column},
                "classes": list(self.classes),
                "weights": self.weights.tolist(),
                "bias": self.bias.tolist(),
            }
        )

    @staticmethod
    def read(path: Path) -> Classifier:
        """From a file. Raises `QueryError`."""
        try:
            said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if said["format"] != FORMAT:
                raise QueryError(f"{path} has format {said['format']!r}, this program reads {FORMAT}")
            weights, bias = (np.asarray(said[name], np.float64) for name in ("weights", "bias"))
            classes = tuple(str(name) for name in said["classes"])
            encoder = said["model"]
            made = Classifier(
                classes, weights, bias, str(encoder["name"]), str(encoder["digest"]), str(encoder["column"])
            )
        except QueryError:
            raise
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise QueryError(f"{path} holds no classifier ({error!r}): see `skyhex classify fit`") from error
        if weights.ndim != 2 or not len(classes) == len(weights) == len(bias) or len(classes) < 2:
            raise QueryError(f"{path}: {len(classes)} classes, weights {weights.shape}, bias {bias.shape}")
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise QueryError(f"{path} has weights that are not numbers")
        return made

    def probabilities(self, vectors: Cosines) -> NDArray[np.float64]:
        """Of vectors (n, d) the softmax over the classes (n, c)."""
        scores = vectors @ self.weights.T + self.bias
        raised = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Fit:
    """A classifier, and how it did on blocks that it was not taught with."""

    classifier: Classifier
    confusion: NDArray[np.int64]  # (c, c): rows are labels, columns what was said
    cells: int
    blocks: int
    folds: int
    without_vector: int  # labelled cells that no row of the filter has a vector of

    @property
    def accuracy(self) -> float:
        """The share of labelled cells that were told right out of fold."""
        return float(np.trace(self.confusion) / self.confusion.sum())


def fit_classifier(
    table: EmbeddingTable,
    labels: pa.Table,
    *,
    column: str = "embedding",
    filter: Filter = Filter(),  # noqa: B008 - frozen
    block_resolution: int | None = None,
    seed: int = 0,
) -> Fit:
    """Teach a classifier with labelled cells, in folds of whole blocks first, then with all of them.

    Args:
        table: whose vectors it takes.
        labels: `h3_cell` and `label`.
        column: the vectors.
        filter: the rows that the labels are of, such as a year's.
        block_resolution: of the coarse cells that are left out together; by default three coarser.
        seed: of the order of blocks in folds.

    Raises:
        QueryError: fewer than two classes, or too few blocks to leave some out.
        ImportError: scikit-learn is not installed.
    """
    resolution = (
        max(table.h3_resolution - BLOCKS_COARSER, 0) if block_resolution is None else block_resolution
    )
    if not 0 <= resolution <= table.h3_resolution:
        raise QueryError(
            f"blocks of resolution {resolution}: expected 0 to the table's {table.h3_resolution}"
        )
    said = dict(zip(labels["h3_cell"].to_pylist(), labels["label"].to_pylist(), strict=True))
    cells, vectors = _vectors_of(table, column, filter, np.array(sorted(said), np.uint64))
    given = np.array([said[cell] for cell in cells.tolist()], object)
    classes, target = np.unique(given.astype(str), return_inverse=True)
    if len(classes) < 2:
        raise QueryError(f"labels of {len(classes)} class have a row: expected two classes or more")
    block = parents(cells, resolution)
    fold = _folds(block, min(FOLDS, len(np.unique(block))), seed)
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    for number in range(int(fold.max()) + 1):
        held = fold == number
        known = np.unique(target[~held])
        if len(known) < 2:
            raise QueryError(
                "all labels of a class lie in one block, so nothing can be tested: label elsewhere, too, or "
                "make blocks smaller with a finer block resolution"
            )
        weights, bias = _taught(vectors[~held], target[~held], len(classes))
        np.add.at(confusion, (target[held], (vectors[held] @ weights.T + bias).argmax(axis=1)), 1)
    weights, bias = _taught(vectors, target, len(classes))
    model = table.model
    made = Classifier(tuple(classes.tolist()), weights, bias, model.name, model.digest, column)
    return Fit(
        made, confusion, len(cells), len(np.unique(block)), int(fold.max()) + 1, len(said) - len(cells)
    )


def apply_classifier(
    classifier: Classifier,
    table: EmbeddingTable,
    filter: Filter = Filter(),  # noqa: B008 - frozen
) -> Iterator[pa.Table]:
    """The class of each cell of a table: `h3_cell`, `label`, `confidence`, in pieces.

    Confidence is the classifier's own probability; it is not checked against the ground.

    Raises:
        QueryError: a table of another encoder.
    """
    if classifier.digest != table.model.digest:
        raise QueryError(
            f"the classifier takes vectors of {classifier.model} ({classifier.digest[:12]}), the table holds "
            f"those of {table.model}: fit one on this table"
        )
    names = pa.array(classifier.classes)
    for cells, vectors in cell_vectors(table, classifier.column, filter):
        probability = classifier.probabilities(vectors)
        best = probability.argmax(axis=1)
        confidence = np.round(probability.max(axis=1), 4)
        yield pa.table({"h3_cell": cells, "label": names.take(pa.array(best)), "confidence": confidence})


def _vectors_of(table: EmbeddingTable, column: str, filter: Filter, wanted: Cells) -> tuple[Cells, Cosines]:
    """The cells among those wanted that have a vector, and the vectors."""
    cells_met, vectors_met = [np.empty(0, np.uint64)], [np.empty((0, table.dimension))]
    for cells, vectors in cell_vectors(table, column, filter):
        some = np.isin(cells, wanted)
        cells_met.append(cells[some])
        vectors_met.append(vectors[some].reshape(-1, vectors.shape[1]))
    held = [vectors for vectors in vectors_met if len(vectors)]
    return np.concatenate(cells_met), np.concatenate(held) if held else vectors_met[0]


def _folds(block: Cells, folds: int, seed: int) -> NDArray[np.int64]:
    """The fold (n,) of each cell: blocks in a drawn order, each to the fold with the fewest cells so far."""
    blocks, number, counts = np.unique(block, return_inverse=True, return_counts=True)
    size, fold = np.zeros(folds, np.int64), np.empty(len(blocks), np.int64)
    for at in np.random.default_rng(seed).permutation(len(blocks)).tolist():
        fold[at] = size.argmin()
        size[fold[at]] += counts[at]
    return np.asarray(fold[number])


def _taught(
    vectors: Cosines, target: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (c, d) and bias (c,); a class that is not among the targets is never said."""
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise QueryError("a classifier is fitted by scikit-learn: `pip install skyhex[eval]`") from error
    scaler = StandardScaler().fit(vectors)
    model = LogisticRegression(max_iter=STEPS).fit(scaler.transform(vectors), target)
    own_weights, own_bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # one row of numbers stands for both
        own_weights, own_bias = np.vstack([-own_weights, own_weights]) / 2, np.r_[-own_bias, own_bias] / 2
    weights, bias = np.zeros((classes, vectors.shape[1])), np.full(classes, -1e9)
    weights[model.classes_] = own_weights / scaler.scale_
    bias[model.classes_] = own_bias - own_weights @ (scaler.mean_ / scaler.scale_)
    return weights, bias


def confusion_rows(fit: Fit) -> Sequence[dict[str, Any]]:
    """The confusion matrix, a row for each class of the labels."""
    classes = fit.classifier.classes
    return [
        {"label": name, **dict(zip(classes, row, strict=True)), "right": row[i] / max(sum(row), 1)}
        for i, (name, row) in enumerate(zip(classes, fit.confusion.tolist(), strict=True))
    ]
