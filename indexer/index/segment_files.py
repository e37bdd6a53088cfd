"""A segment in a directory: arrays, an inverted file where it is large, and a JSON that vouches for both.

    <segment>/segment.json   parts, arrays with checksums, recall measured; its SHA-256 names the directory
              h3_cell.bin  start_us.bin  end_us.bin
              <column>.bin  <column>.inverse_norm.bin  <column>.faiss
              shown.bin  shown.text.bin  shown.list.bin     see shown
              sample.h3_cell.bin  <column>.sample.bin   of a segment of many rows

The directory is written aside and renamed, so it is there whole or not at all, and is never changed after.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from numpy.typing import NDArray

from ..progress import Progress
from ..table.columns import inverse_norms, key_numbers, to_matrix
from ..table.embedding_table import EmbeddingTable
from .description import FORMAT, KEY_FILES, SAMPLE_CELLS, Description, Inverted, Said, bond, sample_file
from .mapped import ArrayFile, ArrayWriter, CheckedArray, DamagedIndexError, name_of
from .planner import Measured
from .recall import measure
from .sample import SAMPLE_ROWS, Sample, evenly
from .segment import Keys, Part, Segment, scan_part
from .shown import FILES as SHOWN_FILES
from .shown import Shown, ShownWriter, kinds_of
from .vectors import NormRange, Vectors

if TYPE_CHECKING:  # FAISS is loaded by the first search that needs it
    from .ivf import Ivf

DESCRIPTION = "segment.json"
EXACT_ROWS = 100_000  # below this many rows a segment has no inverted file
MOST_OPEN = 256  # segments


@dataclass(frozen=True)
class SegmentFiles:
    """A segment on disk, opened."""

    folder: Path
    segment: Segment
    inverted_files: Mapping[str, Inverted]  # by column
    samples: Mapping[str, Sample]  # by column; none of a large segment that was written without

    @cached_property
    def measured(self) -> Mapping[str, Measured]:
        """By column: what the inverted file was found to do when it was built."""
        return {name: Measured(file.measured) for name, file in self.inverted_files.items()}

    def inverted(self, column: str) -> Ivf | None:
        """The inverted file of a column, opened at first use. Raises `DamagedIndexError`."""
        if column not in self.inverted_files:
            return None
        shape = self.segment.vectors[column].matrix.unchecked.shape
        return _open_inverted(self.folder, column, self.inverted_files[column].sha256, shape)

    def sample(self, column: str) -> Sample | None:
        """Some rows, evenly spread; None where the segment is large and was written without one."""
        return self.samples.get(column)

    def check(self) -> None:
        """Read everything and compare it with its checksums. Raises `DamagedIndexError`."""
        keys = self.segment.keys
        arrays = [keys.cells, keys.start_us, keys.end_us]
        for sample in self.samples.values():
            arrays += [sample.cells, sample.matrix]
        for column, vectors in self.segment.vectors.items():
            arrays += [vectors.matrix, vectors.inverse_norms]
            self.inverted(column)
        if (shown := self.segment.shown) is not None:
            arrays += [shown.records, shown.texts, shown.lists]
        for array in arrays:
            array.whole()

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """An error that comes up within is known to be of this segment."""
        try:
            yield
        except DamagedIndexError as error:
            error.segment = self.folder
            raise

    @property
    def bytes(self) -> int:
        """Size on disk."""
        return sum(file.stat().st_size for file in self.folder.iterdir())


@lru_cache(maxsize=MOST_OPEN)
def _open_inverted(folder: Path, column: str, sha256: str, shape: tuple[int, int]) -> Ivf:
    from . import ivf

    return ivf.read(folder / f"{column}.faiss", sha256, *shape)


@lru_cache(maxsize=MOST_OPEN)
def open_segment(folder: Path) -> SegmentFiles:
    """Map a segment's files. Raises `DamagedIndexError`."""
    try:
        content = (folder / DESCRIPTION).read_bytes()
        if name_of(content) != folder.name:
            raise DamagedIndexError(
                f"{folder / DESCRIPTION} is damaged: its digest is not the directory's name"
            )
        return _opened(folder, Description.parse(content, str(folder / DESCRIPTION)))
    except OSError as error:
        raise DamagedIndexError(f"{folder / DESCRIPTION} cannot be read: {error.strerror}") from error


def _opened(folder: Path, description: Description) -> SegmentFiles:
    arrays = description.open(folder)
    vectors = {
        name: Vectors(arrays[f"{name}.bin"], arrays[f"{name}.inverse_norm.bin"], norms)
        for name, norms in description.columns.items()
    }
    parts = tuple(Part(*said) for said in description.parts)
    keys, shown = Keys(*(arrays[name] for name in KEY_FILES)), Shown.open(arrays, description.shown)
    segment = Segment(parts, keys, vectors, shown)
    return SegmentFiles(folder, segment, description.inverted, _samples(segment, arrays))


def _samples(segment: Segment, arrays: Mapping[str, CheckedArray]) -> dict[str, Sample]:
    """By column; of a small segment all rows."""
    if len(segment) <= SAMPLE_ROWS:
        return {name: Sample(segment.keys.cells, held.matrix) for name, held in segment.vectors.items()}
    if SAMPLE_CELLS not in arrays:
        return {}
    cells = arrays[SAMPLE_CELLS]
    return {name: Sample(cells, arrays[sample_file(name)]) for name in segment.vectors}


def write_segment(
    root: Path,
    table: EmbeddingTable,
    parts: Sequence[Part],
    progress: Progress | None = None,
    centroids: Mapping[str, Path] = MappingProxyType({}),
    shards: int = 1,
) -> SegmentFiles:
    """Read parts, write their segment below a folder and open it; memory is bounded, see `ivf.train`.

    Args:
        centroids: by column those of an inverted file that was fitted before, see `ivf.fit`.
        shards: of which this is one.
    """
    scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=root))
    try:
        columns = ("embedding", *table.optional_columns)
        said = list(map(_said, parts))
        arrays = _write_arrays(scratch, table, parts, columns, progress)
        vectors = {name: _vectors(scratch, arrays, name, said) for name in columns}
        arrays |= _write_sample(scratch, arrays, vectors, said, shards)
        inverted = {
            name: _write_inverted(scratch, name, vectors[name], progress, centroids.get(name))
            for name in columns
        }
        description = {
            "format": FORMAT,
            "shown": kinds_of(table.schema),
            "columns": {name: asdict(vectors[name].norm_range) for name in columns},
            "parts": said,
            "arrays": [asdict(array) for array in arrays.values()],
            "inverted": {name: values for name, values in inverted.items() if values is not None},
        }
        content = json.dumps(description).encode()
        (scratch / DESCRIPTION).write_bytes(content)
        folder = root / name_of(content)
        if folder.exists():  # damaged, or it would not be written again
            shutil.rmtree(folder)
            open_segment.cache_clear()
            _open_inverted.cache_clear()
        scratch.rename(folder)
        return open_segment(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _said(part: Part) -> Said:
    return (part.path, part.rows, part.first_row) if part.first_row else (part.path, part.rows)


def _write_arrays(
    folder: Path,
    table: EmbeddingTable,
    parts: Sequence[Part],
    columns: Sequence[str],
    progress: Progress | None,
) -> dict[str, ArrayFile]:
    """Stream the columns of parts into files, by name."""
    writers: dict[str, ArrayWriter] = {}
    said, kinds = list(map(_said, parts)), kinds_of(table.schema)
    shown = ShownWriter(folder, kinds, {name: bond(said, name) for name in SHOWN_FILES})
    total, done = sum(part.rows for part in parts), 0
    for part in parts:
        for batch in scan_part(table, part, [*columns, *kinds]):
            for name, values in _arrays(batch, columns).items():
                if name not in writers:
                    writers[name] = ArrayWriter(folder, name, bond(said, name))
                writers[name].append(values)
            shown.append(batch)
            done += len(batch)
            if progress is not None:
                progress(done, total)
    arrays = [*(writer.close() for writer in writers.values()), *shown.close()]
    return {array.name: array for array in arrays}


def _arrays(batch: pa.RecordBatch, columns: Sequence[str]) -> dict[str, NDArray[Any]]:
    """What a segment keeps of rows, by file."""
    arrays: dict[str, NDArray[Any]] = dict(zip(KEY_FILES, key_numbers(batch), strict=True))
    for name in columns:
        matrix = to_matrix(batch[name])
        arrays |= {f"{name}.bin": matrix, f"{name}.inverse_norm.bin": inverse_norms(matrix)}
    return arrays


def _vectors(folder: Path, arrays: Mapping[str, ArrayFile], column: str, parts: Sequence[Said]) -> Vectors:
    """A column that was just written."""
    names = f"{column}.bin", f"{column}.inverse_norm.bin"
    matrix, inverse = (CheckedArray.open(folder, arrays[name], bond(parts, name)) for name in names)
    return Vectors(matrix, inverse, NormRange.of(inverse.whole()))


def _write_sample(
    folder: Path,
    arrays: Mapping[str, ArrayFile],
    vectors: Mapping[str, Vectors],
    parts: Sequence[Said],
    shards: int,
) -> dict[str, ArrayFile]:
    """Files of the rows that similarities are compared with, by name; none where those are all rows."""
    cells = CheckedArray.open(folder, arrays["h3_cell.bin"], bond(parts, "h3_cell.bin")).unchecked
    if len(cells) <= SAMPLE_ROWS:
        return {}
    rows = evenly(len(cells), shards)
    sampled = {SAMPLE_CELLS: cells[rows]}
    sampled |= {sample_file(name): column.matrix.unchecked[rows] for name, column in vectors.items()}
    written = {}
    for name, values in sampled.items():
        writer = ArrayWriter(folder, name, bond(parts, name))
        writer.append(values)
        written[name] = writer.close()
    return written


def _write_inverted(
    folder: Path, column: str, vectors: Vectors, progress: Progress | None, centroids: Path | None
) -> dict[str, Any] | None:
    """Build and score the inverted file of a column; none where an exact scan is always better."""
    if vectors.count < EXACT_ROWS:
        return None

    from . import ivf

    matrix = vectors.matrix.whole()
    built = ivf.train(matrix, progress) if centroids is None else ivf.filled(centroids, matrix, progress)
    measured = measure(vectors, built)
    if not measured.ever_helps:
        return None
    file: dict[str, Any] = {"sha256": built.write(folder / f"{column}.faiss"), "measured": measured.to_json()}
    return file if centroids is None else file | {"centroids": ivf.digest(centroids)}
