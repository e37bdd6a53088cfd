"""A snapshot for other programs: a GeoParquet file, one of STAC items (stac-geoparquet), a Lance data set.

Rows are streamed in order of key, a row group at a time. Cells and keys become text, which every program
joins on; licence and attribution go along. What each form holds: docs/embedding_table.md, "Leaving".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import TableError
from ..geo import cells
from ..progress import Progress
from .embedding_table import EmbeddingTable
from .parts import ROW_GROUP_ROWS, VECTORS, geo_of
from .schema import LICENCE, VALUE_TYPES, Values, emb_metadata, geo_metadata
from .stac_item import PARQUET, terms_fields
from .terms import in_force, licences_of, shared

Form = Literal["geoparquet", "stac-geoparquet", "lance"]
Groups = Iterator[pa.Table]  # rows for a row group each
About = Mapping[str, str]  # what the file says of itself

STAC_VERSION, STAC_GEOPARQUET_VERSION = "1.0.0", "1.0.0"
UPKEEP = ("parts",)  # what later imports need and no reader does
LINK = pa.struct([(name, pa.string()) for name in ("href", "rel", "type")])
ASSET = pa.struct([*((name, pa.string()) for name in ("href", "type")), ("roles", pa.list_(pa.string()))])


def export(
    table: EmbeddingTable,
    out: Path,
    form: Form,
    values: Values = "float32",
    progress: Progress | None = None,
) -> None:
    """Write all rows of a snapshot to a file (of `lance`: a folder); memory is a row group's.

    Args:
        values: of vectors. float32 is as exact as any table, and read everywhere; of rows kept as float16 it
            is twice as large and no more exact.
        progress: told (rows done, rows).

    Raises:
        TableError: no rows, `lance` without its package or onto what is there, a disk that refuses.
    """
    if not table.row_count:
        raise TableError(f"{table.storage.root} holds no rows: there is nothing to export")
    writers = {"geoparquet": _geoparquet, "stac-geoparquet": _stac_geoparquet, "lance": _lance}
    about = _about(table, values)
    try:
        writers[form](table, out, _plain_rows(table, values, progress), about)
    except OSError as error:
        raise TableError(f"{out} cannot be written ({error}): choose another place") from error


def _geoparquet(table: EmbeddingTable, out: Path, groups: Groups, about: About) -> None:
    _write_parquet(out, groups, about)


def _stac_geoparquet(table: EmbeddingTable, out: Path, groups: Groups, about: About) -> None:
    shared = {
        "version": STAC_GEOPARQUET_VERSION,
        "collections": {table.storage.name: _collection(table, about)},
    }
    items = (_items(rows, table, out.name) for rows in groups)
    _write_parquet(out, items, {**about, "stac-geoparquet": json.dumps(shared)})


def _lance(table: EmbeddingTable, out: Path, groups: Groups, about: About) -> None:
    try:
        import lance
    except ImportError as error:
        raise TableError(
            "--to lance came without the package that writes it: `pip install pylance`, or choose geoparquet"
        ) from error
    if out.exists():
        raise TableError(f"{out} is there already: choose another folder for the Lance data set")
    first = next(groups)
    schema = first.schema.with_metadata(about)
    batches = (batch for rows in chain([first], groups) for batch in rows.cast(schema).to_batches())
    lance.write_dataset(pa.RecordBatchReader.from_batches(schema, batches), str(out))


def _write_parquet(out: Path, groups: Groups, about: About) -> None:
    """Whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    first = next(groups)
    schema = first.schema.with_metadata(about)
    try:
        with pq.ParquetWriter(partial, schema, compression="ZSTD", write_page_checksum=True) as writer:
            for group in chain([first], groups):
                writer.write_table(group.cast(schema), row_group_size=ROW_GROUP_ROWS)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def _plain_rows(table: EmbeddingTable, values: Values, progress: Progress | None) -> Groups:
    """All rows, ROW_GROUP_ROWS at a time, cells as text and vectors of `values`."""
    names = [name for name in table.schema.names if name not in UPKEEP]
    done = 0
    for rows in _grouped(table.scan(names)):
        yield _plain(rows, values)
        done += len(rows)
        if progress is not None:
            progress(done, table.row_count)


def _grouped(batches: Iterable[pa.RecordBatch]) -> Groups:
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        while sum(map(len, held)) >= ROW_GROUP_ROWS:
            rows = pa.Table.from_batches(held)
            yield rows.slice(0, ROW_GROUP_ROWS)
            held = rows.slice(ROW_GROUP_ROWS).to_batches()
    if held:
        yield pa.Table.from_batches(held)


def _plain(rows: pa.Table, values: Values) -> pa.Table:
    columns = {name: rows[name] for name in rows.column_names}
    columns["h3_cell"] = pa.array(cells.cells_to_text(rows["h3_cell"].to_numpy()), pa.string())
    for name in VECTORS:
        if name in columns:
            size = rows.schema.field(name).type.list_size
            columns[name] = columns[name].cast(pa.list_(pa.field("element", VALUE_TYPES[values]), size))
    return pa.table(columns)


def _about(table: EmbeddingTable, values: Values) -> dict[str, str]:
    """Footers that a part has too: footprints, the model, the imagery with its terms."""
    bounds, kinds = zip(*(geo_of(table.storage, file) for file in table.files), strict=True)
    sides = np.array(bounds)  # (files, 4)
    bbox = [*sides[:, :2].min(axis=0).tolist(), *sides[:, 2:].max(axis=0).tolist()]
    imagery = [asdict(source) for source in table.manifest.imagery]
    licences = _licences(table)
    terms = in_force(table.manifest.terms, licences) if table.manifest.terms else ()
    return {
        "geo": json.dumps(geo_metadata(bbox, sorted({kind for of_file in kinds for kind in of_file}))),
        "emb": json.dumps(_emb(table, values, shared(licences) if len(licences) > 1 else licences[0])),
        **({"imagery": json.dumps(imagery)} if imagery else {}),
        **({"terms": json.dumps([asdict(one) for one in terms])} if terms else {}),
    }


def _emb(table: EmbeddingTable, values: Values, licence: str) -> dict[str, Any]:
    """Rounded by the table or by the export, or never."""
    rounded: Values = "float16" if "float16" in (table.values, values) else "float32"
    return emb_metadata(table.model, rounded, table.simulated, licence) | {"data_type": values}


def _licences(table: EmbeddingTable) -> list[str]:
    """Of the rows of a snapshot."""
    of_model = table.model.licence
    if LICENCE not in table.schema.names:
        return [of_model]
    licences = {one for batch in table.scan([LICENCE]) for one in licences_of(batch, of_model)}
    return sorted(licences)


def _of_imagery(table: EmbeddingTable) -> list[str]:
    return [source.licence for source in table.manifest.imagery]


def _licence_of_each(rows: pa.Table, table: EmbeddingTable) -> pa.Array:
    """As STAC takes it, of the row and the imagery: (n,)."""
    if LICENCE not in rows.schema.names:
        return pa.repeat(shared([table.model.licence, *_of_imagery(table)]), len(rows))
    each = rows[LICENCE].to_pylist()
    said = {one: shared([one, *_of_imagery(table)]) for one in set(each)}
    return pa.array([said[one] for one in each], pa.string())


# STAC: an item a row


def _items(rows: pa.Table, table: EmbeddingTable, file: str) -> pa.Table:
    """Rows as items: properties are columns, `id` is the key as text."""
    n = len(rows)
    asset = {"href": f"./{file}", "type": PARQUET, "roles": ["data"]}
    item = {
        "type": pa.repeat("Feature", n),  # optional, but readers build an item of what they find
        "stac_version": pa.repeat(STAC_VERSION, n),
        "stac_extensions": pa.array([[]] * n, pa.list_(pa.string())),
        "id": _ids(rows),
        "geometry": rows["geometry"],
        "bbox": rows["bbox"],
        "links": pa.array([[]] * n, pa.list_(LINK)),
        "assets": pa.array([{"embedding": asset}] * n, pa.struct([("embedding", ASSET)])),
        "collection": pa.repeat(table.storage.name, n),
        "datetime": pa.nulls(n, rows["start_datetime"].type),
        "license": _licence_of_each(rows, table),
    }
    return pa.table(item | {name: rows[name] for name in rows.column_names if name not in item})


def _ids(rows: pa.Table) -> pa.Array:
    """The key as one text: the cell, the sample's name where it is another, and the period."""
    cell, name = rows["h3_cell"], rows["sample_id"]
    named = pc.if_else(pc.equal(cell, name), cell, pc.binary_join_element_wise(cell, name, "_"))
    start, end = (
        pc.replace_substring(pc.strftime(rows[side], "%Y%m%dT%H%M%SZ"), ".000000", "")
        for side in ("start_datetime", "end_datetime")
    )
    return pc.binary_join_element_wise(named, start, end, "_")


def _collection(table: EmbeddingTable, about: About) -> dict[str, Any]:
    """What the items share. Every item says its own period; the extent is the manifest's."""
    extent = table.manifest.extent
    interval = [extent.start, extent.end] if extent is not None else [None, None]
    said = [source.attribution for source in table.manifest.imagery]
    said += [one.attribution for one in table.manifest.terms]
    attribution = sorted({text for sentences in said for text in sentences})
    bbox = json.loads(about["geo"])["columns"]["geometry"]["bbox"]
    licences = [one["licence"] for one in json.loads(about.get("terms", "[]"))] or [table.model.licence]
    words = f"Embeddings by {table.model.name}, one a row, H3 resolution {table.h3_resolution}."
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": table.storage.name,
        "description": " ".join([words, *attribution]),
        "license": shared([*licences, *_of_imagery(table)]),
        "extent": {"spatial": {"bbox": [bbox]}, "temporal": {"interval": [interval]}},
        "links": [],
        **terms_fields(table.manifest),
    }
