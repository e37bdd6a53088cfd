"""Labels of cells, of a file of points or cells, for the rows of two tables."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from data.sample import InputError
from indexer.csv_text import as_written
from indexer.errors import QueryError
from indexer.geo.cells import cells_at, parse_cell, resolution_of

from .table_pair import TablePair
from .vector_case import VectorFile

CARRIED = ("split", "block", "place")  # what a file may say beside its labels


def read_labels(path: Path, resolution: int) -> dict[int, dict[str, Any]]:
    """CSV or Parquet with `label`, and `h3_cell` or `lon` and `lat` -> by cell: label, split, block, place.

    A cell of several points takes the most frequent label, and the rest of what its first point says.

    Raises:
        InputError: a file that cannot be read, without these columns, or cells of another resolution.
    """
    try:
        rows = as_written(pcsv.read_csv(path)) if path.suffix.lower() == ".csv" else pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} cannot be read ({error}); expected CSV or Parquet of labels.") from error
    has = set(rows.column_names)
    if "label" not in has or not ("h3_cell" in has or {"lon", "lat"} <= has):
        raise InputError(f"{path} has {sorted(has)}; expected `label`, and `h3_cell` or `lon` and `lat`.")
    said: dict[int, list[dict[str, Any]]] = {}
    carried = rows.select([name for name in ("label", *CARRIED) if name in has]).to_pylist()
    for cell, row in zip(_cells(rows, path, resolution), carried, strict=True):
        if row["label"] is not None:
            said.setdefault(cell, []).append(row)
    return {
        cell: some[0] | {"label": _most_frequent([row["label"] for row in some])}
        for cell, some in said.items()
    }


def _cells(rows: pa.Table, path: Path, resolution: int) -> list[int]:
    if "h3_cell" not in rows.column_names:
        lon, lat = (np.asarray(rows[name].to_pylist(), float) for name in ("lon", "lat"))
        if not ((np.abs(lon) <= 180) & (np.abs(lat) <= 90)).all():
            raise InputError(f"{path}: some lon, lat are no place; expected degrees, none null.")
        return [int(cell) for cell in cells_at(lon, lat, resolution)]
    try:
        cells = [parse_cell(cell) for cell in rows["h3_cell"].to_pylist()]
    except QueryError as error:
        raise InputError(f"{path}: {error}") from error
    others = sorted({resolution_of(cell) for cell in cells} - {resolution})
    if others:
        raise InputError(
            f"{path} has cells of resolution {others}; expected {resolution}, that of the tables."
        )
    return cells


def _most_frequent(labels: list[Any]) -> Any:
    """Of equally frequent ones the first; a list of labels counts as one."""
    counts = Counter(str(label) for label in labels)
    best = max(counts, key=counts.__getitem__)
    return next(label if isinstance(label, list) else best for label in labels if str(label) == best)


def labelled(pair: TablePair, labels: dict[int, dict[str, Any]], path: Path) -> list[VectorFile]:
    """Both tables' vectors of the labelled cells, as the harness takes them.

    Raises:
        InputError: no labelled cell is in both.
    """
    known = [row for row, cell in enumerate(pair.cell.tolist()) if cell in labels]
    if not known:
        raise InputError(
            f"{path} labels {len(labels):,} cells, none of the {len(pair.cell):,} that both tables have; "
            "expected labels of the same area."
        )
    said = [labels[cell] for cell in pair.cell[known].tolist()]
    columns = {name: [row.get(name) for row in said] for name in said[0]}
    table = pa.table(
        {**columns, "id": pair.cell[known], "lon": pair.lon_deg[known], "lat": pair.lat_deg[known]}
    )
    return [
        VectorFile(name, vectors[known], 2.0 * vectors.shape[1], table)  # as a table keeps them: float16
        for name, vectors in zip(pair.names, pair.vectors, strict=True)
    ]
