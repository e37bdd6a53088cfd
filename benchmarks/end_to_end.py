"""From rasters to committed rows: how much land an hour, and how long the device waits for pixels."""

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h3
import shapely

from data.cover import plan_area
from data.sample import Sample
from data.simulate import simulate
from data.stac import read_catalog
from encoder.embed import EmbeddingBatch, Encoder
from pipeline.embed_job import embed_plan

H3_RESOLUTION = 9


@dataclass(frozen=True)
class EndToEnd:
    """One job over the simulated landscape."""

    weights: str
    device: str
    workers: int  # processes that decode
    samples: int
    dates: float  # mean number of images per sample
    seconds: float
    samples_per_s: float
    km2_per_h: float  # of hexagons
    waiting: float  # share of the time that the encoder did nothing


class Timed(Encoder):
    """An encoder that counts the seconds it works and the images it sees."""

    busy_s = 0.0
    images = 0

    def embed(self, samples: Sequence[Sample], dense: bool = False) -> EmbeddingBatch:
        """See `Encoder.embed`."""
        start = time.perf_counter()
        made = super().embed(samples, dense)
        self.busy_s += time.perf_counter() - start
        self.images += sum(len(series.valid) for sample in samples for series in sample.series.values())
        return made


def run(device: str, weights: str = "nano") -> EndToEnd:
    """Simulates a landscape (not timed), then decodes, embeds and commits every cell of it."""
    workers = max(1, (os.cpu_count() or 2) - 1)
    encoder = Timed(weights, device=device)
    with tempfile.TemporaryDirectory() as folder:
        catalog = read_catalog(str(simulate(Path(folder) / "imagery")))
        area = shapely.union_all([scene.footprint for scene in catalog.scenes])
        plan = plan_area(catalog, encoder.spec, area, h3_resolution=H3_RESOLUTION)
        start = time.perf_counter()
        table = Path(folder) / "table"
        report = embed_plan(plan, encoder, table, h3_resolution=H3_RESOLUTION, workers=workers)
        seconds = time.perf_counter() - start
    rate = report.embedded / seconds
    return EndToEnd(
        weights=encoder.info.name,
        device=device,
        workers=workers,
        samples=report.embedded,
        dates=encoder.images / report.embedded,
        seconds=seconds,
        samples_per_s=rate,
        km2_per_h=3600 * rate * h3.average_hexagon_area(H3_RESOLUTION, "km^2"),
        waiting=1 - encoder.busy_s / seconds,
    )
