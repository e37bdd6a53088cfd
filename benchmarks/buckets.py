"""Requests and bytes of a table in a bucket: what each operation asks of the store, first and again.

make test-buckets            installs the S3 server of the tests
.moto/bin/moto_server -p 5000
python -m benchmarks.buckets --port 5000 --rows 200000 --report benchmarks/results/buckets.json
"""

import argparse
import json
import os
import tempfile
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
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

from .machine import describe

COUNT = "SELECT count(*) FROM embeddings WHERE n_s2 > 3"
MODEL = ModelInfo("random", "ab" * 32, 128, "CC0-1.0", trained=False)
PACKAGES = ("obstore", "pyarrow", "duckdb", "faiss-cpu", "numpy")


@dataclass(frozen=True)
class Asked:
    """What one operation asked of the store."""

    operation: str
    requests: dict[str, int]  # by method
    read_mb: float
    seconds: float


@dataclass
class Measured:
    """A table, and what was asked while it was filled and read."""

    between: Network
    rows: int = 0
    parts: int = 0
    table_mb: float = 0.0
    asked: list[Asked] = field(default_factory=list)

    def told(self, name: str, work: Callable[[], Any]) -> Any:
        """Do it, keep and print what it asked for."""
        self.between.forget()
        began = time.perf_counter()
        done = work()
        seconds = time.perf_counter() - began
        asked = Asked(name, dict(Counter(self.between.methods)), self.between.bytes / 1e6, seconds)
        self.asked.append(asked)
        methods = " ".join(f"{n} {method}" for method, n in asked.requests.items()) or "none"
        print(f"{name:32} {methods:20} {asked.read_mb:8.2f} MB read {seconds:7.2f} s", flush=True)
        return done

    def to_json(self) -> str:
        """With the machine."""
        table = {"rows": self.rows, "parts": self.parts, "table_mb": round(self.table_mb, 2)}
        told = [
            asdict(one) | {"read_mb": round(one.read_mb, 3), "seconds": round(one.seconds, 3)}
            for one in self.asked
        ]
        return json.dumps({"machine": describe(PACKAGES), **table, "asked": told}, indent=1) + "\n"


def main() -> None:
    """Print a line an operation."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True, help="of an S3 server on this machine")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--report", type=Path, help="JSON to write")
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
        measured = Measured(between)
        measure(measured, f"s3://{bucket}/table", given.rows, cache)
        if given.report:
            given.report.write_text(measured.to_json())


def measure(measured: Measured, address: str, rows: int, cache: str) -> None:
    """Fill a table, then read it as another machine would."""
    table = EmbeddingTable.create(address, MODEL, h3_resolution=9)
    told = measured.told
    told(f"upsert of {rows:,} rows", lambda: table.upsert(random_rows(rows, 0)))
    told("upsert of 1,000 rows", lambda: EmbeddingTable.open(address).upsert(random_rows(1_000, 1)))
    told("index", lambda: build_index(EmbeddingTable.open(address)))
    table = EmbeddingTable.open(address)
    measured.rows, measured.parts = table.row_count, len(table.files)
    measured.table_mb = table.manifest.stored_bytes / 1e6
    print(f"{measured.rows:,} rows in {measured.parts} parts, {measured.table_mb:.1f} MB")
    query = Query((Vector(np.random.default_rng(5).normal(size=MODEL.dimension)),))
    near = Filter(region=Region.from_bbox(6, 46, 6.2, 46.2))
    os.environ["SKYHEX_CACHE"] = f"{cache}/reader"
    for name in ("first", "again"):
        read(told, address, name, query, near)


def read(told: Callable[..., Any], address: str, name: str, query: Query, near: Filter) -> None:
    """What a reader does."""
    table = told(f"open, {name}", lambda: EmbeddingTable.open(address))
    told(f"search, {name}", lambda: search(table, query, 20))
    told(f"search in an area, {name}", lambda: search(table, query, 20, near))
    told(f"rows of a cell, {name}", lambda: table.lookup(cell=table.files[0].min_h3))
    told(f"SQL, {name}", lambda: run_sql(table, COUNT))


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
