"""Requests and bytes of a table in a bucket: what each operation asks of the store, first and again.

make test-buckets            installs the S3 server of the tests
.moto/bin/moto_server -p 5000
python -m benchmarks.buckets --port 5000 --rows 200000
"""

import argparse
import os
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from indexer.geo import cells
from indexer.index.faiss_index import build_index
from indexer.search.filter import Filter, Region
from indexer.search.query import Query, Vector
from indexer.search.search import search
from indexer.sql.run import run_sql
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import ModelInfo, make_rows
from tests.buckets.network import Network, network

COUNT = "SELECT count(*) FROM embeddings WHERE n_s2 > 3"
MODEL = ModelInfo("random", "ab" * 32, 128, "CC0-1.0", trained=False)


def main() -> None:
    """Print a line an operation."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True, help="of an S3 server on this machine")
    parser.add_argument("--rows", type=int, default=200_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache, network(given.port) as between:
        os.environ |= {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{between.port}",
            "SKYHEX_CACHE": f"{cache}/writer",
        }
        bucket = f"b{uuid.uuid4().hex}"
        made = urllib.request.Request(f"http://127.0.0.1:{given.port}/{bucket}", method="PUT")
        urllib.request.urlopen(made).close()
        measure(between, f"s3://{bucket}/table", given.rows, cache)


def measure(between: Network, address: str, rows: int, cache: str) -> None:
    """Fill a table, then read it as another machine would."""
    table = EmbeddingTable.create(address, MODEL, h3_resolution=9)
    told(between, f"upsert of {rows:,} rows", lambda: table.upsert(random_rows(rows, 0)))
    told(between, "upsert of 1,000 rows", lambda: EmbeddingTable.open(address).upsert(random_rows(1_000, 1)))
    told(between, "index", lambda: build_index(EmbeddingTable.open(address)))
    table = EmbeddingTable.open(address)
    size = sum(file.bytes for file in table.files)
    print(f"{table.row_count:,} rows in {len(table.files)} parts, {size / 1e6:.1f} MB")
    query = Query((Vector(np.random.default_rng(5).normal(size=MODEL.dimension)),))
    near = Filter(region=Region.from_bbox(6, 46, 6.2, 46.2))
    os.environ["SKYHEX_CACHE"] = f"{cache}/reader"
    for name in ("first", "again"):
        read(between, address, name, query, near)


def read(between: Network, address: str, name: str, query: Query, near: Filter) -> None:
    """What a reader does."""
    table = told(between, f"open, {name}", lambda: EmbeddingTable.open(address))
    told(between, f"search, {name}", lambda: search(table, query, 20))
    told(between, f"search in an area, {name}", lambda: search(table, query, 20, near))
    told(between, f"rows of a cell, {name}", lambda: table.lookup(cell=table.files[0].min_h3))
    told(between, f"SQL, {name}", lambda: run_sql(table, COUNT))


def told(between: Network, name: str, work: Callable[[], Any]) -> Any:
    """Do it, and print what it asked for."""
    between.forget()
    began = time.perf_counter()
    done = work()
    seconds = time.perf_counter() - began
    methods = " ".join(f"{between.methods.count(m)} {m}" for m in dict.fromkeys(between.methods)) or "none"
    print(f"{name:32} {methods:20} {between.bytes / 1e6:8.2f} MB read {seconds:7.2f} s", flush=True)
    return done


def random_rows(n: int, seed: int) -> pa.Table:
    """Rows of random vectors in a box of central Europe."""
    rng = np.random.default_rng(seed)
    h3_cell = np.unique(cells.cells_at(rng.uniform(5, 8, n), rng.uniform(45, 48, n), 9))
    n = len(h3_cell)
    lon, lat = cells.centres(h3_cell)
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))
    rings = [[(x + 0.003 * a, y + 0.003 * b) for a, b in corners] for x, y in zip(lon, lat, strict=True)]
    return make_rows(
        h3_cell=h3_cell,
        sample_id=[f"{cell:x}" for cell in h3_cell.tolist()],
        start=[datetime(2024, 1, 1, tzinfo=UTC)] * n,
        end=[datetime(2025, 1, 1, tzinfo=UTC)] * n,
        footprint=rings,
        embedding=rng.normal(size=(n, MODEL.dimension)).astype(np.float32),
        model=MODEL,
        n_hr=np.zeros(n, np.int64),
        n_s2=rng.integers(0, 9, n),
        n_s1=np.zeros(n, np.int64),
        valid_fraction=np.ones(n),
        cloud_fraction=np.zeros(n),
        source_items=[["item"]] * n,
    )


if __name__ == "__main__":
    main()
