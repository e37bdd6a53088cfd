"""The command `skyhex embed`: plan, dry run, job, report."""

import json
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import shapely

from data.cover import Plan, plan_area, plan_chips
from data.decisions import decisions
from data.reader import read_sample
from data.sample import InputError, Sample
from data.stac import Catalog, read_catalog
from data.task import OnContradiction
from data.time_series import Period
from encoder.loading import load_encoder
from encoder.protocol import AnyEncoder
from indexer.index.faiss_index import build_index
from indexer.table.embedding_table import EmbeddingTable
from pipeline.embed_job import SKIPPED_FILE, EmbedReport, embed_plan, finer_path

from .progress import progress_bar, say

CHIP_RESOLUTION, AREA_RESOLUTION = 12, 9
DRY_RUN_SAMPLES = 16  # embedded for the estimate of --dry-run


@dataclass(frozen=True)
class AreaChoice:
    """Exactly one of: chips, an area file, a box."""

    chips: bool = False
    aoi: Path | None = None
    bbox: tuple[float, float, float, float] | None = None

    def area(self) -> shapely.Geometry | None:
        """The area in lon/lat; None for chips.

        Raises:
            InputError: none or several were given, or the file holds no GeoJSON.
        """
        given = [self.chips, self.aoi is not None, self.bbox is not None]
        if sum(given) != 1:
            raise InputError(
                f"Exactly one of --chips, --aoi FILE and --bbox W S E N is needed; {sum(given)} were given"
            )
        if self.bbox is not None:
            return _box(*self.bbox)
        return None if self.aoi is None else _read_area(self.aoi)


@dataclass(frozen=True)
class Dates:
    """Which dates go in, and how they are cut into rows."""

    start: datetime | None = None
    end: datetime | None = None
    period: Period = "all"


def run_embed(
    catalog_href: str,
    table: Path,
    area: shapely.Geometry | None,
    dates: Dates,
    *,
    h3_resolution: int | None = None,
    granularity: int | None = None,
    weights: str = "nano",
    device: str = "auto",
    allow_l1c: bool = False,
    on_contradiction: OnContradiction = "drop",
    index: bool = True,
    dry_run: bool = False,
    workers: int = 1,
) -> EmbedReport | None:
    """Embed a catalog into a table and print what was done. An `area` of None means chips.

    Raises:
        InputError: the area, the dates or the catalog cannot be used, or nothing could be embedded.
    """
    resolution = h3_resolution or (CHIP_RESOLUTION if area is None else AREA_RESOLUTION)
    catalog = read_catalog(catalog_href)
    encoder = load_encoder(weights, device)
    plan = make_plan(
        catalog,
        encoder,
        area,
        dates,
        h3_resolution=resolution,
        allow_l1c=allow_l1c,
        on_contradiction=on_contradiction,
    )
    say(f"model {encoder.info.name} on {encoder.device}")
    if dry_run:
        _print_decisions(catalog)
        _print_dry_run(plan, encoder)
        return None
    with progress_bar("embed", "samples") as progress:
        report = embed_plan(
            plan,
            encoder,
            table,
            h3_resolution=resolution,
            granularity=granularity,
            simulated=catalog.simulated,
            workers=workers,
            progress=progress,
        )
    _print_report(report, table)
    if report.embedded:
        say(
            f"{report.embedded / report.seconds:.1f} samples/s on {encoder.device}; the encoder waited "
            f"for pixels {report.seconds_waited / report.seconds:.0%} of the time"
        )
    if report.table.row_count == 0:
        raise InputError(f"Nothing could be embedded. The reasons are in {table / SKIPPED_FILE}")
    if index:
        _build_indexes(table, granularity)
    return report


def _build_indexes(path: Path, granularity: int | None) -> None:
    for table in [path] if granularity is None else [path, finer_path(path, granularity)]:
        with progress_bar("index", "rows") as progress:
            info = build_index(EmbeddingTable.open(table), progress=progress)
        say(f"{table}: {info}")


def make_plan(
    catalog: Catalog,
    encoder: AnyEncoder,
    area: shapely.Geometry | None,
    dates: Dates,
    *,
    h3_resolution: int,
    allow_l1c: bool,
    on_contradiction: OnContradiction = "drop",
) -> Plan:
    """Cells or chips, with the dates each will be made of."""
    if area is None:
        return plan_chips(
            catalog,
            encoder.spec,
            h3_resolution=h3_resolution,
            start=dates.start,
            end=dates.end,
            period=dates.period,
            allow_l1c=allow_l1c,
            on_contradiction=on_contradiction,
        )
    return plan_area(
        catalog,
        encoder.spec,
        area,
        h3_resolution=h3_resolution,
        start=dates.start,
        end=dates.end,
        period=dates.period,
        allow_l1c=allow_l1c,
        on_contradiction=on_contradiction,
    )


def _box(west: float, south: float, east: float, north: float) -> shapely.Geometry:
    if not (-90 <= south < north <= 90 and -180 <= west <= 180 and -180 <= east <= 180) or west == east:
        raise InputError(
            f"--bbox came as {west} {south} {east} {north}; expected W S E N in degrees, south below north, "
            "longitudes from -180 to 180 (W > E crosses the antimeridian)"
        )
    if west < east:
        return shapely.box(west, south, east, north)
    return shapely.union_all([shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)])


def _read_area(path: Path) -> shapely.Geometry:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        parts = (
            [f["geometry"] for f in content["features"]]
            if "features" in content
            else [content.get("geometry", content)]
        )
        return shapely.union_all([shapely.geometry.shape(part) for part in parts])
    except (ValueError, KeyError, TypeError, AttributeError, shapely.errors.ShapelyError) as error:
        raise InputError(
            f"{path} holds no area ({error}); expected a GeoJSON polygon, feature or feature collection "
            "in lon/lat"
        ) from error


def _print_decisions(catalog: Catalog) -> None:
    """What was decided of each collection, and why; and what is left out of it."""
    for line in decisions(catalog.scenes):
        say(line)
    problems = Counter(problem for place in catalog.places for problem in place.problems)
    for problem, _ in problems.most_common(12):
        say(f"[yellow]left out[/] {problem}")


def _print_dry_run(plan: Plan, encoder: AnyEncoder) -> None:
    say(str(plan.summary))
    if plan.tasks:
        rate = _trial_rate(plan, encoder)
        say(
            f"about {len(plan.tasks) / rate:,.0f} s: {rate:.1f} samples/s, timed on {DRY_RUN_SAMPLES} of "
            "them; nothing was written"
        )


def _trial_rate(plan: Plan, encoder: AnyEncoder) -> float:
    """Samples per second, decoding included, of a few samples spread over the plan."""
    tasks = plan.tasks[:: max(1, len(plan.tasks) // DRY_RUN_SAMPLES)][:DRY_RUN_SAMPLES]
    began = time.perf_counter()
    samples = [
        item for item in (read_sample(task, encoder.spec) for task in tasks) if isinstance(item, Sample)
    ]
    if samples:
        encoder.embed(samples)
    return len(tasks) / (time.perf_counter() - began)


def _print_report(report: EmbedReport, table: Path) -> None:
    say(
        f"{report.embedded:,} samples embedded, {report.already:,} were there already; "
        f"{report.table.row_count:,} rows in {table}",
    )
    for (modality, reason), n in Counter(report.dropped).most_common(12):
        say(f"[yellow]left out[/] {modality} of {n} samples: {reason}")
    for (modality, note), n in Counter(report.notes).most_common(12):
        say(f"[yellow]note[/] {modality} of {n} samples: {note}")
    if report.skipped:
        say(f"[yellow]skipped[/] {len(report.skipped)} places (all in {table / SKIPPED_FILE}):")
        for skip in report.skipped[:12]:
            say(f"  {skip.sample_id}: {skip.reason}")
