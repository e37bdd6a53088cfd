"""One build's road from pixels to committed rows, asked from outside: one JSON a line in, one a line out.

It runs in the environment of the build that it stands for. See `pixels.py`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import torch

from data.cover import plan_area, plan_chips
from data.stac import read_catalog
from encoder.embed import Encoder

try:
    from indexer.table.embedding_table import EmbeddingTable
    from pipeline import decoder, embed_job
except ImportError:  # before there were rooms
    from indexer.table import EmbeddingTable  # type: ignore[no-redef, attr-defined]
    from search_app import decoder, embed_job  # type: ignore[no-redef, attr-defined]

PART = {"encode": "encoders", "_attend": "fusion"}  # methods of the model that are timed


class Worker:
    """What can be asked."""

    def open(self, catalog: str, weights: str, samples: int, threads: int) -> dict[str, Any]:
        """The first samples of a catalog: hexagons of a simulated landscape, else chips."""
        torch.set_num_threads(threads)
        self.spent: defaultdict[str, float] = defaultdict(float)
        self.encoder = Encoder(weights, device="cpu")
        read = read_catalog(catalog)
        if read.simulated:
            area = shapely.union_all([scene.footprint for scene in read.scenes])
            plan, self.resolution = plan_area(read, self.encoder.spec, area, h3_resolution=9), 9
        else:
            plan, self.resolution = plan_chips(read, self.encoder.spec), 12
        self.plan = replace(
            plan, tasks=plan.tasks[:: max(1, len(plan.tasks) // samples)][:samples], skipped=()
        )
        self._time(self.encoder, "embed", "embed")
        for name, part in (*PART.items(), ("_encode", "encoders")):
            if hasattr(self.encoder.model, name):
                self._time(self.encoder.model, name, part)
        self._time(EmbeddingTable, "upsert", "commit")
        for name in ("read_visit", "read_sample"):
            if hasattr(decoder, name):
                self._time(decoder, name, "decode")
        return {"samples": len(self.plan.tasks), "dates": dict(self.plan.summary.dates)}

    def _time(self, owner: Any, name: str, part: str) -> None:
        inner: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            try:
                return inner(*args, **kwargs)
            finally:
                self.spent[part] += time.process_time() - began

        setattr(owner, name, timed)

    def job(self, workers: int, granularity: int | None, vectors: str | None) -> dict[str, Any]:
        """A job into a new table: processor milliseconds a sample, of the whole and of its parts."""
        self.spent.clear()
        with tempfile.TemporaryDirectory() as folder:
            began, began_cpu = time.perf_counter(), time.process_time()
            report = embed_job.embed_plan(
                self.plan, self.encoder, Path(folder) / "table",
                h3_resolution=self.resolution, granularity=granularity, workers=workers,
            )  # fmt: skip
            wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
            if vectors:
                np.savez(vectors, **_vectors(report.table))
        ms = {name: 1000 * value / report.embedded for name, value in self.spent.items()}
        cpu_ms = 1000 * cpu / report.embedded
        embed = ms.pop("embed")
        parts = {**ms, "around the model": embed - ms["encoders"] - ms["fusion"]}
        return {
            "samples": report.embedded,
            "wall_ms": 1000 * wall / report.embedded,
            "cpu_ms": cpu_ms,
            "parts": {**parts, "rows and the rest": cpu_ms - sum(parts.values())},
        }


def _vectors(table: Any) -> dict[str, Any]:
    """Each vector column (n, d) in order of sample; NaN where there is none."""
    names = [name for name in table.schema.names if name.startswith("embedding")]
    rows = [row for batch in table.scan(["sample_id", *names]) for row in batch.to_pylist()]
    rows.sort(key=lambda row: str(row["sample_id"]))
    widths = {name: next((len(row[name]) for row in rows if row[name] is not None), 0) for name in names}
    return {
        "sample_id": np.array([row["sample_id"] for row in rows]),
        **{
            name: np.array([[np.nan] * width if row[name] is None else row[name] for row in rows], np.float64)
            for name, width in widths.items()
            if width
        },
    }


def main() -> None:
    """Answer until there is no more to read."""
    worker = Worker()
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(getattr(worker, asked.pop("do"))(**asked)), flush=True)


if __name__ == "__main__":
    main()
