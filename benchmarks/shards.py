"""A search of shards, or of one index: recall, time and bytes, on a table of any size made in bounded memory.

python -m benchmarks.shards --rows 10000000 --shards 16 --folder F
python -m benchmarks.shards --rows 10000000 --folder G

Rows are those of `search_vectors`: of low intrinsic dimension, like their neighbours, in whole places
scattered over the globe. Queries lie between two rows. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h3ronpy
import numpy as np
import pyarrow as pa

from indexer.geo.cells import Cells, cells_at, centres, parent
from indexer.geo.row_ranges import RowRanges
from indexer.geo.search_area import Region
from indexer.index.crew import Crew
from indexer.index.faiss_index import Index, build_index, index_info, open_index
from indexer.search.filter import Filter
from indexer.search.query import Query, Vector
from indexer.search.search import search
from indexer.table.columns import Cosines, cosines, unit
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import ModelInfo, make_rows

from .machine import ROOT, describe
from .search_vectors import PLACE_RESOLUTION, RESOLUTION, Landscape

DIMENSION = 128
COMMIT_PLACES = 60  # of 2,401 rows each, in a commit
CORNERS = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * 0.0015  # degrees: a square footprint
MODEL = ModelInfo("benchmark", "0" * 64, DIMENSION, "Apache-2.0", trained=False)
K = 10
QUERIES = 100
AREAS = (PLACE_RESOLUTION, 1, 0)  # resolutions of the cells that areas are
TIE = 1e-6  # rows this much below the k-th similarity are as good
CHUNK_ROWS = 65_536
PACKAGES = ("skyhex", "faiss-cpu", "numpy", "pyarrow")


def main() -> None:
    """Make, index, measure; print the report and keep it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shards")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=1, help="1: one index")
    parser.add_argument("--workers", type=int, default=1, help="processes that build shards")
    parser.add_argument("--crew", type=int, default=0, help="processes that search them, too")
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    given = parser.parse_args()
    table = make(given.folder, given.rows)
    built = indexed(table, given.shards, given.workers)
    report = {"machine": describe(PACKAGES), "rows": table.row_count, "dimension": DIMENSION}
    report |= {"shards": given.shards, "table_bytes": sum(file.bytes for file in table.files), "built": built}
    report["cases"] = [asdict(case) for case in measured(table, given.queries, given.crew)]
    name = f"shards-{given.rows}-{given.shards}.json"
    given.results.mkdir(parents=True, exist_ok=True)
    (given.results / name).write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def indexed(table: EmbeddingTable, shards: int, workers: int) -> dict[str, Any]:
    """Build the index; what that took is kept beside the table."""
    kept = table.path / f"built-{shards}.json"
    if not kept.exists():
        began, cpu = time.perf_counter(), time.process_time()
        info = build_index(table, shards=shards, workers=workers)
        kept.write_text(
            json.dumps(
                {
                    "workers": workers,
                    "wall_s": time.perf_counter() - began,
                    "cpu_s": time.process_time() - cpu,
                    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
                    "bytes": info.bytes,
                }
            )
        )
    info_now = index_info(table)
    assert info_now is not None
    assert (max(info_now.shards, 1), info_now.missing_rows) == (shards, 0), str(info_now)
    built: dict[str, Any] = json.loads(kept.read_text())
    return built


@dataclass(frozen=True)
class Case:
    """What one kind of question was found to cost."""

    area: str
    by: str  # what searched
    queries: int
    matching: float  # rows, on average
    recall: float  # at K, against the exact answer
    p50_ms: float
    p99_ms: float
    cpu_ms: float  # of this process, on average
    plan: str  # of the last


def measured(table: EmbeddingTable, queries: int, crew: int) -> Iterator[Case]:
    """All kinds of questions, first in this process and then by a crew."""
    index, notes = open_index(table)
    assert index is not None, notes
    rng = np.random.default_rng(42)
    wanted, cells = some_queries(index, queries, rng)
    floors = exact(index, wanted)
    asked: dict[str, tuple[list[Filter], list[float]]] = {"everywhere": ([Filter()] * queries, floors)}
    for resolution in AREAS:
        regions = [Region.from_cells([parent(cell, resolution)]) for cell in cells]
        floors = [exact_in(index, query, region) for query, region in zip(wanted, regions, strict=True)]
        asked[f"a cell of resolution {resolution}"] = [Filter(region=region) for region in regions], floors
    for area, (filters, floors) in asked.items():
        yield case(table, area, "this process", wanted, filters, floors, None)
    if crew:
        with Crew(crew, limit_s=60) as searching:
            for area, (filters, floors) in asked.items():
                yield case(table, area, f"{crew} processes", wanted, filters, floors, searching)


def case(
    table: EmbeddingTable,
    area: str,
    by: str,
    queries: Cosines,
    filters: list[Filter],
    floors: list[float],
    crew: Crew | None,
) -> Case:
    """Each query once to warm up what is mapped, and once by the clock."""

    def ask(query: Cosines, filter: Filter) -> Any:
        return search(table, Query((Vector(query),)), K, filter, crew=crew)

    for query, filter in zip(queries, filters, strict=True):
        ask(query, filter)
    took, answers, shares, plan = [], [], [], ""
    cpu = time.process_time()
    for query, filter in zip(queries, filters, strict=True):
        began = time.perf_counter()
        answers.append(ask(query, filter))
        took.append(1e3 * (time.perf_counter() - began))
    cpu_ms = 1e3 * (time.process_time() - cpu) / len(queries)
    for hits, floor in zip(answers, floors, strict=True):
        assert len(hits.rows) == K, hits
        shares.append(float((hits.rows["similarity"].to_numpy() >= floor - TIE).mean()))
        plan = hits.plan
    p50, p99 = np.percentile(took, [50, 99]).tolist()
    matching = float(np.mean([_matching(hits.plan) for hits in answers]))
    return Case(area, by, len(queries), matching, float(np.mean(shares)), p50, p99, cpu_ms, plan)


def _matching(plan: str) -> int:
    """Rows that match, by what a plan says."""
    said = [part.split(" over ")[-1].split(" of ")[0] for part in plan.split("; ") if " over " in part]
    return sum(int(some.replace(",", "")) for some in said)


def some_queries(index: Index, count: int, rng: np.random.Generator) -> tuple[Cosines, list[int]]:
    """Queries (count, d) of norm 1 between two rows, and the cell of the first of these."""
    vectors, cells = [], []
    for _ in range(2 * count):
        segment = index.segments[rng.integers(len(index.segments))].segment
        row = int(rng.integers(len(segment)))
        vectors.append(segment.vectors["embedding"].matrix.unchecked[row])
        cells.append(int(segment.keys.cells.unchecked[row]))
    first, second = unit(np.stack(vectors[:count])), unit(np.stack(vectors[count:]))
    share = rng.uniform(0, 0.5, count)[:, None]
    return unit((1 - share) * first + share * second), cells[:count]


def exact(index: Index, queries: Cosines) -> list[float]:
    """The K-th best cosine of each query among all rows, by one pass over them."""
    best = np.full((len(queries), K), -np.inf, np.float32)
    wanted = queries.astype(np.float32)
    for files in index.segments:
        vectors = files.segment.vectors["embedding"]
        for start in range(0, len(vectors.matrix), CHUNK_ROWS):
            piece = slice(start, start + CHUNK_ROWS)
            similarity = wanted @ vectors.matrix.unchecked[piece].astype(np.float32).T
            similarity *= vectors.inverse_norms.unchecked[piece]
            both = np.concatenate([best, np.partition(similarity, -K, axis=1)[:, -K:]], axis=1)
            best = np.partition(both, -K, axis=1)[:, -K:]
    return [float(floor) for floor in best.min(axis=1)]


def exact_in(index: Index, query: Cosines, region: Region) -> float:
    """The K-th best cosine of a query among the rows of an area."""
    best = [np.empty(0)]
    for files in index.segments:
        rows: RowRanges = region.rows(files.segment.keys.cells.unchecked)
        for start, stop in zip(rows.starts.tolist(), rows.stops.tolist(), strict=True):
            best.append(cosines(files.segment.vectors["embedding"].matrix.unchecked[start:stop], query))
    return float(np.sort(np.concatenate(best))[-K])


def make(folder: Path, rows: int, seed: int = 0) -> EmbeddingTable:
    """A table of whole places scattered over the globe, commit by commit; begun, it goes on."""
    table = EmbeddingTable.open_or_create(folder, MODEL, h3_resolution=RESOLUTION, simulated=True)
    landscape = Landscape.random(DIMENSION, np.random.default_rng(seed))
    places = some_places(rows, np.random.default_rng(seed + 1))
    began, done = time.monotonic(), table.row_count
    for first in range(0, len(places), COMMIT_PLACES):
        if str(first) in table.input_keys:
            continue
        some = places[first : first + COMMIT_PLACES]
        cells = np.sort(np.asarray(pa.array(h3ronpy.change_resolution(some, RESOLUTION))))
        vectors = landscape.vectors(cells, np.random.default_rng((seed, first)))
        table = table.upsert(_rows(cells, vectors), input_key=str(first))
        done += len(cells)
        print(f"{done:,} rows, {time.monotonic() - began:.0f} s", flush=True)
    return table


def some_places(rows: int, rng: np.random.Generator) -> Cells:
    """Cells, ascending, that have at least so many descendants."""
    places = np.empty(0, np.uint64)
    while len(places) * 2300 < rows + 2401:  # a pentagon has fewer descendants
        lon_deg, lat_deg = rng.uniform(-180, 180, 64), np.degrees(np.arcsin(rng.uniform(-1, 1, 64)))
        places = np.union1d(places, cells_at(lon_deg, lat_deg, PLACE_RESOLUTION))
    return np.sort(rng.permutation(places)[: rows // 2401 + 1])


def _rows(cells: Cells, vectors: np.ndarray) -> pa.Table:
    n = len(cells)
    rings = np.stack(centres(cells), axis=1)[:, None] + CORNERS  # (n, 5, 2)
    return make_rows(
        h3_cell=cells,
        sample_id=[f"{cell:x}" for cell in cells.tolist()],
        start=[datetime(2024, 1, 1, tzinfo=UTC)] * n,
        end=[datetime(2025, 1, 1, tzinfo=UTC)] * n,
        footprint=rings.tolist(),
        embedding=vectors,
        model=MODEL,
        n_hr=np.zeros(n),
        n_s2=np.full(n, 12),
        n_s1=np.zeros(n),
        valid_fraction=np.ones(n),
        cloud_fraction=np.zeros(n),
        source_items=[()] * n,
    )


if __name__ == "__main__":
    main()
