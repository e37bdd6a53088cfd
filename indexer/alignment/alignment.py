"""A table's own alignment of its sensors: from the vectors of one to the rows of another.

Rows that hold both sensors are pairs without a label. A regularised canonical correlation of them gives a map
from one column's vectors into the stored space of the other, so that searching it needs nothing of its own.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import combinations, product

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import TableError
from ..geo.cells import parents, resolution_of
from ..table.columns import Cosines, to_matrix, unit
from ..table.drawn import drawn_batches
from ..table.embedding_table import EmbeddingTable
from .cca import CCA

KIND = "alignment"  # the sidecar
FILE = "maps.parquet"
SENSORS = ("embedding_hr", "embedding_s2", "embedding_s1")
LEAST_PAIRS = 300
MOST_PAIRS = 10_000
MOST_SCANNED = 400_000  # rows that pairs are sought among
LEAST_BLOCKS = 6
BLOCK_RESOLUTION = 5  # H3: folds are whole cells of it, or of a finer one in a small area
FOLDS = 3
ASKED = 1_000  # pairs of a fold that recall is measured among
K = 10
RIDGES = (0.01, 0.1, 1.0, 10.0)
DIMENSIONS = (8, 16, 32, 64)
SCHEMA = pa.schema(
    [
        ("using", pa.string()),
        ("against", pa.string()),
        ("mean", pa.list_(pa.float32())),  # (dx,)
        ("matrix", pa.list_(pa.float32())),  # (dx, dy), row by row
    ]
)


@dataclass(frozen=True)
class Fitted:
    """How well vectors of one column find their own rows in another, on blocks that were not fitted on."""

    using: str
    against: str
    pairs: int
    recall: float  # recall@10 among `asked`
    recall_before: float  # of the vectors as they are; 0 where the columns differ in dimension
    asked: int
    ridge: float
    dimensions: int

    def __str__(self) -> str:
        change = f"recall@{K} of {self.asked:,} {self.recall:.3f}, {self.recall_before:.3f} without"
        return f"{_word(self.using)} -> {_word(self.against)}: {self.pairs:,} pairs, {change}"


@dataclass(frozen=True)
class Map:
    """From vectors of one column into the space of another."""

    mean: NDArray[np.float64]  # (dx,)
    matrix: NDArray[np.float64]  # (dx, dy)
    fitted: Fitted

    def __call__(self, vectors: Cosines) -> Cosines:
        """(m, dx) of norm 1 -> (m, dy) of norm 1; NaN where a vector is the pairs' mean."""
        return unit((vectors - self.mean) @ self.matrix)


@dataclass(frozen=True)
class Pairs:
    """Rows that hold two columns."""

    x: NDArray[np.float64]  # (n, dx) of norm 1
    y: NDArray[np.float64]  # (n, dy)
    fold: NDArray[np.int64]  # (n,) 0 to FOLDS - 1, a whole block in one


def align(table: EmbeddingTable, seed: int = 0) -> tuple[EmbeddingTable, tuple[Fitted, ...]]:
    """Fit every two sensors that enough rows hold both of, both ways, and commit what finds more than before.

    Returns the table as it then is (the same where nothing helps), and what was fitted.

    Raises:
        TableError: a part cannot be read, or the disk refuses.
    """
    columns = [name for name in SENSORS if name in table.optional_columns]
    maps: list[Map] = []
    for one, other in combinations(columns, 2):
        pairs = read_pairs(table, one, other, seed)
        if pairs is not None:
            maps += fit(pairs, one, other)
    kept = [made for made in maps if made.fitted.recall > made.fitted.recall_before]
    if kept or fitted_of(table):
        info = {"fitted": [asdict(made.fitted) for made in kept]}
        table = table.commit_sidecar(KIND, {FILE: _to_parquet(kept)}, info)
    return table, tuple(made.fitted for made in maps)


def is_aligned(table: EmbeddingTable) -> bool:
    """Whether an alignment was fitted on the rows as they are."""
    sidecar = table.sidecar(KIND)
    return sidecar is not None and table.is_current(sidecar)


def fitted_of(table: EmbeddingTable) -> tuple[Fitted, ...]:
    """What the table's alignment says of itself; nothing where there is none."""
    sidecar = table.sidecar(KIND)
    return tuple(Fitted(**entry) for entry in sidecar.info["fitted"]) if sidecar else ()


def read_map(table: EmbeddingTable, using: str, against: str) -> Map | None:
    """The map from one column to another; None where there is none. Raises TableError."""
    fitted = next((one for one in fitted_of(table) if (one.using, one.against) == (using, against)), None)
    if fitted is None:
        return None
    rows = pq.read_table(BytesIO(table.read_sidecar(KIND, FILE)), schema=SCHEMA).to_pylist()
    row = next((row for row in rows if (row["using"], row["against"]) == (using, against)), None)
    sizes = [table.schema.field(column).type.list_size for column in (using, against)]
    if row is None or [len(row["mean"]), len(row["matrix"])] != [sizes[0], sizes[0] * sizes[1]]:
        raise TableError(f"{table.storage.root}: the alignment does not fit the table; run `skyhex align`")
    matrix = np.array(row["matrix"], np.float64).reshape(sizes)
    return Map(np.array(row["mean"], np.float64), matrix, fitted)


def read_pairs(table: EmbeddingTable, one: str, other: str, seed: int = 0) -> Pairs | None:
    """Rows that hold both columns, drawn from all; None where they are too few, or lie in too few blocks."""
    rng = np.random.default_rng(seed)
    cells, x, y = [], [], []
    for batch in drawn_batches(table, ["h3_cell", one, other], rng, MOST_SCANNED):
        left, right = (unit(to_matrix(batch[name])) for name in (one, other))
        both = np.isfinite(left).all(axis=1) & np.isfinite(right).all(axis=1)
        cells.append(batch["h3_cell"].to_numpy()[both])
        x.append(left[both].astype(np.float32))
        y.append(right[both].astype(np.float32))
    if sum(map(len, cells)) < LEAST_PAIRS:
        return None
    picked = np.sort(rng.permutation(sum(map(len, cells)))[:MOST_PAIRS])
    fold = _folds(np.concatenate(cells)[picked])
    if fold is None:
        return None
    exact = [unit(np.concatenate(side)[picked]) for side in (x, y)]
    return Pairs(exact[0], exact[1], fold)


def fit(pairs: Pairs, one: str, other: str) -> list[Map]:
    """Both ways, each with the ridge and dimension that find most on other blocks."""
    dials = list(product(RIDGES, DIMENSIONS))
    scores, before, asked = np.zeros((len(dials), 2)), np.zeros(2), 0
    for fold in range(FOLDS):
        held = pairs.fold == fold
        rows = np.flatnonzero(held)[:: max(1, int(held.sum()) // ASKED)][:ASKED]
        asked = max(asked, len(rows))
        x, y = pairs.x[rows], pairs.y[rows]
        scores += _each_dial(pairs, ~held, x, y) / FOLDS
        if x.shape[1] == y.shape[1]:
            before += np.array([recall(x, y), recall(y, x)]) / FOLDS
    maps = []
    for way, (using, against) in enumerate(((one, other), (other, one))):
        best = int(scores[:, way].argmax())
        cca = CCA.fit(pairs.x, pairs.y, *dials[best])
        recalls = float(scores[best, way]), float(before[way])
        fitted = Fitted(using, against, len(pairs.x), *recalls, asked, *dials[best])
        maps.append(map_of(cca if way == 0 else cca.turned(), fitted))
    return maps


def _each_dial(
    pairs: Pairs, shown: NDArray[np.bool_], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Recall of pairs (x, y), forth and back, by each dial fitted on the rows shown: (dials, 2)."""
    recalls = []
    for ridge in RIDGES:
        whole = CCA.fit(pairs.x[shown], pairs.y[shown], ridge, max(DIMENSIONS))
        for dimensions in DIMENSIONS:
            cca = whole.first(dimensions)
            recalls.append((recall(_mapped(cca, x), y), recall(_mapped(cca.turned(), y), x)))
    return np.array(recalls)


def map_of(cca: CCA, fitted: Fitted) -> Map:
    """The inner product of two projections is that of the mapped vector with the other as it is stored."""
    return Map(cca.x_mean, cca.x_axes @ cca.y_axes.T, fitted)


def _mapped(cca: CCA, x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((x - cca.x_mean) @ cca.x_axes @ cca.y_axes.T)


def recall(queries: NDArray[np.float64], rows: NDArray[np.float64]) -> float:
    """Share of queries (n, d) that find row i for query i among the K most similar of rows (n, d)."""
    similarity = queries @ rows.T
    rank = (similarity >= np.diagonal(similarity)[:, None]).sum(axis=1)
    return float((rank <= K).mean())


def folds_of(blocks: NDArray[np.generic]) -> NDArray[np.int64] | None:
    """The fold of each row (n,), whole blocks in one; None where the blocks are too few.

    Blocks come in the order of their digests: the choice is certain, and neighbours may part.
    """
    names, inverse = np.unique(blocks, return_inverse=True)
    if len(names) < LEAST_BLOCKS:
        return None
    order = sorted(range(len(names)), key=lambda i: hashlib.sha256(str(names[i]).encode()).digest())
    fold_of = np.empty(len(names), np.int64)
    fold_of[order] = np.arange(len(names)) % FOLDS
    return fold_of[inverse]


def _folds(cells: NDArray[np.uint64]) -> NDArray[np.int64] | None:
    """By the coarsest cells that are enough."""
    tried = range(BLOCK_RESOLUTION, resolution_of(int(cells[0])) + 1)
    tries = (folds_of(parents(cells, resolution)) for resolution in tried)
    return next((fold for fold in tries if fold is not None), None)


def _to_parquet(maps: list[Map]) -> bytes:
    rows = [
        {
            "using": made.fitted.using,
            "against": made.fitted.against,
            "mean": made.mean.tolist(),
            "matrix": made.matrix.ravel().tolist(),
        }
        for made in maps
    ]
    buffer = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), buffer)
    return buffer.getvalue()


def _word(column: str) -> str:
    return column.removeprefix("embedding_").upper()
