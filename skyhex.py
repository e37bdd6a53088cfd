"""skyhex in a notebook: open a table, embed imagery, search it.

    import skyhex
    table = skyhex.open_table("skyhex-data")
    hits = skyhex.search(table, cell="891f1d48a2bffff", k=10)
    hits.rows.to_pandas()

The one documented import. Everything is loaded on first use, so `import skyhex` costs nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal, Unpack

    import pyarrow as pa
    from numpy.typing import ArrayLike

    from data.products.sources import Layout
    from data.sample import Sample
    from encoder.embed import EmbeddingBatch
    from encoder.protocol import AnyEncoder
    from indexer.index.on_device import OnDevice
    from indexer.labels.feedback import Feedback, Rule
    from indexer.search.filter import Filter
    from indexer.search.query import Example, Match, Query
    from indexer.search.search import Hits
    from indexer.search.served_table import ServedTable
    from indexer.search.words import CellWord, Conditions, LonLatWord, PeriodWord
    from indexer.table.embedding_table import EmbeddingTable

__version__ = "0.1.0"
_ROOT = Path(__file__).resolve().parent
_PACKAGES = ("data", "encoder", "indexer", "pipeline", "search_app")
_LAZY = {
    "Cell": "indexer.search.query",
    "EmbeddingTable": "indexer.table.embedding_table",
    "Encoder": "encoder.embed",
    "load_encoder": "encoder.loading",
    "Filter": "indexer.search.filter",
    "LonLat": "indexer.search.query",
    "Query": "indexer.search.query",
    "Region": "indexer.search.filter",
    "SkySense": "encoder.skysense",
    "Vector": "indexer.search.query",
    "Classifier": "indexer.labels.classifier",
    "apply_classifier": "indexer.labels.classifier",
    "fit_classifier": "indexer.labels.classifier",
    "check_sample": "indexer.labels.area",
    "estimate_areas": "indexer.labels.area",
    "build_index": "indexer.index.faiss_index",
    "cells_of_prototype": "indexer.prototypes.regional",
    "drift": "indexer.prototypes.drift",
    "fit_prototypes": "indexer.prototypes.regional",
    "read_catalog": "data.stac",
    "read_chip": "data.reader",
    "read_prototypes": "indexer.prototypes.regional",
}
__all__ = [
    "changes",
    "cluster",
    "embed",
    "feedback",
    "heat",
    "import_labels",
    "import_rasters",
    "labels",
    "open_table",
    "outliers",
    "project",
    "search",
    "search_many",
    "sql",
    "write_table",
    *_LAZY,
]


def open_table(path: str | Path = "skyhex-data", snapshot: int | None = None) -> EmbeddingTable:
    """Open a table at its newest snapshot, or at the one named.

    Args:
        path: its folder, its address in a bucket (s3://, gs:// or az://BUCKET/PATH), or that of a server
            (https://HOST, see `skyhex serve`): a `ServedTable` answers to the same words, and is never
            written.
        snapshot: its number.

    Raises:
        TableError: there is no table, it is damaged, or the snapshot is unknown.
    """
    is_served = _import("indexer.table.bucket_access").is_served(path)
    kind = _import("indexer.search.served_table").ServedTable if is_served else _load("EmbeddingTable").open
    table: EmbeddingTable = kind(path, snapshot)
    return table


def embed(samples: Sequence[Sample | str | Path], encoder: AnyEncoder | str = "nano") -> EmbeddingBatch:
    """Embed samples, or GeoTIFF chips named by their paths. `embedding` is (B, d) float32 of norm 1.

    Raises:
        InputError: a chip that cannot be read.
        CheckpointError: the weights cannot be loaded.
    """
    model: AnyEncoder = _load("load_encoder")(encoder) if isinstance(encoder, str) else encoder
    read = _load("read_chip")
    return model.embed([read(str(s), model.spec) if isinstance(s, str | Path) else s for s in samples])


def search(
    table: EmbeddingTable | ServedTable | str | Path,
    *,
    cell: CellWord | Sequence[CellWord] | None = None,
    lonlat: LonLatWord | Sequence[LonLatWord] | None = None,
    chip: str | Path | Sequence[str | Path] | None = None,
    vector: ArrayLike | None = None,
    text: str | Sequence[str] | None = None,
    not_cell: CellWord | Sequence[CellWord] | None = None,
    not_lonlat: LonLatWord | Sequence[LonLatWord] | None = None,
    not_chip: str | Path | Sequence[str | Path] | None = None,
    not_vector: ArrayLike | None = None,
    not_text: str | Sequence[str] | None = None,
    using: str = "fused",
    against: str = "fused",
    match: Match = "mean",
    negative_weight: float = 0.5,
    align: bool = True,
    invert: bool = False,
    query: Query | None = None,
    k: int = 20,
    include_query: bool = False,
    per_parent: int | None = None,
    parent_res: int | None = None,
    relevance: float | None = None,
    weights: str = "nano",
    device: str | None = None,
    filter: Filter | None = None,
    **conditions: Unpack[Conditions],
) -> Hits:
    """The k rows most like what is given, among those that all conditions hold: `Hits.rows`, an Arrow table.

    Wherever one cell, place, chip or vector is taken, so are several. Rows are sought that are like their
    mean, less `negative_weight` times the mean of what is given with `not_`; with that alone, the rows least
    like it. What is given twice counts twice. docs/search.md shows each word.

    Args:
        table: a table, or where it lies.
        cell: an H3 cell of the table, as text or number.
        lonlat: a place, (lon, lat) in degrees.
        chip: a GeoTIFF; it is embedded with `weights`, which must be the table's.
        vector: of the table's model, (d,), or several as (m, d).
        text: words, of a table whose encoder knows some; embedded with `weights`, too.
        not_cell, not_lonlat, not_chip, not_vector, not_text: what not to look like.
        using, against: the examples' and the rows' vectors: "fused", "geo", "hr", "s2" or "s1".
        match: like the "mean" of the examples, like "any" one of them, or like "all": each of them.
        align: between two sensors, by the table's own alignment where it has one; False compares as they are.
        invert: what is least like this, in place of what is most like it.
        query: a whole `Query`, instead of all the words above.
        k: how many, at least 1.
        include_query: whether rows that the query was made from may be found.
        per_parent, parent_res: at most so many rows below one cell of a resolution (5).
        relevance: results unlike each other, from 1 (as they come) to 0 (novelty alone).
        weights: name or file of the encoder's weights, for chips and texts.
        device: where torch compares every row that matches: "cpu", "cuda" or "cuda:1"; the vectors stay in
            its memory for searches to come. By default the index answers as it was measured.
        filter: a whole `Filter`, instead of conditions.
        conditions: where, when and which rows; all that are given must hold.
            bbox: west, south, east, north in degrees; west > east crosses the antimeridian.
            within: polygons: a GeoJSON file or mapping, or whatever has a `__geo_interface__`.
            cells: H3 cells; a coarse one stands for all its descendants.
            near: lon, lat in degrees and a distance in kilometres.
            footprint: True: a row lies where its footprint reaches, not where its cell's centre is.
            start, end: the row's period overlaps [start, end): dates, or text such as "2024-06-01".
            months: the row's period touches one of these months, 1 to 12, of any year.
            modalities: the row was made with all of these: "hr", "s2", "s1".
            where: SQL over the columns of the view `embeddings`, and `prototype`, `region_cell`.
            where_timeout_s, where_memory: what answering it may take: 30, "2GB".

    Raises:
        QueryError: nothing to look like, an unknown cell, conditions that cannot hold, k below 1; a device
            that is not there or too small.
        TableError: there is no table, or it cannot be read.
        InputError: a chip that cannot be embedded.
    """
    opened, words = _opened(table), _import("indexer.search.words")
    like, unlike = (
        (
            *words.examples_of(cell=c, lonlat=p, vector=v),
            *_chips(opened, files, using, weights),
            *_texts(opened, said, weights),
        )
        for c, p, v, files, said in (
            (cell, lonlat, vector, chip, text),
            (not_cell, not_lonlat, not_vector, not_chip, not_text),
        )
    )
    if (query is None and not (like or unlike)) or (query is not None and (like or unlike)):
        raise _import("indexer.errors").QueryError(
            "expected something to look like: cell, lonlat, chip, vector or text, or else a query alone"
        )
    if query is None:
        query = words.query_of(
            like,
            unlike,
            using=using,
            against=against,
            match=match,
            negative_weight=negative_weight,
            align=align,
            invert=invert,
        )
    crew = _on_device(opened, device)
    if _is_served(opened):
        differing = {"per_parent": per_parent, "parent_res": parent_res, "relevance": relevance}
        asked = {"k": k, "include_query": include_query, **differing}
        served: Hits = opened.search(query, _words_of(filter, conditions), **asked)
        return served
    diversity = words.diversity_of(per_parent=per_parent, parent_res=parent_res, relevance=relevance)
    find, held = _import("indexer.search.search").search, _filter_of(filter, conditions)
    hits: Hits = find(opened, query, k, held, include_query, diversity, crew=crew)
    return hits


def search_many(
    table: EmbeddingTable | ServedTable | str | Path,
    queries: str | Path | Sequence[Query],
    *,
    using: str = "fused",
    against: str = "fused",
    align: bool = True,
    k: int = 20,
    include_query: bool = False,
    device: str | None = None,
    filter: Filter | None = None,
    **conditions: Unpack[Conditions],
) -> Hits:
    """What each of many queries finds, in one Arrow table whose first column is `query`.

    Args:
        table: a table, or where it lies.
        queries: each a `Query`, or a Parquet, CSV or JSONL file with a row for each: its `cell`, or `vector`,
            or `lon` and `lat`, and what it is called in the results, `query` or `id`, if it has that.
        using, against: the vectors of a file's examples, and of the rows.
        align: as in `search`, of a file's examples.
        k: how many rows for each, at least 1.
        include_query: whether rows that a query was made from may be found by it.
        device: as in `search`.
        filter: a whole `Filter`, instead of conditions.
        conditions: which rows may be found, as in `search`.

    Raises:
        QueryError: a file that holds no queries, an unknown cell, k below 1; no such device.
    """
    batch = _import("indexer.search.batch")
    if isinstance(queries, str | Path):
        named = batch.read_queries(Path(queries), using=using, against=against, align=align)
    else:
        named = batch.NamedQueries([str(number) for number in range(1, len(queries) + 1)], queries)
    opened = _opened(table)
    crew = _on_device(opened, device)
    if _is_served(opened):
        asked = {"k": k, "include_query": include_query}
        served: Hits = opened.search_many(named, _words_of(filter, conditions), **asked)
        return served
    held = _filter_of(filter, conditions)
    hits: Hits = batch.search_batch(opened, named, k, held, include_query, crew=crew)
    return hits


def changes(
    table: EmbeddingTable | ServedTable | str | Path,
    before: PeriodWord,
    after: PeriodWord,
    *,
    column: str = "fused",
    k: int = 20,
    filter: Filter | None = None,
    **conditions: Unpack[Conditions],
) -> pa.Table:
    """The k places that changed most from one period to another, as an Arrow table.

    Args:
        table: a table, or where it lies.
        before, after: 2023, "2023-06", "2023-06-15" or ("2023-03-01", "2023-10-01").
        column: the vectors compared: "fused", "geo", "hr", "s2" or "s1".
        k: how many, at least 1.
        filter: a whole `Filter`, instead of conditions.
        conditions: what the rows of both periods must hold, as in `search`.

    Raises:
        QueryError: a period that cannot be read, vectors that the table lacks, k below 1.
    """
    opened = _opened(table)
    if _is_served(opened):
        asked = {"before": _text_of(before), "after": _text_of(after), "column": column, "k": k}
        return opened.asked("/changes", _words_of(filter, conditions), **asked)
    words, find = _import("indexer.search.words"), _import("indexer.search.changes").changes
    periods, held = map(words.period_of, (before, after)), _filter_of(filter, conditions)
    return find(opened, *periods, k, filter=held, column=words.column_of(column))


def outliers(
    table: EmbeddingTable | ServedTable | str | Path,
    *,
    k: int = 20,
    filter: Filter | None = None,
    **conditions: Unpack[Conditions],
) -> pa.Table:
    """The k rows least like any prototype of their region, as an Arrow table; conditions as in `search`.

    Raises:
        QueryError: k below 1, conditions that cannot hold.
        TableError: no prototypes were fitted.
    """
    opened = _opened(table)
    if _is_served(opened):
        return opened.asked("/outliers", _words_of(filter, conditions), k=k)
    return _import("indexer.search.outliers").outliers(opened, k, _filter_of(filter, conditions))


def project(
    table: EmbeddingTable | str | Path, method: str = "pca", *, rows: int = 20_000, seed: int = 0
) -> pa.Table:
    """Rows laid out in a plane, what is alike together: their keys, lon, lat, and x and y from -1 to 1.

    Args:
        table: a table, or where it lies.
        method: "pca", or "pacmap" with the extra `projection`.
        rows: how many are drawn at most, each as likely as any other.
        seed: of what is drawn.

    Raises:
        QueryError: an unknown method, or one that is not installed.
    """
    projected: pa.Table = _import("indexer.overview.projection").project_table(
        _opened(table), method, rows, seed=seed
    )
    return projected


def cluster(
    table: EmbeddingTable | str | Path, count: int = 6, *, rows: int = 20_000, seed: int = 0
) -> pa.Table:
    """The keys of all rows, lon, lat and the `cluster` of each, 0 for the largest; of this snapshot alone.

    Args:
        table: a table, or where it lies.
        count: how many clusters, at least 2.
        rows: how many are drawn at most, which the clusters are fitted to.
        seed: of what is drawn, and of k-means.

    Raises:
        QueryError: fewer than 2 clusters, or more than rows.
    """
    grouped: pa.Table = _import("indexer.overview.clusters").cluster_table(
        _opened(table), count, rows, seed=seed
    )
    return grouped


def import_rasters(
    table: str | Path,
    files: str | Path | Sequence[str | Path] = (),
    layout: Layout = "alphaearth",
    *,
    index: str | None = None,
    bbox: tuple[float, float, float, float] | None = None,
    within: str | Path | None = None,
    h3_res: int | None = None,
    pool: Literal["mean", "mean+std"] = "mean",
    min_valid: float = 0.0,
    workers: int | None = 0,
    values: Literal["float16", "float32"] | None = None,
    **reading: Any,
) -> EmbeddingTable:
    """Pool published rasters of vectors per H3 cell into a table, made if missing: docs/products.md.

    Args:
        table: where it lies.
        files: tiles, folders of them, or stores.
        layout: "alphaearth", "tessera" or "raster".
        index: a list of tiles instead of files, together with an area.
        bbox, within: the area, as a box W, S, E, N or as polygons; cells whose centre lies in it are made.
        h3_res: of a new table; by default the finest whose cells hold 16 pixels.
        pool: "mean+std" keeps standard deviations, too.
        min_valid: least share of a cell's pixels that have data.
        workers: processes that read; None: one a core. More than 0 needs a script with a main guard.
        values: how a new table keeps vectors, float16 by default.
        reading: `year`, `dataset`, `landmask`, and of layout "raster" `model`, `licence`, `formula`, `scale`,
            `offset`, `nodata`, `period`, `own_zone`.

    Raises:
        InputError: nothing that can be read; what of several files cannot be is left out, with a warning.
        TableError: the table holds another model or resolution.
    """
    job, sources = _import("pipeline.import_rasters"), _import("data.products.sources")
    area = _import("pipeline.area").given_area(within, bbox)
    rasters, skipped = sources.open_rasters(
        _hrefs(files), sources.Reading(layout, **reading), index=index, area=area
    )
    resolution = job.fitting_resolution(rasters[0], table, h3_res) if rasters else 0
    pooling = job.Pooling(resolution, pool, min_valid, area)
    plan = job.plan_rasters(rasters, pooling, skipped)
    done = job.import_rasters(plan, pooling, table, workers=workers, values=values)
    for skip in done.skipped:
        warnings.warn(f"left out {skip.sample_id}: {skip.reason}", stacklevel=2)
    made: EmbeddingTable = done.table
    return made


def heat(
    table: EmbeddingTable | str | Path,
    files: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    cell: CellWord | Sequence[CellWord] | None = None,
    lonlat: LonLatWord | Sequence[LonLatWord] | None = None,
    vector: ArrayLike | None = None,
    **reading: Any,
) -> Path:
    """Write the cosine of every pixel of rasters to what is given, as a COG; its path.

    Args:
        table: of pooled pixels of the same product.
        files: its rasters, of one grid.
        out: the file to write.
        cell, lonlat, vector: what to be like, as in `search`.
        reading: as in `import_rasters`.

    Raises:
        InputError: a raster that cannot be read, or of another product.
        QueryError: nothing to be like, or an unknown cell.
    """
    opened, job = _opened(table), _import("pipeline.heat")
    like = _import("indexer.search.words").examples_of(cell=cell, lonlat=lonlat, vector=vector)
    query = _import("indexer.search.query").Query(tuple(like))
    how = _import("data.products.sources").Reading(job.layout_of(opened), **reading) if reading else None
    job.heat(opened, query, _hrefs(files), Path(out), how)
    return Path(out)


def import_labels(
    table: EmbeddingTable | str | Path,
    file: str | Path,
    name: str = "labels",
    *,
    column: str | None = None,
    folder: str | Path | None = None,
) -> pa.Table:
    """Add what a file says of a table's cells to a set of labels; the set: `h3_cell`, `label`, `marked`.

    Args:
        table: a table, or where it lies.
        file: GeoJSON of polygons or points, CSV or GeoParquet of points, cells or shapes.
        name: of the set, which is made where it is new.
        column: what holds the class; by default `label`, `class` or `name`.
        folder: where labels are kept if not with the table.

    Raises:
        QueryError: a file that cannot be read, holds no class, or no cell of the table.
        TableError: a place that cannot be written.
    """
    opened, store = _opened(table), _import("indexer.labels.store")
    read = _import("indexer.labels.label_files").read_label_file(Path(file), opened, column)
    if not read.marks:
        raise _import("indexer.errors").QueryError(f"{file} labels no cell of the table")
    return store.mark(store.label_place(opened, folder), name, read.marks, opened.h3_resolution)


def labels(
    table: EmbeddingTable | str | Path, name: str = "labels", folder: str | Path | None = None
) -> pa.Table:
    """A set of labels: `h3_cell`, `label`, `marked`. Raises `QueryError` where there is none of the name."""
    store = _import("indexer.labels.store")
    return store.read_labels(store.label_place(_opened(table), folder), name)


def feedback(
    table: EmbeddingTable | str | Path,
    *,
    right: CellWord | Sequence[CellWord] = (),
    wrong: CellWord | Sequence[CellWord] = (),
    cell: CellWord | Sequence[CellWord] | None = None,
    lonlat: LonLatWord | Sequence[LonLatWord] | None = None,
    vector: ArrayLike | None = None,
    query: Query | None = None,
    by: Rule = "linear",
    k: int = 20,
    to_ask: int = 10,
    apart_km: float = 0.0,
    filter: Filter | None = None,
    **conditions: Unpack[Conditions],
) -> Feedback:
    """A search taught by marked results: `hits`, and in `ask` the rows to mark next.

    Args:
        table: a table, or where it lies.
        right, wrong: cells that were marked, as text or numbers.
        cell, lonlat, vector, query: the question that they answer, as in `search`.
        by: "linear", a linear head on the vectors, or "rocchio".
        k: how many results, at least 1.
        to_ask: how many rows to mark next.
        apart_km: results whose cell lies this near to a marked one are left out.
        filter: a whole `Filter`, instead of conditions.
        conditions: which rows may be found, as in `search`.

    Raises:
        QueryError: nothing to look like, a cell that the table lacks or that is both, k below 1.
    """
    opened, words = _opened(table), _import("indexer.search.words")
    asked = query or _import("indexer.search.query").Query(
        words.examples_of(cell=cell, lonlat=lonlat, vector=vector)
    )
    marks = [[example.cell for example in words.examples_of(cell=cells)] for cells in (right, wrong)]
    both = set(marks[0]) & set(marks[1])
    if both:
        raise _import("indexer.errors").QueryError(
            f"cell {min(both):x} is marked right and wrong: leave one out"
        )
    said = dict.fromkeys(marks[0], True) | dict.fromkeys(marks[1], False)
    held = _filter_of(filter, conditions)
    answer: Feedback = _import("indexer.labels.feedback").feedback(
        opened, asked, said, by=by, k=k, apart_km=apart_km, to_ask=to_ask, filter=held
    )
    return answer


def write_table(
    path: str | Path,
    places: Sequence[CellWord] | ArrayLike,
    vectors: ArrayLike,
    *,
    period: PeriodWord | None = None,
    model: str = "vectors of my own",
    licence: str = "other",
    h3_res: int | None = None,
    ids: Sequence[str] | None = None,
    index: bool = True,
) -> EmbeddingTable:
    """Write vectors of one's own into a table, made where it is missing, and index it.

    Args:
        path: the table's folder. Rows of the same place and period are replaced.
        places: H3 cells of one resolution (n,), as text or numbers, or lon and lat in degrees (n, 2).
        vectors: (n, d), of any length but zero.
        period: that they are of, as in `changes`: 2024, "2024-06" or a pair of days; this year by default.
        model: what made them: a table holds those of one.
        licence: of the vectors, an SPDX identifier.
        h3_res: of the cells that points are put in; 9 by default.
        ids: names of the rows; of several in one cell and period each needs its own.
        index: whether the index is brought up to date.

    Raises:
        QueryError: a cell or a period that is none.
        TableError: not as many vectors as places, one that is zero, a table of another model or resolution.
    """
    own = _import("indexer.table.own_vectors")
    asked = None if period is None else _import("indexer.search.words").period_of(period)
    start, end = own.this_year() if asked is None else (asked.start, asked.end)
    about = {"start": start, "end": end, "model": model, "licence": licence}
    table: EmbeddingTable = own.write_vectors(path, places, vectors, **about, h3_resolution=h3_res, ids=ids)
    if index:
        _load("build_index")(table)
    return table


def sql(
    table: EmbeddingTable | ServedTable | str | Path,
    query: str,
    *,
    timeout_s: float = 30.0,
    memory: str = "2GB",
) -> Any:
    """Rows of a SELECT over `embeddings`, `prototypes` and `regions`, as a pyarrow table.

    Args:
        table: a table, or where it lies.
        query: DuckDB's SQL.
        timeout_s: the longest that it may take; 0: as long as it takes.
        memory: what DuckDB may take, and the answer once more.

    Raises:
        QueryError: the query does anything but read the table, or reaches a limit.
    """
    opened = _opened(table)
    if _is_served(opened):
        return opened.rows("/sql", {"query": query})
    limits = _import("indexer.sql.limits").Limits.of(timeout_s, memory)
    return _import("indexer.sql.run").run_sql(opened, query, limits)


def _opened(table: EmbeddingTable | ServedTable | str | Path) -> Any:
    return open_table(table) if isinstance(table, str | Path) else table


def _is_served(table: Any) -> bool:
    served = sys.modules.get("indexer.search.served_table")  # what opened one has loaded it
    return served is not None and isinstance(table, served.ServedTable)


def _on_device(table: EmbeddingTable | ServedTable, device: str | None) -> OnDevice | None:
    """What searches there; None without a device."""
    if device is None:
        return None
    if _is_served(table):
        raise _import("indexer.errors").QueryError(
            "a served table is searched by its server: leave device out, and start it with --device"
        )
    searcher: OnDevice = _import("pipeline.on_device.searcher").kept_on_device(device)
    return searcher


def _words_of(filter: Filter | None, conditions: Conditions) -> dict[str, Any]:
    """What a server is told of which rows may be found."""
    if filter is not None:
        raise _import("indexer.errors").QueryError(
            "a served table takes conditions as words, such as bbox and start, and no whole filter"
        )
    return dict(conditions)


def _text_of(period: PeriodWord) -> Any:
    """A period as JSON has it."""
    return [str(end) for end in period] if isinstance(period, tuple) else period


def _hrefs(files: str | Path | Sequence[str | Path]) -> list[str]:
    return [str(file) for file in ([files] if isinstance(files, str | Path) else files)]


def _chips(
    table: EmbeddingTable, chip: str | Path | Sequence[str | Path] | None, using: str, weights: str
) -> list[Example]:
    """Examples that look like GeoTIFFs."""
    if chip is None:
        return []
    paths = [chip] if isinstance(chip, str | Path) else chip
    return list(_import("pipeline.examples").chip_examples(table, paths, using=using, weights=weights))


def _texts(table: EmbeddingTable, text: str | Sequence[str] | None, weights: str) -> list[Example]:
    """Examples that are what words say."""
    if text is None:
        return []
    texts = [text] if isinstance(text, str) else list(text)
    return list(_import("pipeline.examples").text_examples(table, texts, weights=weights))


def _filter_of(filter: Filter | None, conditions: Conditions) -> Filter:
    if filter is not None and conditions:
        raise _import("indexer.errors").QueryError(
            f"both a filter and {', '.join(conditions)} were given: put all in the filter, or leave it out"
        )
    held: Filter = filter or _import("indexer.search.words").filter_of(**conditions)
    return held


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'skyhex' has no attribute {name!r}")
    return _load(name)


def __dir__() -> list[str]:
    return sorted(__all__)


def _load(name: str) -> Any:
    return getattr(_import(_LAZY[name]), name)


def _import(module: str) -> Any:
    if module not in sys.modules:
        check_packages()
    return importlib.import_module(module)


def check_packages() -> None:
    """Make sure that `data`, `encoder`, `indexer`, `pipeline` and `search_app` are ours.

    Their names are plain, so a stray `data.py` in the working directory can stand in front of them.

    Raises:
        ImportError: naming the file that was found, the one expected, and what to do.
    """
    for package in _PACKAGES:
        expected = _ROOT / package / "__init__.py"
        spec = (
            importlib.util.find_spec(package) if package not in sys.modules else sys.modules[package].__spec__
        )
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin != expected:
            raise ImportError(
                f"`import {package}` finds {origin}, expected {expected}. "
                f"Rename the stray {package}, or start Python in another directory."
            )
