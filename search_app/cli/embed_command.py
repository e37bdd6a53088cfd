"""The command `skyhex embed`: plan, dry run, job, report."""

import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import shapely

from data.access import EVERYTHING, Access, UnreachableError
from data.cover import Plan, SampleTask, plan_area, plan_chips
from data.decisions import decisions
from data.reader import Unfinished, read_visit, visits
from data.sample import InputError, Sample
from data.stac import Catalog, read_catalog, search_catalog
from data.stac_api import Search
from data.stac_files import MAX_ITEMS
from data.task import OnContradiction
from data.time_series import Period
from data.web import traffic
from encoder.checkpoint import CheckpointError
from encoder.embed import is_untrained
from encoder.loading import load_encoder
from encoder.protocol import AnyEncoder
from indexer.table.open_storage import workspace
from indexer.table.schema import Values
from pipeline.area import given_area
from pipeline.embed_job import EmbedReport, Share, embed_plan, finer_path
from pipeline.skips import SKIPPED_FILE

from .engine_choice import EngineChoice
from .progress import progress_bar, say
from .table_commands import bring_up

CHIP_RESOLUTION, AREA_RESOLUTION = 12, 9
DRY_RUN_SAMPLES = 16  # embedded for the estimate of --dry-run
ITEMS_FOLDER = "items"  # of the table: the answers of APIs that its jobs were made from


@dataclass(frozen=True)
class AreaChoice:
    """Exactly one of: chips, an area file, a box."""

    chips: bool = False
    aoi: Path | None = None
    bbox: tuple[float, float, float, float] | None = None

    def area(self) -> shapely.Geometry | None:
        """The area in lon/lat; None for chips.

        Raises:
            InputError: none or several were given, or a box that is none.
            QueryError: the file holds no area.
        """
        given = [self.chips, self.aoi is not None, self.bbox is not None]
        if sum(given) != 1:
            raise InputError(
                f"Exactly one of --chips, --aoi FILE and --bbox W S E N is needed; {sum(given)} were given"
            )
        return given_area(self.aoi, self.bbox)


@dataclass(frozen=True)
class Dates:
    """Which dates go in, and how they are cut into rows."""

    start: datetime | None = None
    end: datetime | None = None
    period: Period = "all"


@dataclass(frozen=True)
class Source:
    """Where the items come from: a catalog, or with `collections` the answer of an API."""

    href: str
    access: Access = EVERYTHING
    collections: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    again: bool = False  # ask the API anew, whatever an earlier run kept
    max_items: int = MAX_ITEMS

    def read(self, table: str, area: shapely.Geometry | None, dates: Dates, keep: bool) -> Catalog:
        """The catalog. An API's answer is kept beside the table's rows, and read from there the next time.

        Raises:
            InputError: it is missing, no STAC, or holds nothing.
            UnreachableError: its host does not answer.
        """
        if not self.collections:
            if self.query:
                raise InputError("--query asks an API; expected --collections with it")
            with progress_bar("catalog", "items") as progress:
                return read_catalog(
                    self.href,
                    self.access,
                    max_items=self.max_items,
                    progress=lambda scenes: progress(scenes, scenes),
                )
        search = Search(self.href, self.collections, area, dates.start, dates.end, self.query)
        kept = workspace(table, ITEMS_FOLDER) / f"{search.digest}.json"
        with progress_bar("search", "items") as progress:
            return search_catalog(
                search,
                self.access,
                max_items=self.max_items,
                kept=kept if keep or kept.exists() else None,
                again=self.again,
                progress=lambda scenes: progress(scenes, scenes),
            )


def run_embed(
    source: str | Source,
    table: str,
    area: shapely.Geometry | None,
    dates: Dates,
    *,
    h3_resolution: int | None = None,
    granularity: int | None = None,
    weights: str = "nano",
    untrained: bool = False,
    device: str = "auto",
    allow_l1c: bool = False,
    on_contradiction: OnContradiction = "drop",
    index: bool = True,
    dry_run: bool = False,
    values: Values | None = None,
    engine: EngineChoice = EngineChoice(workers=1),  # noqa: B008 - frozen
    share: Share = Share(),  # noqa: B008 - frozen
) -> EmbedReport | None:
    """Embed a catalog into a table and print what was done. An `area` of None means chips.

    Raises:
        InputError: the area, the dates or the catalog cannot be used, or nothing could be embedded.
        UnreachableError: the catalog's host does not answer, or none of the imagery's does.
        CheckpointError: the weights cannot be used, or are a size without trained ones and not so asked for.
    """
    if is_untrained(weights) and not untrained:
        raise CheckpointError(
            f"no trained weights of the size {weights!r} are shipped; vectors of random ones show nothing: "
            "name a file with --weights FILE, or add --untrained if that is what you want"
        )
    source = Source(source) if isinstance(source, str) else source
    resolution = h3_resolution or (CHIP_RESOLUTION if area is None else AREA_RESOLUTION)
    catalog = source.read(table, area, dates, keep=not dry_run)
    for note in catalog.notes:
        say(note)
    encoder = load_encoder(weights, engine.device_here(device))
    plan = make_plan(
        catalog,
        encoder,
        area,
        dates,
        h3_resolution=resolution,
        allow_l1c=allow_l1c,
        on_contradiction=on_contradiction,
    )
    say(f"model {encoder.info.name} on {engine.place(encoder)}")
    if dry_run:
        _print_decisions(catalog)
        _print_dry_run(plan, encoder)
        return None
    with engine.engine(encoder, weights, device) as on_ray, progress_bar("embed", "samples") as progress:
        report = embed_plan(
            plan,
            encoder,
            table,
            h3_resolution=resolution,
            granularity=granularity,
            simulated=catalog.simulated,
            values=values,
            workers=engine.decoders,
            engine=on_ray,
            share=share,
            progress=progress,
        )
    _print_report(report, table)
    _print_unfinished(report, catalog)
    if report.embedded:
        say(
            f"{report.embedded / report.seconds:.1f} samples/s on {engine.place(encoder)}; the encoder "
            f"waited for pixels {report.seconds_waited / report.seconds:.0%} of the time"
        )
    if share != Share():
        say(f"a share of the work, {share.number} of {share.of}: `skyhex index -t {table}` when all are done")
    elif report.table.row_count == 0:
        if report.unfinished:
            raise UnreachableError(f"Nothing could be read: {report.unfinished[0].reason}")
        raise InputError(f"Nothing could be embedded. The reasons are in {table}/{SKIPPED_FILE}")
    if index:
        _build_indexes(table, granularity)
    return report


def _build_indexes(path: str, granularity: int | None) -> None:
    for table in [path] if granularity is None else [path, finer_path(path, granularity)]:
        bring_up(table, f"{table}: ")


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
    plan = plan_chips if area is None else partial(plan_area, area=area)
    return plan(
        catalog,
        encoder.spec,
        h3_resolution=h3_resolution,
        start=dates.start,
        end=dates.end,
        period=dates.period,
        allow_l1c=allow_l1c,
        on_contradiction=on_contradiction,
    )


def _print_decisions(catalog: Catalog) -> None:
    """What was decided of each collection, and why; and what is left out of it."""
    for line in decisions(catalog.scenes):
        say(line)
    problems = Counter(problem for place in catalog.places for problem in place.problems)
    for problem, _ in problems.most_common(12):
        say(problem, "left out")


def _print_dry_run(plan: Plan, encoder: AnyEncoder) -> None:
    say(str(plan.summary))
    if plan.tasks:
        trial = _trial(plan, encoder)
        times = len(plan.tasks) / trial.samples
        if trial.requests:
            say(
                f"about {trial.requests * times:,.0f} requests for {trial.bytes * times / 1e6:,.1f} MB as "
                f"stored, counted on {trial.samples} samples"
            )
        say(
            f"about {trial.seconds * times:,.0f} s: {trial.samples / trial.seconds:.1f} samples/s, timed on "
            f"{trial.samples} of them; nothing was written"
        )


@dataclass(frozen=True)
class _Trial:
    """What a few samples took, from the first request to the vector."""

    samples: int
    seconds: float
    requests: int
    bytes: int


def _trial(plan: Plan, encoder: AnyEncoder) -> _Trial:
    before, began = traffic.copy(), time.perf_counter()
    tasks = _trial_tasks(plan)
    read = [item for visit in visits(tasks) for item in read_visit(visit, encoder.spec)]
    for reason, n in Counter(item.reason for item in read if isinstance(item, Unfinished)).most_common(3):
        say(f"{n} of {len(tasks)} samples cannot be read now: {reason}", "unfinished")
    samples = [item for item in read if isinstance(item, Sample)]
    said = Counter(entry for sample in samples for entry in (*sample.notes, *sample.dropped))
    for (modality, text), n in said.most_common(12):
        say(f"{modality} of {n} of {len(tasks)} samples: {text}", "note")
    if samples:
        encoder.embed(samples)
    seconds = time.perf_counter() - began
    spent = traffic - before
    return _Trial(len(tasks), seconds, spent["requests"], spent["bytes"])


def _trial_tasks(plan: Plan) -> list[SampleTask]:
    """A few of the plan: two runs of neighbours, for neighbours share what is fetched."""
    half = DRY_RUN_SAMPLES // 2
    middle = max(half, len(plan.tasks) // 2)
    return [*plan.tasks[:half], *plan.tasks[middle : middle + half]]


def _print_unfinished(report: EmbedReport, catalog: Catalog) -> None:
    """What another run of the same command may add."""
    if report.unfinished:
        say(f"{len(report.unfinished)} samples, for the same command to try again:", "unfinished")
        for reason, n in Counter(left.reason for left in report.unfinished).most_common(12):
            say(f"  {n} samples, such as {_first_with(report, reason)}: {reason}")
    if catalog.unreachable:
        say(f"{len(catalog.unreachable)} items could not be read now:", "unfinished")
        for reason in catalog.unreachable[:12]:
            say(f"  {reason}")


def _first_with(report: EmbedReport, reason: str) -> str:
    return next(left.sample_id for left in report.unfinished if left.reason == reason)


def _print_report(report: EmbedReport, table: str) -> None:
    say(
        f"{report.embedded:,} samples embedded, {report.already:,} were there already; "
        f"{report.table.row_count:,} rows in {table}",
    )
    for (modality, reason), n in Counter(report.dropped).most_common(12):
        say(f"{modality} of {n} samples: {reason}", "left out")
    for (modality, note), n in Counter(report.notes).most_common(12):
        say(f"{modality} of {n} samples: {note}", "note")
    if report.skipped:
        say(f"{len(report.skipped)} places (all in {table}/{SKIPPED_FILE}):", "skipped")
        for skip in report.skipped[:12]:
            say(f"  {skip.sample_id}: {skip.reason}")
