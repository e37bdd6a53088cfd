"""One build of skyhex, asked from outside: `python -P ratio_worker.py`, one JSON a line in, one a line out.

It runs in the environment of the build that it stands for, and speaks to it through what builds share:
`benchmarks.peers`, `benchmarks.search_vectors` and the facade. See `ratio.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import skyhex
from benchmarks.peers import PEERS, skyhex_search
from benchmarks.peers.base import Among
from benchmarks.search_vectors import RESOLUTION, VectorSet, load

COMMIT_ROWS = 65_536
facade: Any = skyhex  # of either build: names are looked up when it runs
peer_module: Any = skyhex_search
CORNERS = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * 0.0015  # degrees: a square footprint


class Worker:
    """What can be asked: each method takes and returns JSON values."""

    peer: Any
    data: VectorSet

    def build(self, data: str, table: str) -> dict[str, float]:
        """Write a table, from the row on where an earlier run stopped, and bring its index up to it."""
        rows, make = load(Path(data)), facade.EmbeddingTable
        model = _model(rows.dimension)
        if make.exists(table):
            opened = make.open(table)
        else:
            opened = make.create(table, model, h3_resolution=RESOLUTION, simulated=True)
        for start in range(opened.row_count, len(rows.vectors), COMMIT_ROWS):
            opened = opened.upsert(peer_module._rows(rows, slice(start, start + COMMIT_ROWS), model))
        return self.index(table)

    def index(self, table: str) -> dict[str, float]:
        """Bring the index of a table up to it: processor seconds, and its bytes."""
        began = time.process_time()
        info = skyhex.build_index(skyhex.open_table(table))
        return {"index_cpu_s": time.process_time() - began, "index_bytes": info.bytes}

    def open(self, data: str, table: str, peer: str) -> dict[str, float]:
        """A peer over a table: `skyhex-search` is the whole answer, `skyhex` the index alone."""
        self.data = load(Path(data))
        self.before_mb = _status_mb("RssAnon")
        self.peer = PEERS[peer](Path(table), self.data, 1)
        self.peer.open()
        return {}

    def ask(self, kind: str, share: float, k: int, queries: int) -> dict[str, Any]:
        """Queries by vector, with a filter of a kind: milliseconds of each, and rows found."""
        asked = np.array(self.data.queries[:queries])
        prepared = [self.peer.prepare(_among(len(self.data.vectors), kind, share, i)) for i in range(queries)]
        if kind != "region":
            prepared = prepared[:1] * queries
        answers, clock = _timed(lambda i: self.peer.search(asked[i], prepared[i], k), queries)
        return {**clock, "rows": [rows.tolist() for rows in answers] if k <= 10 else []}

    def ask_cells(self, queries: int) -> dict[str, Any]:
        """Queries by the cells of rows evenly spaced."""
        rows = np.linspace(0, len(self.data.cells) - 1, queries).astype(np.int64)
        cells = self.data.cells[rows].tolist()
        return _timed(lambda i: skyhex.search(self.peer.table, cell=cells[i], k=10), queries)[1]

    def ask_predicates(self, share: float, first: int, queries: int) -> dict[str, Any]:
        """Predicates that were never asked before."""
        asked = np.array(self.data.queries[:queries])
        words = [f"cloud_fraction < {share * (1 + 1e-4 * (first + i))}" for i in range(queries)]
        filters = [facade.Filter(where=word) for word in words]
        return _timed(lambda i: self.peer.search(asked[i], filters[i], 10), queries, _with_children())[1]

    def ask_many(self, queries: int) -> dict[str, float]:
        """Many at once: processor and wall milliseconds a query."""
        asked = np.resize(self.data.queries, (queries, self.data.dimension)).astype(np.float32)
        _, clock = _timed(lambda _: self.peer.search_batch(asked, 10), 1)
        return {name: values[0] / queries for name, values in clock.items()}

    def memory(self) -> dict[str, float]:
        """Megabytes of its own since it was opened; mapped files can be taken back and are not in it."""
        return {"own_mb": _status_mb("RssAnon") - self.before_mb}

    def scattered(self, table: str, rows: int) -> dict[str, Any]:
        """A new table of points all over the globe: milliseconds to write it and to search it unindexed."""
        rng = np.random.default_rng(0)
        lon, lat = rng.uniform(-180, 180, rows), np.degrees(np.arcsin(rng.uniform(-0.99, 0.99, rows)))
        vectors = rng.normal(size=(rows, 128)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        model = _model(128)
        made = peer_module.make_rows(
            h3_cell=np.array([_cell(*place) for place in zip(lon, lat, strict=True)], np.uint64),
            sample_id=[str(i) for i in range(rows)],
            start=[datetime(2024, 1, 1, tzinfo=UTC)] * rows,
            end=[datetime(2025, 1, 1, tzinfo=UTC)] * rows,
            footprint=(np.stack([lon, lat], axis=1)[:, None] + CORNERS).tolist(),
            embedding=vectors,
            model=model,
            n_hr=np.zeros(rows), n_s2=np.ones(rows), n_s1=np.zeros(rows),
            valid_fraction=np.ones(rows), cloud_fraction=np.zeros(rows),
            source_items=[()] * rows,
        )  # fmt: skip
        shutil.rmtree(table, ignore_errors=True)
        empty = facade.EmbeddingTable.create(table, model, h3_resolution=RESOLUTION, simulated=True)
        (written,), write = _timed(lambda _: empty.upsert(made), 1)
        _, first = _timed(lambda _: skyhex.search(table, vector=vectors[0], k=10), 1)
        _, search = _timed(lambda i: skyhex.search(table, vector=vectors[i], k=10), 5)
        return {"files": len(written.files), "write": write, "first_search": first, "search": search}


def _model(dimension: int) -> Any:
    return peer_module.ModelInfo("benchmark", "0" * 64, dimension, "Apache-2.0", trained=False)


def _cell(lon_deg: float, lat_deg: float) -> int:
    import h3

    return int(h3.str_to_int(h3.latlng_to_cell(lat_deg, lon_deg, RESOLUTION)))


def _among(rows: int, kind: str, share: float, query: int) -> Among:
    """The filters of `search_measure.Case`."""
    count = max(int(rows * share), 1)
    start = 0
    if kind == "region":
        start = int(np.random.default_rng((query, count)).integers(0, rows - count + 1))
    return Among(kind, start, start + count, share)


def _timed(
    call: Callable[[int], Any], times: int, clock: Callable[[], float] = time.process_time
) -> tuple[list[Any], dict[str, list[float]]]:
    answers, wall, cpu = [], [], []
    for i in range(times):
        began, began_cpu = time.perf_counter(), clock()
        answers.append(call(i))
        cpu.append(1000 * (clock() - began_cpu))
        wall.append(1000 * (time.perf_counter() - began))
    return answers, {"wall_ms": wall, "cpu_ms": cpu}


def _with_children() -> Callable[[], float]:
    """A clock of processor seconds of this process and those that it has started: SQL is answered there."""
    stats = [path.read_text().rpartition(")") for path in Path("/proc").glob("[0-9]*/stat")]
    mine = [int(head.split()[0]) for head, _, rest in stats if int(rest.split()[1]) == os.getpid()]

    def clock() -> float:
        threads = (path for child in mine for path in Path(f"/proc/{child}/task").glob("*/schedstat"))
        return time.process_time() + sum(int(path.read_text().split()[0]) for path in threads) / 1e9

    return clock


def _status_mb(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(field + ":"))


def main() -> None:
    """Answer until there is no more to read."""
    worker = Worker()
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(getattr(worker, asked.pop("do"))(**asked)), flush=True)


if __name__ == "__main__":
    main()
