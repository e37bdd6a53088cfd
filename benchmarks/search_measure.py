"""One peer measured: recall against the exact answer, time, processor time, memory, at each share of rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.geo.row_ranges import Rows
from indexer.table.columns import Similarities

from .peers import PEERS
from .peers.base import Among, Peer
from .search_vectors import VectorSet, load

K = 10
SELECTIVITIES = (1e-4, 1e-3, 1e-2, 0.1)
WARM_UP = 5
LIMIT_S = 5.0  # of one setting of one case: slower peers are asked fewer queries
FEWEST = 20  # but at least so many
TIE = 1e-5  # rows this much below the k-th similarity are as good: rounding, and exact duplicates


@dataclass(frozen=True)
class Case:
    """A kind of filter and the share of the rows that it keeps."""

    kind: str
    selectivity: float

    def among(self, rows: int, query: int) -> Among:
        """The filter of a query: its own region, or the one random filter."""
        count = max(int(rows * self.selectivity), 1)
        start = 0
        if self.kind == "region":
            start = int(np.random.default_rng((query, count)).integers(0, rows - count + 1))
        return Among(self.kind, start, start + count, self.selectivity)


CASES = (
    Case("all", 1.0),
    *(Case(kind, share) for kind in ("region", "random") for share in SELECTIVITIES),
)


@dataclass(frozen=True)
class Truth:
    """What an answer of one case is held against."""

    floor: NDArray[np.float32]  # (q,) similarity of the k-th best row that matches
    count: NDArray[np.int64]  # (q,) min(k, matching rows)


def truths(folder: Path, data: VectorSet) -> dict[Case, Truth]:
    """The exact answers of all cases, kept beside the data: at 1e7 rows they take minutes."""
    path = folder / "truths.npz"
    if not path.exists():
        of_cases = [exact(data, case) for case in CASES]
        scratch = folder / "truths.part.npz"
        np.savez(
            scratch, floor=[truth.floor for truth in of_cases], count=[truth.count for truth in of_cases]
        )
        scratch.replace(path)
    kept = np.load(path)
    return dict(zip(CASES, map(Truth, kept["floor"], kept["count"]), strict=True))


def exact(data: VectorSet, case: Case) -> Truth:
    """By one pass over all vectors."""
    queries = data.queries
    n, q = len(data.vectors), len(queries)
    among = [case.among(n, i) for i in range(q)]
    best = np.full((q, K), -np.inf, np.float32)
    matching = np.zeros(q, np.int64)
    kept = np.asarray(data.draw) < np.float32(case.selectivity) if case.kind == "random" else np.ones(n, bool)
    starts, stops = (np.array([getattr(a, side) for a in among])[:, None] for side in ("start", "stop"))
    for start, vectors in data.chunks():
        rows = np.arange(start, start + len(vectors))
        holds = kept[rows] & (rows >= starts) & (rows < stops) if case.kind == "region" else kept[rows][None]
        matching += np.broadcast_to(holds.sum(axis=1), q)
        similarity = np.where(holds, queries @ vectors.T, -np.inf)  # (q, chunk)
        both = np.concatenate([best, similarity.astype(np.float32)], axis=1)
        best = np.partition(both, -K, axis=1)[:, -K:]
    best.sort(axis=1)
    count = np.minimum(K, matching)
    worst = np.take_along_axis(best, np.minimum(K - count, K - 1)[:, None], axis=1)[:, 0]
    return Truth(worst, count)


def recall(data: VectorSet, case: Case, truth: Truth, answers: list[Rows]) -> float | None:
    """Mean share of the k best found; equally similar rows stand for each other. None: nothing matches."""
    shares = []
    for query, answer in enumerate(answers):
        if truth.count[query] == 0:
            continue
        rows = np.unique(answer)
        rows = rows[(rows >= 0) & (rows < len(data.vectors))]
        similarity = data.vectors[rows].astype(np.float32) @ data.queries[query]
        good = np.count_nonzero(_matches(data, case, query, rows) & (similarity >= truth.floor[query] - TIE))
        shares.append(min(good / truth.count[query], 1.0))
    return float(np.mean(shares)) if shares else None


def _matches(data: VectorSet, case: Case, query: int, rows: Rows) -> NDArray[np.bool_]:
    if case.kind == "random":
        return np.asarray(data.draw[rows] < np.float32(case.selectivity))
    among = case.among(len(data.vectors), query)
    return np.asarray((rows >= among.start) & (rows < among.stop))


@dataclass(frozen=True)
class Point:
    """One setting of a peer at one share of the rows."""

    kind: str
    selectivity: float
    dial: int
    recall: float | None  # at 10
    p50_ms: float
    p99_ms: float
    cpu_ms: float  # mean processor time of a query, all threads: what a busy machine changes least
    batch_per_s: float | None  # queries a second, given at once; over all rows only
    queries: int  # that were asked


def build(name: str, data_folder: Path, folder: Path, threads: int) -> dict[str, float]:
    """Build a peer; seconds, bytes and what it says itself."""
    peer = PEERS[name](folder, load(data_folder), threads)
    began, cpu = time.perf_counter(), time.process_time()
    facts = peer.build()
    wall = time.perf_counter() - began
    return {
        "build_s": wall - facts.get("write_s", 0.0),
        "build_cpu_s": time.process_time() - cpu,
        "bytes": peer.bytes,
        "peak_mb": _status_mb("VmHWM"),
        **facts,
    }


def search(
    name: str, data_folder: Path, folder: Path, threads: int, truths: dict[Case, Truth]
) -> dict[str, Any]:
    """Open a built peer and measure every case that it can answer."""
    data = load(data_folder)
    peer = PEERS[name](folder, data, threads)
    before, own_before = _status_mb("VmRSS"), _status_mb("RssAnon")
    began = time.perf_counter()
    peer.open()
    facts: dict[str, Any] = {
        "open_s": time.perf_counter() - began,
        "open_resident_mb": _status_mb("VmRSS") - before,
    }
    facts["first_pass_cpu_ms"] = _first_pass(peer, data)
    runs = list(_runs(peer, data, list(truths)))
    facts["resident_mb"] = _status_mb("VmRSS") - before
    facts["resident_own_mb"] = _status_mb("RssAnon") - own_before  # mapped pages can be taken back
    points = []
    for case, point, answers in runs:
        scored = {**asdict(point), "recall": recall(data, case, truths[case], answers)}
        points.append(scored)
    return {**facts, "points": points}


def _first_pass(peer: Peer, data: VectorSet) -> float:
    """Mean processor milliseconds of the queries asked once before all else, among all rows.

    What a peer does when it first touches its files (ours compares them with their checksums) is in here.
    """
    everything = Case("all", 1.0)
    peer.turn(peer.dials[0])
    return _timed(peer, np.array(data.queries), _prepared(peer, everything, len(data.queries)))[2]


def _runs(peer: Peer, data: VectorSet, cases: list[Case]) -> Iterator[tuple[Case, Point, list[Rows]]]:
    queries = np.array(data.queries)
    for case in cases:
        if case.kind != "all" and not peer.filters:
            continue
        prepared = _prepared(peer, case, len(queries))
        for dial in peer.dials:
            peer.turn(dial)
            answers, ms, cpu_ms = _timed(peer, queries, prepared)
            p50, p99 = np.percentile(ms, (50, 99)).tolist()
            rate = _batch_rate(peer, queries) if case.kind == "all" else None
            yield (
                case,
                Point(case.kind, case.selectivity, dial, None, p50, p99, cpu_ms, rate, len(ms)),
                answers,
            )


def _prepared(peer: Peer, case: Case, queries: int) -> list[Any]:
    """A filter for each query, in the peer's form."""
    rows = len(peer.data.vectors)
    if case.kind == "region":
        return [peer.prepare(case.among(rows, i)) for i in range(queries)]
    return [peer.prepare(case.among(rows, 0))] * queries


def _timed(peer: Peer, queries: Similarities, prepared: list[Any]) -> tuple[list[Rows], list[float], float]:
    """Answers, milliseconds of each query, mean processor milliseconds; as many queries as LIMIT_S allows."""
    for query, filter_ in zip(queries[:WARM_UP], prepared, strict=False):
        peer.search(query, filter_, K)
    answers, ms, cpu = [], [], time.process_time()
    for query, filter_ in zip(queries, prepared, strict=True):
        began = time.perf_counter()
        answers.append(peer.search(query, filter_, K))
        ms.append(1000 * (time.perf_counter() - began))
        if len(ms) >= FEWEST and sum(ms) > 1000 * LIMIT_S:
            break
    return answers, ms, 1000 * (time.process_time() - cpu) / len(ms)


def _batch_rate(peer: Peer, queries: Similarities) -> float:
    began = time.perf_counter()
    peer.search_batch(queries, K)
    return len(queries) / (time.perf_counter() - began)


def _status_mb(field: str) -> float:
    """A line of this process's status, in MB; 0 where the system has none."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(field + ":")), 0.0)


def memory_bandwidth_gb_s(bytes_read: int = 1 << 29, repeats: int = 5) -> float:
    """What one thread reads of memory in a second: the best of some passes over an array."""
    array = np.ones(bytes_read // 4, np.float32)
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        array.max()
        seconds.append(time.perf_counter() - began)
    return bytes_read / min(seconds) / 1e9
