"""Load on `skyhex serve`, on this machine alone: requests a second, waiting times, memory of the server.

python -m benchmarks.serve -t TABLE --seconds 60 --callers 8
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

import numpy as np
import urllib3

from indexer.table.embedding_table import EmbeddingTable

KINDS = ("search", "search in an area", "tile", "items")
SHARES = (0.6, 0.2, 0.15, 0.05)


def main() -> None:
    """Print a line a kind of request, and the server's memory every tenth of the time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-t", "--table", required=True)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--callers", type=int, default=8)
    given = parser.parse_args()
    command = [sys.executable, "-m", "search_app.cli.main", "serve", "-t", given.table, "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    said = re.search(r"http://\S+", server.stdout.readline())
    assert said is not None, "the server did not start"
    try:
        load(said[0], EmbeddingTable.open(given.table), given.seconds, given.callers, server.pid)
    finally:
        server.terminate()
        server.wait()


def load(address: str, table: EmbeddingTable, seconds: float, callers: int, pid: int) -> None:
    """Ask for a time, from several threads, one question after another each."""
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
    print(f"{callers} callers, {seconds:g} s, {os.cpu_count()} cores, {table.row_count:,} rows")
    print(f"{sum(map(len, waits.values())) / seconds:.1f} requests/s, statuses {dict(statuses)}")
    for kind, took in waits.items():
        p50, p99 = np.percentile(took, [50, 99]) * 1e3
        print(f"{kind:20} {len(took):7} requests, p50 {p50:7.1f} ms, p99 {p99:7.1f} ms")
    print(f"memory of the server, MB: {', '.join(f'{size:.0f}' for size in memory)}")


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
