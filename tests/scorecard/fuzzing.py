"""Odd documents of every format that comes from outside: an error of our own, or the right answer."""

from __future__ import annotations

import io
import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from data.cover import plan_chips
from data.reader import read_sample
from data.sample import InputError, SampleSpec
from data.stac import read_catalog
from encoder.checkpoint import CheckpointError, load_weights, save_weights
from encoder.config import preset
from encoder.convert import convert
from encoder.initialise import initialise
from encoder.skysense import SkySense
from indexer.errors import QueryError, TableError
from indexer.geo.geojson import whole_area
from indexer.index.faiss_index import FOLDER, build_index
from indexer.index.mapped import name_of
from indexer.prototypes.regional import fit_prototypes, read_prototypes
from indexer.search.search import search
from indexer.table import manifest
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.importers import LAYOUTS, import_file
from pipeline.skips import SKIPPED_FILE, settle_skips

from ..data.conftest import TinyCatalog
from ..indexer.random_rows import MODEL, random_rows
from ..indexer.small_tables import place_table, whole
from .mutations import damaged, mutated
from .queries import QUERY
from .trials import Foreign, Trials, outcome

Fuzz = Callable[[random.Random, Path], Iterator[Any]]  # each: right, wrong (text), our error, or `Foreign`


def fuzzing(rng: random.Random, scratch: Path) -> Trials:
    """All formats in turn."""
    fuzzes = {}
    for name, fuzz in FUZZES.items():
        (scratch / name).mkdir()
        fuzzes[name] = fuzz(rng, scratch / name)
    for name in cycle(fuzzes):
        found = next(fuzzes[name])
        wrong = found.what if isinstance(found, Foreign) else found if isinstance(found, str) else None
        yield f"{name}: {wrong}" if wrong else None


def manifests(rng: random.Random, scratch: Path) -> Iterator[Any]:
    """Of a table, under right digests."""
    table = place_table(scratch / "table", n=30)
    expected = whole(table), len(table.log())
    path = table.path / manifest.manifest_path(table.snapshot)
    good = json.loads(path.read_bytes())
    del good["sha256"]

    def read() -> str | None:
        found = EmbeddingTable.open(table.path)
        log, rows = found.log(), whole(found)
        search(found, QUERY, 5)
        found.validate()
        same = rows.column_names == expected[0].column_names and rows.equals(expected[0])
        if not same or found.row_count != len(rows) or len(log) != expected[1]:
            return f"{found.row_count} rows are said, {len(rows)} are read, {len(expected[0])} are there"
        return None

    while True:
        document = mutated(good, rng)
        if isinstance(document, dict):
            document["sha256"] = manifest._digest(document)
        path.write_text(json.dumps(document))
        yield outcome(read, TableError, QueryError)


def footers(rng: random.Random, scratch: Path) -> Iterator[Any]:
    """`geo` and `emb` of a Parquet file that is imported."""
    rows = random_rows(20)
    column = {"encoding": "WKB", "geometry_types": ["Polygon"], "crs": None, "bbox": [5, 45, 8, 48]}
    period = {"start_datetime": "2024-01-01T00:00:00Z", "end_datetime": "2025-01-01T00:00:00Z"}
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    emb = {"model": {"name": "m", "id": "1"}, "license": "CC0-1.0", **period}
    meta = {"geo": json.dumps(geo), "emb": json.dumps(emb)}
    vectors = rows["embedding"].combine_chunks().cast(pa.list_(pa.float32()))
    plain = pa.table({"geometry": rows["geometry"], "embedding": vectors})
    layout = replace(LAYOUTS["earth-index"], id=None)
    path, made = scratch / "file.parquet", 0

    def read() -> str | None:
        done = import_file(path, layout, scratch / f"table{made}")
        return None if done.rows == len(rows) else f"{done.rows} of {len(rows)} rows"

    while True:
        name = rng.choice(list(meta))
        odd = json.dumps(mutated(json.loads(meta[name]), rng))
        if rng.random() < 0.2:
            odd = damaged(meta[name].encode(), rng).decode(errors="replace")
        pq.write_table(plain.replace_schema_metadata({**meta, name: odd}), path)
        made += 1
        yield outcome(read, TableError, QueryError)
        shutil.rmtree(scratch / f"table{made}", ignore_errors=True)


def areas(rng: random.Random, scratch: Path) -> Iterator[Any]:
    """GeoJSON."""
    ring = [[5.0, 45.0], [6.0, 45.0], [6.0, 46.0], [5.0, 46.0], [5.0, 45.0]]
    hole = [[5.2, 45.2], [5.2, 45.4], [5.4, 45.4], [5.2, 45.2]]
    polygon = {"type": "Polygon", "coordinates": [ring, hole]}
    many = {"type": "MultiPolygon", "coordinates": [[ring], [[[x + 3, y] for x, y in ring]]]}
    feature = {"type": "Feature", "properties": {"name": "a"}, "geometry": many, "bbox": [5, 45, 9, 46]}
    features = {"type": "FeatureCollection", "features": [feature, {**feature, "id": 1}]}
    point = {"type": "Point", "coordinates": [1, 2]}
    good = [polygon, many, feature, features, {"type": "GeometryCollection", "geometries": [polygon, point]}]
    path = scratch / "area.geojson"

    def read() -> str | None:
        west, south, east, north = whole_area(path).bounds
        return None if -180 <= west < east <= 180 and -90 <= south < north <= 90 else "an area off the globe"

    while True:
        document = mutated(rng.choice(good), rng)
        content = json.dumps(document).encode()
        path.write_bytes(damaged(content, rng) if rng.random() < 0.2 else content)
        yield outcome(read, QueryError)


def stac(rng: random.Random, scratch: Path) -> Iterator[Any]:
    """Items, collections and catalogs, to the pixels."""
    tiny = TinyCatalog(scratch / "catalog")
    tiny.add("s2", "one", shape=(16, 16), scl=np.full((8, 8), 4, np.uint8), **{"eo:cloud_cover": 10})
    tiny.add("s1", "two", shape=(16, 16))
    tiny.add("hr", "three", shape=(64, 64))
    root = tiny.write()
    files = [root, *sorted((scratch / "catalog").glob("*/*.json"))]
    good = {path: path.read_bytes() for path in files}
    spec = SampleSpec()

    def read() -> str | None:
        for task in plan_chips(read_catalog(root), spec).tasks:
            read_sample(task, spec)
        return None

    while True:
        path = rng.choice(files)
        document = mutated(json.loads(good[path]), rng)
        content = json.dumps(document).encode()
        path.write_bytes(damaged(content, rng) if rng.random() < 0.1 else content)
        yield outcome(read, InputError)
        path.write_bytes(good[path])


def rasters(rng: random.Random, scratch: Path) -> Iterator[Any]:
    """GeoTIFFs with damaged bytes, of a catalog that is read to the end."""
    tiny = TinyCatalog(scratch / "catalog")
    raster = tiny.add("s2", "one", shape=(32, 32))
    tiny.add("s1", "two", shape=(32, 32))
    root, good, spec = tiny.write(), raster.read_bytes(), SampleSpec()

    def read() -> str | None:
        for task in plan_chips(read_catalog(root), spec).tasks:
            read_sample(task, spec)
        return None

    while True:
        raster.unlink()
        raster.write_bytes(damaged(good, rng))
        yield outcome(read, InputError)


def skips(rng: random.Random, scratch: Path) -> Iterator[Any]:
    """`skipped.json`, which is made again."""
    table = EmbeddingTable.create(scratch / "table", MODEL, h3_resolution=9).upsert(random_rows(5))
    good = [{"sample_id": "a", "reason": "cloud"}, {"sample_id": "b", "reason": "nodata"}]
    while True:
        content = json.dumps(mutated(good, rng)).encode()
        (table.path / SKIPPED_FILE).write_bytes(damaged(content, rng) if rng.random() < 0.3 else content)
        found = outcome(lambda: settle_skips(table, ["a", "b", "s0"]))
        names = {skip.sample_id for skip in found} if isinstance(found, list) else set()
        yield found if isinstance(found, Foreign) else None if {"a", "b"} <= names else "a place is missing"


def indexes(rng: random.Random, scratch: Path) -> Iterator[Any]:
    """The descriptions of an index and its segments, under right digests."""
    table = place_table(scratch / "table", n=60)
    expected = search(table, QUERY, 5).rows
    build_index(table)
    root = table.path / FOLDER
    shutil.copytree(root, scratch / "good")

    def read() -> str | None:
        same = search(EmbeddingTable.open(table.path), QUERY, 5).rows
        return None if same["sample_id"] == expected["sample_id"] else "other rows"

    while True:
        shutil.rmtree(root)
        shutil.copytree(scratch / "good", root)
        (folder,) = (path for path in root.iterdir() if path.is_dir())
        (old,) = root.glob("*.json")
        segment, index = json.loads((folder / "segment.json").read_bytes()), json.loads(old.read_bytes())
        if rng.random() < 0.7:
            segment = mutated(segment, rng)
        content = json.dumps(segment).encode()
        (folder / "segment.json").write_bytes(content)
        folder.rename(root / name_of(content))
        index["segments"] = [name_of(content)]
        content = json.dumps(mutated(index, rng) if rng.random() < 0.3 else index).encode()
        old.rename(root / f"{old.stem.split('-')[0]}-{name_of(content)}.json").write_bytes(content)
        yield outcome(read, TableError)


def prototypes(rng: random.Random, scratch: Path) -> Iterator[Any]:
    """The files that fitting made, with other columns or types, under right digests."""
    table = place_table(scratch / "table", n=40)
    fit_prototypes(table, region_resolution=1, per_region=2)
    table = EmbeddingTable.open(table.path)
    good = {name: pq.read_table(io.BytesIO(table.read_sidecar("prototypes", name)))
            for name in ("prototypes.parquet", "assignments.parquet")}  # fmt: skip
    sidecar = table.sidecar("prototypes")
    assert sidecar is not None
    while True:
        name = rng.choice(list(good))
        files = {one: _parquet(rows if one != name else _odd_rows(rows, rng)) for one, rows in good.items()}
        info = mutated(dict(sidecar.info), rng) if rng.random() < 0.3 else dict(sidecar.info)
        changed = table.commit_sidecar("prototypes", files, info if isinstance(info, dict) else {})

        def read(changed: EmbeddingTable = changed) -> None:
            found = read_prototypes(changed)
            for region in found.regions.tolist():
                found.like(region, 0)
            search(changed, QUERY, 5)

        yield outcome(read, TableError, QueryError)
        table.vacuum(keep=1)


def _odd_rows(rows: pa.Table, rng: random.Random) -> pa.Table:
    at = rng.randrange(rows.num_columns)
    name = rows.column_names[at]
    match rng.randrange(6):
        case 0:
            return rows.drop_columns([name])
        case 1:
            return rows.rename_columns([f"{one}x" if one == name else one for one in rows.column_names])
        case 2:
            return rows.set_column(at, name, pa.array(["x"] * len(rows)))
        case 3:
            return rows.set_column(at, name, pa.nulls(len(rows), rows.schema.field(at).type))
        case 4:
            return rows.slice(0, rng.randrange(len(rows)))
        case _:
            return rows.take(pa.array(rng.sample(range(len(rows)), len(rows))))


def _parquet(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def weights(rng: random.Random, scratch: Path) -> Iterator[Any]:
    """Weights whose configuration or keys are odd, and what `convert` is given."""
    model = SkySense(preset("nano"))
    initialise(model, seed=0)
    path, odd = scratch / "good.safetensors", scratch / "odd.safetensors"
    save_weights(model, path, "tests/fuzz", trained=True)
    expected = load_weights(path)[1]
    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata())
    tensors = load_file(path)

    def read() -> str | None:
        return None if load_weights(odd)[1] == expected else "other weights"

    while True:
        if rng.random() < 0.6:
            said = metadata | {"config": json.dumps(mutated(json.loads(metadata["config"]), rng))}
            save_file(tensors, odd, said)
            yield outcome(read, CheckpointError)
        else:
            names = rng.sample(list(tensors), 5)
            save_file({rng.choice(ODD_KEYS) + name: tensors[name] for name in names}, odd)
            yield outcome(lambda: convert([odd], scratch / "out.safetensors") and None, CheckpointError)


ODD_KEYS = (
    "",
    "backbone_s2.",
    "backbone_hr.",
    "head_s1.",
    "fusion.",
    "module.",
    "stages.",
    "model.",
    "x.",
    "ctpe",
)
FUZZES: dict[str, Fuzz] = {
    "manifest": manifests,
    "area": areas,
    "STAC": stac,
    "raster": rasters,
    "footer": footers,
    "skipped": skips,
    "index": indexes,
    "prototypes": prototypes,
    "weights": weights,
}
