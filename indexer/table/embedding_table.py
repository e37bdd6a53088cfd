"""A table of embeddings: immutable Parquet parts and one manifest per snapshot, committed by put-if-absent.

The layout is specified in docs/embedding_table.md. A handle is one snapshot and never changes; whatever
changes the table returns the handle of the new snapshot.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from html import escape
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import TableError
from ..geo import cells as h3_cells
from . import extent, merge, parts, sidecars, upkeep, validate
from .bucket_access import is_address
from .commit import commit, put_new
from .manifest import (
    Imagery,
    Manifest,
    PartFile,
    Sidecar,
    SnapshotInfo,
    joined_imagery,
    read_log,
    read_manifest,
    snapshot_numbers,
)
from .open_storage import open_storage
from .schema import (
    KEY,
    LICENCE,
    OPTIONAL_VECTORS,
    VALUE_TYPES,
    ModelInfo,
    Values,
    extra_columns,
    model_of,
    optional_columns,
    repeated_keys,
    sort_by_key,
    table_schema,
)
from .storage import Storage
from .terms import joined_terms, terms_of_model, terms_of_rows

SCAN_ROWS = 8_192
MAX_PARTITION_RESOLUTION = 3


class EmbeddingTable:
    """One snapshot of a table."""

    def __init__(self, storage: Storage, manifest: Manifest) -> None:
        self.storage = storage
        self.manifest = manifest
        self._compared: set[str] = set()  # parts that are what the manifest says
        self._schemas: dict[tuple[str, ...], pa.Schema] = {}  # of some of the columns, that were asked for

    def __reduce__(self) -> tuple[Any, ...]:
        return EmbeddingTable, (self.storage, self.manifest)

    @staticmethod
    def create(
        path: str | Path,
        model: ModelInfo,
        *,
        h3_resolution: int,
        partition_resolution: int | None = None,
        simulated: bool = False,
        values: Values = "float16",
    ) -> "EmbeddingTable":
        """A new empty table in a directory (made if missing) or under a URL.

        Args:
            partition_resolution: of the coarse cells whose rows share files; by default there are none until
                the table outgrows 32 MB.
            values: of vectors. float32 takes twice the bytes; docs/embedding_table.md says what it gains.

        Raises:
            TableError: a table is there already, the place cannot be written, or a resolution is wrong.
        """
        first = _first(model, h3_resolution, partition_resolution, simulated, values)
        storage = open_storage(path, create=True)
        if snapshot_numbers(storage) or not put_new(storage, first):
            raise TableError(f"{path} holds a table already: open it, or choose another directory")
        return EmbeddingTable(storage, first)

    @staticmethod
    def open_or_create(
        path: str | Path,
        model: ModelInfo,
        *,
        h3_resolution: int,
        simulated: bool = False,
        values: Values | None = None,
    ) -> "EmbeddingTable":
        """The table at a path, made if there is none. Of several that make it at once one does, all go on.

        Args:
            values: of vectors, float16 in a new table by default; None takes a table as it is.

        Raises:
            TableError: the table holds another model or another H3 resolution, keeps vectors otherwise, or as
                in `create`.
        """
        first = _first(model, h3_resolution, None, simulated, values or "float16")
        storage = open_storage(path, create=True)
        if not snapshot_numbers(storage) and put_new(storage, first):
            return EmbeddingTable(storage, first)
        table = EmbeddingTable(storage, read_manifest(storage))
        table.require(model, h3_resolution, values)
        return table

    @staticmethod
    def open(path: str | Path, snapshot: int | None = None) -> "EmbeddingTable":
        """A snapshot of a table, the newest by default. Raises TableError."""
        storage = open_storage(path)
        return EmbeddingTable(storage, read_manifest(storage, snapshot))

    def at(self, snapshot: int) -> "EmbeddingTable":
        """Another snapshot of this table. Raises TableError."""
        return EmbeddingTable(self.storage, read_manifest(self.storage, snapshot))

    @staticmethod
    def exists(path: str | Path) -> bool:
        """Whether there is a table, readable or not."""
        return (is_address(path) or Path(path).is_dir()) and bool(snapshot_numbers(open_storage(path)))

    def require(self, model: ModelInfo, h3_resolution: int, values: Values | None = None) -> None:
        """Refuse what does not belong in this table. Raises TableError."""
        if (model.digest, model.dimension) != (self.model.digest, self.dimension):
            raise TableError(
                f"these rows were made by {model}, the table {self.storage.root} holds {self.model}: vectors "
                "of two models cannot be compared: name the table's own with --weights, or make another table"
            )
        if h3_resolution != self.h3_resolution:
            raise TableError(
                f"these rows have H3 resolution {h3_resolution}, the table {self.storage.root} has "
                f"{self.h3_resolution}: make another table, or ask for that resolution"
            )
        if values not in (None, self.values):
            raise TableError(
                f"{self.storage.root} keeps {self.values} vectors, not {values}: make another table"
            )

    def __repr__(self) -> str:
        return f"<EmbeddingTable {self.storage.root} snapshot {self.snapshot}: {self.row_count} rows>"

    def _repr_html_(self) -> str:
        lines = {
            "table": f"{self.storage.root}, snapshot {self.snapshot}" + ", simulated" * self.simulated,
            "model": f"{self.model}" + ("" if self.model.trained else ", untrained"),
            "rows": f"{self.row_count:,} in cells of H3 resolution {self.h3_resolution}",
            "columns": ", ".join(self.schema.names),
        }
        rows = "".join(f"<tr><th>{name}</th><td>{escape(said)}</td></tr>" for name, said in lines.items())
        return f"<table>{rows}</table>"

    @property
    def path(self) -> Path:
        """The local directory. Raises TableError for a table under a URL."""
        if self.storage.directory is None:
            raise TableError(f"{self.storage.root} is remote: this needs a table in a local directory")
        return self.storage.directory

    @property
    def snapshot(self) -> int:
        return self.manifest.snapshot

    @property
    def files(self) -> tuple[PartFile, ...]:
        """Part files in order of cell: row i of the table is found by adding up their `rows`."""
        return self.manifest.files

    @cached_property
    def file_ids(self) -> Mapping[str, int]:
        """Positions in `files`, by path."""
        return {file.path: i for i, file in enumerate(self.files)}

    @cached_property
    def content(self) -> tuple[str, ...]:
        """Paths of all its files, which are named by what they hold: equal ones hold equal rows."""
        return tuple(file.path for file in self.manifest.stored_files)

    @property
    def row_count(self) -> int:
        return self.manifest.row_count

    @property
    def model(self) -> ModelInfo:
        return self.manifest.model

    @property
    def dimension(self) -> int:
        return self.model.dimension

    @property
    def values(self) -> Values:
        """How the numbers of vectors are kept."""
        return self.manifest.values

    @property
    def h3_resolution(self) -> int:
        return self.manifest.h3_resolution

    @property
    def simulated(self) -> bool:
        return self.manifest.simulated

    @property
    def optional_columns(self) -> tuple[str, ...]:
        """The optional vector columns that this table has."""
        return tuple(name for name in OPTIONAL_VECTORS if name in self.manifest.optional)

    @cached_property
    def input_keys(self) -> frozenset[str]:
        """What an interrupted job need not do again."""
        return frozenset(self.manifest.input_keys)

    @property
    def schema(self) -> pa.Schema:
        """The columns, in order."""
        return self.manifest.schema

    def schema_of(self, columns: Sequence[str]) -> pa.Schema:
        """Some of the columns, in the order given. Raises TableError for an unknown one."""
        names = tuple(columns)
        if names not in self._schemas:
            self._schemas[names] = pa.schema([self.schema.field(name) for name in self._column_names(names)])
        return self._schemas[names]

    def scan(
        self,
        columns: Sequence[str] | None = None,
        *,
        cells: Iterable[int] | None = None,
        ranges: h3_cells.Cells | None = None,
        batch_rows: int = SCAN_ROWS,
    ) -> Iterator[pa.RecordBatch]:
        """Rows in order of cell, as batches; memory is that of one row group.

        Args:
            columns: names, all by default.
            cells: only rows in these cells or their descendants; other files and row groups are not read.
            ranges: the same as sorted, disjoint, inclusive ranges of cell numbers, (m, 2) uint64.
            batch_rows: rows of a batch, at most.

        Raises:
            TableError: an unknown column, or a file that is missing or damaged.
            QueryError: a cell finer than the table's.
        """
        names = self._column_names(columns)
        if cells is not None:
            ranges = h3_cells.cell_ranges(cells, self.h3_resolution)
        for file in self.files:
            if ranges is None or h3_cells.overlaps(file.min_h3, file.max_h3, ranges):
                yield from parts.scan_part(self.storage, self._part(file), names, ranges, batch_rows)

    def take(
        self,
        file_ids: Sequence[int] | NDArray[np.integer[Any]],
        rows_in_file: Sequence[int] | NDArray[np.integer[Any]],
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Rows by place, in the order asked: `rows_in_file[i]` of `files[file_ids[i]]`."""
        names = self._column_names(columns)
        file_of_row, row = np.asarray(file_ids, np.int64), np.asarray(rows_in_file, np.int64)
        pieces, order = [self._empty(names)], []
        for file_id in np.flatnonzero(np.bincount(file_of_row)).tolist():
            asked = np.flatnonzero(file_of_row == file_id)
            part = self._part(self.files[file_id])
            pieces.append(parts.take_from_part(self.storage, part, row[asked], names))
            order.append(asked)
        back = np.argsort(np.concatenate(order)) if order else np.empty(0, np.int64)
        return pa.concat_tables(pieces).take(pa.array(back))

    def lookup(
        self, *, cell: int | None = None, sample_id: str | None = None, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """Rows of a cell (or of its descendants), of a sample, or of both, in order of key.

        A cell is found by statistics; a sample alone needs its column to be read through.
        """
        import pyarrow.compute as pc

        names = self._column_names(columns)
        wanted = list(dict.fromkeys([*names, "sample_id"]))
        within = None if cell is None else [cell]
        if sample_id is not None and within is None:
            held = self.scan(["h3_cell", "sample_id"])
            matching = (batch.filter(pc.equal(batch["sample_id"], sample_id)) for batch in held)
            within = [cell for batch in matching for cell in batch["h3_cell"].to_pylist()]
        rows = pa.Table.from_batches(self.scan(wanted, cells=within), self._empty(wanted).schema)
        if sample_id is not None:
            rows = rows.filter(pc.equal(rows["sample_id"], sample_id))
        return rows.select(names)

    def upsert(
        self,
        rows: pa.Table | Sequence[pa.Table],
        input_key: str | None = None,
        combine: merge.Combine | None = None,
        imagery: Iterable[Imagery] = (),
        source: str | None = None,
    ) -> "EmbeddingTable":
        """Commit rows of `make_rows`; those whose key is there already are replaced.

        Args:
            rows: rows of this table's model and resolution, in one table or several; none is fine.
            input_key: names the job's input that these rows are, found again in `input_keys`.
            combine: what is kept where a key is there already, of the old and the new rows, which come with
                the same keys in the same order; new rows alone by default. Rows of an input key that is
                there already are then not committed twice.
            imagery: what they were made of; it joins what the table holds already.
            source: the file or product that they come from, named beside its licence. Rows whose model says
                another licence than the table's are taken all the same: every row then says its own.

        Raises:
            TableError: rows of another model or resolution, a repeated key, or a disk that refuses; the
                table is then as it was.
        """
        given = [rows] if isinstance(rows, pa.Table) else rows
        fresh = self._checked(given)
        merger = merge.Merger(self.storage, fresh, combine)

        made_of = tuple(imagery)
        own = [one for rows in given for one in terms_of_rows(rows, source)]
        new_terms = own if source is not None or LICENCE in fresh.schema.names else []

        def build(base: Manifest) -> Manifest:
            if combine is not None and input_key in base.input_keys:
                return base
            before = base.terms or ([terms_of_model(base.model)] if base.row_count and new_terms else [])
            terms = joined_terms(before, new_terms)
            base = replace(base, imagery=joined_imagery(base.imagery, made_of), terms=terms)
            merged = merger.merge(base)
            known = base.extent is not None
            unknown = () if known else EmbeddingTable(self.storage, base).scan(extent.COLUMNS)
            others = tuple(key for key in base.input_keys if key != input_key)
            keys = (*others, input_key) if input_key else others  # the newest last
            return base.following(
                "upsert",
                {"rows_added": len(fresh) - merged.rows_replaced, "rows_replaced": merged.rows_replaced},
                files=merged.files,
                partition_resolution=merged.partition_resolution,
                optional=merged.optional,
                extra=merged.extra,
                input_keys=keys,
                extent=extent.joined_extent(base.extent, [fresh, *unknown]),
                rows_snapshot=base.snapshot + 1 if len(fresh) else base.rows_snapshot,
            )

        return self.commit(build)

    def commit_sidecar(
        self, kind: str, files: Mapping[str, bytes | Path], info: Mapping[str, Any]
    ) -> "EmbeddingTable":
        """Commit files made from this snapshot's rows, such as prototypes; parts stay as they are.

        Args:
            kind: their name, "prototypes".
            files: content or local file by name, "assignments.parquet".
            info: JSON values kept in the manifest.
        """
        stored = sidecars.put(self.storage, kind, files)
        sidecar = Sidecar(self.manifest.rows_snapshot, stored, dict(info))
        return self.commit(
            lambda base: base.following(kind, dict(info), sidecars={**base.sidecars, kind: sidecar})
        )

    def sidecar(self, kind: str) -> Sidecar | None:
        """The newest files of a kind. They may be older than the rows: see `is_current`."""
        return self.manifest.sidecars.get(kind)

    def is_current(self, sidecar: Sidecar) -> bool:
        """Whether no row changed since these files were made."""
        return sidecar.snapshot == self.manifest.rows_snapshot

    def read_sidecar(self, kind: str, name: str) -> bytes:
        """A sidecar file's content, its digest checked. Raises TableError."""
        file = sidecars.find(self.storage, kind, self.sidecar(kind), name)
        return sidecars.read(self.storage, kind, file)

    def log(self) -> list[SnapshotInfo]:
        """The snapshots that are kept, oldest first."""
        return read_log(self.storage)

    def validate(self) -> list[str]:
        """What is wrong with this snapshot's files, each in a line; none is how it should be."""
        return validate.problems(self.storage, self.manifest)

    def compact(self) -> "EmbeddingTable":
        """Join small files, up to 128 MB; memory is one file's. Rows and sidecars stay as they are."""
        return self.commit(lambda base: upkeep.compacted(self.storage, base))

    def vacuum(self, keep: int = 1, grace: timedelta = upkeep.GRACE) -> list[str]:
        """Delete all but the newest `keep` snapshots, and the files that no kept one names.

        What was the newest, or was written, within `grace` stays: others may be at work on it. Returns the
        paths deleted.
        """
        return upkeep.vacuum(self.storage, keep, grace)

    def commit(self, build: Callable[[Manifest], Manifest]) -> "EmbeddingTable":
        """Commit what `build` makes of the newest snapshot; again on the next whenever another was first.

        A build that returns what it was given commits nothing.
        """
        return EmbeddingTable(self.storage, commit(self.storage, build))

    def _checked(self, tables: Sequence[pa.Table]) -> pa.Table:
        """Rows that fit this table, as one, in order of key."""
        optional: dict[str, int] = {}
        extra: dict[str, str] = {}
        licences = [model_of(rows.schema).licence for rows in tables]
        for rows in tables:
            self.require(model_of(rows.schema), self.h3_resolution)
            own, further = optional_columns(rows.schema), extra_columns(rows.schema)
            kinds = self.dimension, own, further
            optional, extra = optional | own, extra | further
            made = [name for name in VALUE_TYPES if rows.schema.equals(table_schema(*kinds, name))]
            if not made:
                raise TableError(f"these rows have columns {rows.schema.names}, not those of make_rows")
            if made != [self.values]:
                raise TableError(
                    f"these rows have {made[0]} vectors, the table {self.storage.root} {self.values}: make "
                    f"them with values={self.values!r}"
                )
        if any(licence != self.model.licence for licence in licences):
            extra |= {LICENCE: "string"}
        schema = table_schema(self.dimension, optional, extra, self.values)
        joined = pa.concat_tables(
            [schema.empty_table(), *map(merge.with_columns, tables, repeat(schema), licences)]
        )
        for resolution in np.unique(h3_cells.resolutions(joined["h3_cell"].to_numpy())).tolist():
            self.require(self.model, resolution)
        joined = sort_by_key(joined)
        if len(repeated_keys(joined)):
            raise TableError(f"{len(repeated_keys(joined))} of these rows repeat the key {KEY} of another")
        return joined

    def _column_names(self, columns: Sequence[str] | None) -> list[str]:
        known = self.schema.names
        names = known if columns is None else list(columns)
        unknown = [name for name in names if name not in known]
        if unknown:
            raise TableError(f"no column {', '.join(unknown)}: the table has {', '.join(known)}")
        return names

    def _part(self, file: PartFile) -> PartFile:
        """A part, compared with the manifest before it is read for the first time."""
        if file.path not in self._compared:
            parts.check_part(self.storage, file, self.schema)
            self._compared.add(file.path)
        return file

    def _empty(self, names: Sequence[str]) -> pa.Table:
        return self.schema_of(names).empty_table()


def _first(
    model: ModelInfo, h3_resolution: int, partition_resolution: int | None, simulated: bool, values: Values
) -> Manifest:
    """The manifest of a new table. Raises TableError for a resolution that cannot be."""
    coarsest = partition_resolution or 0
    if not 0 <= coarsest <= min(MAX_PARTITION_RESOLUTION, h3_resolution) or h3_resolution > 15:
        raise TableError(
            f"h3_resolution {h3_resolution}, partition_resolution {partition_resolution}: expected 0-15, "
            f"and 0-{MAX_PARTITION_RESOLUTION}, no finer than the rows"
        )
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Manifest(
        1, now, "create", {}, model, h3_resolution, partition_resolution, simulated, values=values
    )
