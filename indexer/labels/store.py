"""Sets of labels: a class for some cells, kept beside a table's rows or in a folder of one's own.

    labels/<set>/000001.parquet, 000002.parquet, ...      h3_cell, label, marked

Each file is a whole set. A change is put under the next number, which exactly one writer gets: who finds it
taken adds to the newer set and tries again, so of two people at once neither loses a mark. `vacuum` deletes
nothing below `labels/`, and a copy of a table carries it along.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import QueryError, TableError
from ..geo.cells import are_valid, resolutions
from ..table.embedding_table import EmbeddingTable
from ..table.open_storage import open_storage
from ..table.storage import AlreadyThereError, Storage

FOLDER = "labels"
SET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
VERSION = re.compile(r"(\d{6})\.parquet")
SCHEMA = pa.schema(
    [
        pa.field("h3_cell", pa.uint64(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("marked", pa.timestamp("us", tz="UTC"), nullable=False),
    ]
)
LONGEST_LABEL = 200
Marks = Mapping[int, str | None]  # the class of a cell; None takes its mark away


def label_place(table: EmbeddingTable, folder: str | Path | None = None) -> Storage:
    """Where labels of a table are kept: with it, or in a folder, for who may not write to the table."""
    return table.storage if folder is None else open_storage(folder, create=True)


def label_sets(place: Storage) -> list[str]:
    """The names of the sets that are kept, in order."""
    named = (re.fullmatch(rf"{FOLDER}/([^/]+)/{VERSION.pattern}", file.path) for file in place.files(FOLDER))
    return sorted({match[1] for match in named if match})


def newest_version(place: Storage, name: str) -> int:
    """The number of a set's newest version; 0 where there is no such set. Raises `QueryError`."""
    return max(_versions(place, name), default=0)


def read_labels(place: Storage, name: str, version: int | None = None) -> pa.Table:
    """A set: `h3_cell`, `label`, `marked`, in order of cell.

    Raises:
        QueryError: no such set, or no such version of it.
        TableError: a file that is damaged.
    """
    versions = _versions(place, name)
    wanted = version if version is not None else max(versions, default=None)
    if wanted is None or wanted not in versions:
        known = ", ".join(label_sets(place)) or "none"
        raise QueryError(f"no labels {name!r} in version {version or 'newest'}: there are {known}")
    return _read(place, _path(name, wanted))


def mark(place: Storage, name: str, marks: Marks, h3_resolution: int) -> pa.Table:
    """Add marks to a set, made where it is new; later ones of a cell replace earlier. Returns the set.

    Raises:
        QueryError: a name, a class or a cell that cannot be.
        TableError: the place cannot be written: name a folder where labels may lie.
    """
    _check(name, marks, h3_resolution)
    while True:
        newest = newest_version(place, name)
        held = _read(place, _path(name, newest)) if newest else SCHEMA.empty_table()
        made = _joined(held, marks)
        file = io.BytesIO()
        pq.write_table(made, file)
        try:
            place.put_new(_path(name, newest + 1), file.getvalue())
        except AlreadyThereError:
            continue
        return made


def _joined(held: pa.Table, marks: Marks) -> pa.Table:
    """A set with marks, in order of cell."""
    now = datetime.now(UTC)
    kept = {row["h3_cell"]: row for row in held.to_pylist() if row["h3_cell"] not in marks}
    new = {
        cell: {"h3_cell": cell, "label": label, "marked": now}
        for cell, label in marks.items()
        if label is not None
    }
    both = kept | new
    return pa.Table.from_pylist([both[cell] for cell in sorted(both)], SCHEMA)


def _check(name: str, marks: Marks, h3_resolution: int) -> None:
    if not SET_NAME.fullmatch(name):
        raise QueryError(f"labels {name!r}: expected a name of letters, digits, - and _")
    wrong = next((label for label in marks.values() if label is not None and not _is_label(label)), None)
    if wrong is not None:
        raise QueryError(f"the class {wrong[:60]!r}: expected text of 1 to {LONGEST_LABEL} characters")
    cells = np.array(list(marks), np.uint64)
    if len(cells) and not (are_valid(cells).all() and (resolutions(cells) == h3_resolution).all()):
        raise QueryError(f"labels are of cells of the table's resolution {h3_resolution}")


def _is_label(label: str) -> bool:
    return bool(label.strip()) and len(label) <= LONGEST_LABEL and label.isprintable()


def _versions(place: Storage, name: str) -> set[int]:
    if not SET_NAME.fullmatch(name):
        raise QueryError(f"labels {name!r}: expected a name of letters, digits, - and _")
    named = (VERSION.fullmatch(file) for file in place.names(f"{FOLDER}/{name}"))
    return {int(match[1]) for match in named if match}


def _path(name: str, version: int) -> str:
    return f"{FOLDER}/{name}/{version:06}.parquet"


def _read(place: Storage, path: str) -> pa.Table:
    try:
        rows = pq.read_table(io.BytesIO(place.read(path)))
    except pa.ArrowException as error:
        raise TableError(
            f"{place.locate(path)} is damaged ({error}): the version before it is whole"
        ) from error
    if rows.schema.names != SCHEMA.names:
        raise TableError(f"{place.locate(path)} has columns {rows.schema.names}, expected {SCHEMA.names}")
    return rows.cast(SCHEMA)
