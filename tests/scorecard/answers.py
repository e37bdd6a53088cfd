"""Whether answers are right: by every way to them, of old tables, under filters, and for hours."""

from __future__ import annotations

import json
import random
import resource
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa

from indexer.errors import QueryError, TableError
from indexer.geo import cells
from indexer.index import segment_files
from indexer.index.faiss_index import build_index
from indexer.search.filter import Filter, Region
from indexer.search.query import Query, Vector
from indexer.search.search import search
from indexer.sql.limits import Limits
from indexer.sql.run import run_sql
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import ModelInfo, emb_metadata, make_rows

from ..indexer.random_rows import MODEL, columns_for
from ..indexer.small_tables import place_table, similarities, whole
from .queries import QUERY
from .store import NOW, ROOT, rows_of, sound
from .trials import Foreign, Trials, outcome

OLD = ROOT / "tests" / "indexer" / "old_table" / "table"
CLOSE = 2e-7  # similarities have seven decimals
D = 32


def suite(rng: random.Random, scratch: Path, *, paths: tuple[str, ...]) -> Trials:
    """Tests that stand in the repository, each a trial."""
    for path in paths:
        report = scratch / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", path]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        for case in ET.parse(report).getroot().iter("testcase"):
            if case.find("skipped") is None:
                wrong = case.find("failure") is not None or case.find("error") is not None
                yield f"{path}: {case.get('name')}" if wrong else None


def divergence(rng: random.Random, scratch: Path) -> Trials:
    """One question by index, by Parquet, by SQL and by arithmetic: one answer."""
    table = place_table(scratch / "table", n=400)
    plain = EmbeddingTable.open(shutil.copytree(table.path, scratch / "plain"))
    with patch.object(segment_files, "EXACT_ROWS", 100):
        build_index(table)
    rows = whole(table)
    while True:
        query = np.random.default_rng(rng.randrange(10**9)).normal(size=MODEL.dimension).astype(np.float32)
        west, south = rng.uniform(5, 7), rng.uniform(45, 47)
        region = Region.from_bbox(west, south, west + 1, south + 1) if rng.random() < 0.5 else None
        asked = Filter(region=region, where=rng.choice((None, "n_s2 > 3", "cloud_fraction < 0.5")))
        ways = [search(one, Query((Vector(query),)), 10, asked).rows for one in (table, plain)]
        listed = ", ".join(f"{value}" for value in query.tolist())
        where = "" if asked.where is None else f"WHERE {asked.where}"
        sql = f"SELECT similarity(embedding, [{listed}]) AS s FROM embeddings {where} ORDER BY s DESC"
        found = [rows["similarity"].to_numpy() for rows in ways]
        said = run_sql(plain, sql + " LIMIT 10")["s"].to_numpy() if region is None else found[0]
        exact = np.sort(similarities(rows, query))[::-1][:10] if where == "" and region is None else found[0]
        alike = all(len(one) == len(found[0]) and np.allclose(one, found[0], rtol=0, atol=CLOSE)
                    for one in (found[1], said, exact))  # fmt: skip
        yield None if alike else f"{asked}: {found[0][:3]}, {found[1][:3]}, {said[:3]}, {exact[:3]}"


def old_versions(rng: random.Random, scratch: Path) -> Trials:
    """A table that an earlier version wrote: opened, asked, added to, indexed, tidied."""
    old = EmbeddingTable.open(OLD)
    expected = whole(old)
    again = expected.slice(0, 3).replace_schema_metadata(
        {"emb": json.dumps(emb_metadata(old.model, old.manifest.values))}
    )
    for round_ in range(10**6):
        table = EmbeddingTable.open(shutil.copytree(OLD, scratch / f"t{round_}"))
        jobs: list[Any] = [
            lambda table=table: build_index(EmbeddingTable.open(table.path)),
            lambda table=table: EmbeddingTable.open(table.path).compact(),
            lambda table=table: EmbeddingTable.open(table.path).vacuum(keep=1, grace=NOW),
            lambda table=table: EmbeddingTable.open(table.path).upsert(again),
        ]
        wrong = None
        for job in rng.sample(jobs, len(jobs)):
            done = outcome(job)
            after = EmbeddingTable.open(table.path)
            if isinstance(done, Foreign) or after.validate() or not whole(after).equals(expected):
                wrong = done.what if isinstance(done, Foreign) else "other rows, or not valid"
        yield wrong
        shutil.rmtree(table.path)


def odd_places(count: int, seed: int) -> np.ndarray:
    """Cells of which some lie on the antimeridian, at the poles and in pentagons. (n,) uint64, ascending."""
    rng = np.random.default_rng(seed)
    lon = np.r_[rng.uniform(-180, 180, count), rng.normal(180, 0.05, 300), rng.uniform(-180, 180, 200)]
    lat = np.r_[rng.uniform(-85, 85, count), rng.uniform(-60, 60, 300), rng.choice((-89.9, 89.9), 200)]
    pentagons = np.array([cells.parents([cell], 9)[0] for cell in PENTAGONS], np.uint64)
    found = cells.cells_at((lon + 180) % 360 - 180, lat, 9)
    return np.unique(np.r_[found, pentagons])


PENTAGONS = [0x89080000003FFFF, 0x891C0000003FFFF, 0x89300000003FFFF, 0x894C0000003FFFF, 0x89620000003FFFF]
SHARES = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0)


def recall(rng: random.Random, scratch: Path) -> Trials:
    """Ten nearest by the index against all rows compared, between rows, 3 % of which are equal."""
    places = odd_places(12_000, 0)
    n, source = len(places), np.random.default_rng(1)
    centres = source.normal(size=(64, D))
    vectors = centres[source.integers(0, 64, n)] + 0.5 * source.normal(size=(n, D))
    vectors[source.choice(n, n * 3 // 100, replace=False)] = centres[0]
    model = ModelInfo("skyhex/recall", "cd" * 32, D, "Apache-2.0", trained=False)
    columns = columns_for(places, 0, D) | {"embedding": vectors.astype(np.float32), "model": model}
    table = EmbeddingTable.create(scratch / "table", model, h3_resolution=9)
    extra = pa.array(source.permutation(n).astype(np.int32))
    table = table.upsert(make_rows(**columns, extra={"lot": extra}))
    with patch.object(segment_files, "EXACT_ROWS", 5_000):
        build_index(table)
    rows = whole(table)
    stored = np.stack(rows["embedding"].to_numpy()).astype(np.float64)
    stored /= np.linalg.norm(stored, axis=1)[:, None]
    lots = rows["lot"].to_numpy()
    while True:
        share = rng.choice(SHARES)
        limit = max(1, round(share * n))
        asked = Filter(where=None if share == 1 else f"lot < {limit}")
        matching = np.flatnonzero(lots < limit) if share < 1 else np.arange(n)
        seed = np.random.default_rng(rng.randrange(10**9))
        found = wanted = 0
        for _ in range(10):
            query = stored[seed.integers(n)] + 0.3 * seed.normal(size=D) / D**0.5
            cosines = np.sort(stored[matching] @ (query / np.linalg.norm(query)))[::-1][:10]
            answer = search(table, Query((Vector(query.astype(np.float32)),)), 10, asked)
            got = answer.rows["similarity"].to_numpy()
            wanted += len(cosines)
            found += np.count_nonzero(got >= cosines[-1] - CLOSE)
        yield None if found >= 0.95 * wanted else f"recall {found / wanted:.2f} at a share of {share}"


HOSTILE_SQL = (
    "SELECT * FROM read_csv('{file}')", "SELECT * FROM '{file}'", "SELECT * FROM read_text('{file}')",
    "COPY (SELECT 1) TO '{file}'", "WITH x AS (COPY (SELECT 1) TO '{file}') SELECT * FROM x",
    "ATTACH '{file}' AS other", "INSTALL httpfs", "LOAD httpfs", "SET enable_external_access = true",
    "PRAGMA database_list", "CREATE TABLE t AS SELECT 1", "DROP VIEW embeddings", "DELETE FROM embeddings",
    "SELECT * FROM glob('/**')", "SELECT * FROM duckdb_settings()", "SELECT getenv('HOME')",
    "SELECT 1; SELECT 2", "EXPORT DATABASE '{file}'", "CALL pragma_version()",
    "SELECT * FROM read_blob('{file}')",
    "SELECT * FROM parquet_scan('{file}')", "SELECT * FROM sniff_csv('{file}')", "CHECKPOINT", "VACUUM",
    "SELECT (SELECT content FROM read_text('{file}'))", "SELECT * FROM read_json('{file}')",
    "EXPLAIN COPY (SELECT 1) TO '{file}'", "EXECUTE x", "PREPARE x AS SELECT 1", "USE memory",
    "SELECT", "", ";",
    "SELECT * FROM query('SELECT 1')", "SELECT * FROM query_table('embeddings')", "SHOW TABLES",
    "DESCRIBE embeddings",
    "FROM read_ndjson('{file}')", "SELECT * FROM st_read('{file}')",
    "SELECT * FROM sqlite_scan('{file}', 'a')",
)  # fmt: skip


def sql(rng: random.Random, scratch: Path) -> Trials:
    """Statements that would write, read another file or change a setting, spelled in many ways."""
    table = place_table(scratch / "table", n=20)
    secret = scratch / "secret.csv"
    secret.write_text("column\nsecret\n")
    before = {path: path.read_bytes() for path in scratch.rglob("*") if path.is_file()}
    while True:
        text = rng.choice(HOSTILE_SQL).format(file=rng.choice((secret, scratch / "new", "/etc/hostname")))
        text = rng.choice((text, text.lower(), f"/* x */ {text}", f"{text} --", f"SELECT * FROM ({text})",
                           f"WITH a AS ({text}) SELECT * FROM a", f"SELECT 1 UNION ALL {text}"))  # fmt: skip
        found = outcome(partial(run_sql, table, text, Limits(timeout_s=5)), QueryError, TableError)
        after = {path: path.read_bytes() for path in scratch.rglob("*") if path.is_file()}
        if isinstance(found, Foreign):
            yield f"{text}: {found.what}"
        else:
            leaked = not isinstance(found, Exception) and "secret" in str(found.to_pylist())
            yield f"{text}: read or changed a file" if leaked or after != before else None


def page_and_sql(rng: random.Random, scratch: Path) -> Trials:
    """SQL that reaches out, then the page's own tests."""
    statements = sql(rng, scratch)
    yield from (next(statements) for _ in range(200))
    yield from suite(rng, scratch, paths=("tests/search_app/page", "tests/indexer/sql"))


def soak(rng: random.Random, scratch: Path) -> Trials:
    """One process for a long time: commits, upkeep, questions; it neither grows nor errs."""
    path, seeds = scratch / "table", set[int]()
    table = EmbeddingTable.create(path, MODEL, h3_resolution=9)
    first_kb = first_files = None
    for seed in range(10**6):
        table = table.upsert(rows_of(seed % 500), input_key=str(seed % 500))
        seeds.add(seed % 500)
        if seed % 7 == 0:
            table = table.compact()
            table.vacuum(keep=2, grace=timedelta(seconds=5))
        if seed % 11 == 0:
            build_index(table)
        search(table, QUERY, 10)
        wrong = sound(path, seeds) if seed % 20 == 0 else None
        if seed == 300:
            first_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            first_files = len(list(Path("/proc/self/fd").iterdir()))
        if first_kb and first_files and seed > 300:
            kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            files = len(list(Path("/proc/self/fd").iterdir()))
            if kb > first_kb + 500_000 or files > first_files + 200:
                wrong = (
                    f"{(kb - first_kb) // 1000} MB and {files - first_files} open files more than at first"
                )
        yield wrong
