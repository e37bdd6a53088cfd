"""What a table's float16 and float32 lose of vectors as they were published: neighbours and cosines.

    python -m benchmarks.storage clay:FILE.gpq ours=TABLE -o benchmarks/results/storage.json

Each LAYOUT:FILE is imported into a table of float16 and one of float32, and what they hold is compared with
the file's own numbers in float64. NAME=TABLE is a table of float32, whose own numbers are the truth. Each row
is a query, itself left out; of rows that are equally similar any may be named. Beside both stands what inner
products of float16 give, taken for cosines.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from indexer.table.columns import to_matrix, unit
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.foreign import matrix_of
from indexer.table.importers import LAYOUTS, import_file
from indexer.table.schema import VALUE_TYPES

from .machine import describe

K = 10
PACKAGES = ("numpy", "pyarrow")
ALL_TIME = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
Vectors = NDArray[np.float64]


@dataclass(frozen=True)
class Lost:
    """What one way of keeping vectors makes of their neighbours."""

    name: str
    rows: int
    dimensions: int
    kept_as: str  # "float16", "float32", or "float16, inner products"
    first: float  # share of queries whose nearest row is the nearest of the originals
    recall_at_10: float  # share of the originals' ten nearest that are among the ten nearest
    largest_error: float  # of a cosine


def compared(name: str, original: Vectors, kept: dict[str, Vectors]) -> list[Lost]:
    """Neighbours by what was kept (n, d), beside those by the original vectors (n, d)."""
    truth, (rows, dimensions) = _cosines(original), original.shape
    off_diagonal = ~np.eye(rows, dtype=bool)
    lost = []
    for way, similar in _ways(kept):
        first, recall = _shares(truth, similar)
        error = float(np.abs(truth - similar)[off_diagonal].max())
        lost.append(Lost(name, rows, dimensions, way, first, recall, error))
    return lost


def _ways(kept: dict[str, Vectors]) -> Iterator[tuple[str, Vectors]]:
    for values, vectors in kept.items():
        yield values, _cosines(vectors)
    yield "float16, inner products", kept["float16"] @ kept["float16"].T


def _cosines(vectors: Vectors) -> Vectors:
    one = unit(vectors)
    return np.asarray(one @ one.T)


def _shares(truth: Vectors, similar: Vectors) -> tuple[float, float]:
    """Shares of right first neighbours, and of right ones among ten; equally similar ones are as right."""
    first, shares = [], []
    for row, (right, guess) in enumerate(zip(truth, similar, strict=True)):
        others = np.flatnonzero(np.arange(len(right)) != row)
        named = others[np.argsort(-guess[others], kind="stable")]
        least = np.sort(right[others])[::-1]
        first.append(right[named[0]] >= least[0])
        shares.append(np.mean(right[named[:K]] >= least[min(K, len(least)) - 1]))
    return float(np.mean(first)), float(np.mean(shares))


def of_file(layout: str, path: Path, folder: Path) -> list[Lost]:
    """A published file, through tables of both kinds."""
    known = LAYOUTS[layout]
    known = replace(known, model=known.model or "unknown", licence=known.licence or "other")
    tables = {
        values: import_file(path, known, folder / values, period=ALL_TIME, values=values).table
        for values in VALUE_TYPES
    }
    file = pq.read_table(path, columns=list(known.vector))
    (column,) = file.columns
    dimension = tables["float32"].dimension
    original = matrix_of(column.combine_chunks(), dimension, 0).astype(np.float64)
    kept: dict[str, Vectors] = {values: _matrix(table) for values, table in tables.items()}
    order = _order_in_file(original, kept["float32"])
    assert len(np.unique(order)) == len(order), "a vector a row"
    return compared(f"{layout}: {path.name}", original[order], kept)


def _order_in_file(original: Vectors, kept: Vectors) -> NDArray[np.int64]:
    """Which vector of the file each row of a table is: the one it is most like."""
    return np.asarray(np.argmax(unit(kept) @ unit(original).T, axis=1))


def of_table(name: str, path: Path) -> list[Lost]:
    """A table of float32, beside its rounding to float16."""
    original = _matrix(EmbeddingTable.open(path))
    kept: dict[str, Vectors] = {values: original.astype(values).astype(np.float64) for values in VALUE_TYPES}
    return compared(name, original, kept)


def _matrix(table: EmbeddingTable) -> Vectors:
    rows = pa.Table.from_batches(table.scan(["embedding"]))
    return to_matrix(rows["embedding"]).astype(np.float64)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure each, print a table, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("vectors", nargs="+", metavar="LAYOUT:FILE or NAME=TABLE")
    parser.add_argument("-o", "--out", type=Path)
    asked = parser.parse_args(argv)
    results: list[Lost] = []
    for given in asked.vectors:
        if "=" in given:
            name, _, path = given.partition("=")
            results += of_table(name, Path(path))
            continue
        layout, _, path = given.partition(":")
        with tempfile.TemporaryDirectory() as folder:
            results += of_file(layout, Path(path), Path(folder))
    print("| vectors | rows x dimensions | kept as | first | recall@10 | largest error of a cosine |")
    print("|---|---|---|---|---|---|")
    for one in results:
        print(
            f"| {one.name} | {one.rows} x {one.dimensions} | {one.kept_as} | {one.first:.3f} | "
            f"{one.recall_at_10:.4f} | {one.largest_error:.1e} |"
        )
    if asked.out is not None:
        report = {"machine": describe(PACKAGES), "results": [asdict(one) for one in results]}
        asked.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
