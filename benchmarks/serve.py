"""Load on `skyhex serve`, on this machine alone: requests a second, waiting times, memory of the server.

python -m benchmarks.serve -t TABLE --seconds 600 --callers 8 --report benchmarks/results/serve.json
"""

import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import urllib3

from indexer.table.embedding_table import EmbeddingTable

from .machine import describe

KINDS = ("search", "search in an area", "tile", "items")
SHARES = (0.6, 0.2, 0.15, 0.05)
PACKAGES = ("fastapi", "uvicorn", "faiss-cpu", "pyarrow", "numpy")


def main() -> None:
    """Print a line a kind of request, and the server's memory every tenth of the time; keep them as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-t", "--table", required=True)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--report", type=Path, help="JSON to write")
    given = parser.parse_args()
    command = [sys.executable, "-m", "search_app.cli.main", "serve", "-t", given.table, "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    said = re.search(r"http://\S+", server.stdout.readline())
    assert said is not None, "the server did not start"
    try:
        table = EmbeddingTable.open(given.table)
        seen = load(said[0], table, given.seconds, given.callers, server.pid)
        if given.report:
            given.report.write_text(json.dumps({"machine": describe(PACKAGES), **seen}, indent=1) + "\n")
    finally:
        server.terminate()
        server.wait()


def load(address: str, table: EmbeddingTable, seconds: float, callers: int, pid: int) -> dict[str, Any]:
    """Ask for a time, from several threads, one question after another each; what was seen."""
    waits: dict[str, list[float]] = {kind: [] for kind in KINDS}
    statuses: Counter[int] = Counter()
    until = time.monotonic() + seconds
    lock = threading.Lock()
    cells = next(table.scan(["h3_cell"]))["h3_cell"].to_numpy()

    def ask(caller: int) -> None:
        pool = urllib3.PoolManager(retries=False)
        rng = np.random.default_rng(caller)
        while time.monotonic() < until:
            kind = str(rng.choice(KINDS, p=SHARES))
            began = time.perf_counter()
            answer = asked(pool, address, table, kind, f"{rng.choice(cells):x}", rng)
            with lock:
                waits[kind].append(time.perf_counter() - began)
                statuses[answer.status] += 1

    threads = [threading.Thread(target=ask, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    memory = []
    while time.monotonic() < until:
        time.sleep(seconds / 10)
        memory.append(resident_mb(pid))
    for thread in threads:
        thread.join()
    rate = sum(map(len, waits.values())) / seconds
    print(f"{callers} callers, {seconds:g} s, {os.cpu_count()} cores, {table.row_count:,} rows")
    print(f"{rate:.1f} requests/s, statuses {dict(statuses)}")
    kinds = {}
    for kind, took in waits.items():
        p50, p99 = np.percentile(took, [50, 99]) * 1e3
        kinds[kind] = {"requests": len(took), "p50_ms": round(p50, 1), "p99_ms": round(p99, 1)}
        print(f"{kind:20} {len(took):7} requests, p50 {p50:7.1f} ms, p99 {p99:7.1f} ms")
    print(f"memory of the server, MB: {', '.join(f'{size:.0f}' for size in memory)}")
    settings = {
        "rows": table.row_count,
        "seconds": seconds,
        "callers": callers,
        "requests_per_s": round(rate, 1),
    }
    told = {str(status): count for status, count in statuses.items()}
    return {**settings, "statuses": told, "kinds": kinds, "memory_mb": [round(size, 1) for size in memory]}


def asked(
    pool: urllib3.PoolManager,
    address: str,
    table: EmbeddingTable,
    kind: str,
    cell: str,
    rng: np.random.Generator,
) -> urllib3.BaseHTTPResponse:
    """One question."""
    if kind == "tile":
        return pool.request("GET", f"{address}/tiles/6/{rng.integers(32, 34)}/{rng.integers(22, 24)}.mvt")
    if kind == "items":
        return pool.request(
            "GET", f"{address}/collections/{table.storage.name}/items?limit=100&offset={rng.integers(100)}"
        )
    words: dict[str, object] = {"cell": cell, "k": 20}
    if kind == "search in an area":
        words |= {"near": [6.5, 46.5, float(rng.integers(20, 80))]}
    headers = {"content-type": "application/json"}
    return pool.request("POST", f"{address}/search", body=json.dumps(words).encode(), headers=headers)


def resident_mb(pid: int) -> float:
    """Memory of a process now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
