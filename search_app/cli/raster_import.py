"""The raster side of `skyhex import`: plan, dry run, job, report."""

from contextlib import AbstractContextManager
from dataclasses import replace

import h3

from data.products.sources import Reading, open_rasters
from data.sample import InputError
from indexer.table.schema import Values
from indexer.workers import Workers
from pipeline.import_rasters import (
    Pooling,
    RasterImport,
    RasterPlan,
    expected_rows,
    fitting_resolution,
    import_rasters,
    plan_rasters,
)

from .progress import progress_bar, say, say_skipped


def run_raster_import(
    files: list[str],
    reading: Reading,
    table: str,
    pooling: Pooling,
    *,
    h3_resolution: int | None,
    index: str | None,
    dry_run: bool,
    workers: AbstractContextManager[int | Workers | None],
    values: Values | None,
) -> bool:
    """Import rasters of vectors and print what was done. Returns whether there is something new to index.

    Args:
        workers: begun where there is something to read, see `working`.

    Raises:
        InputError: nothing that can be read.
        TableError: a table of another model or resolution.
    """
    rasters, skipped = open_rasters(files, reading, index=index, area=pooling.area)
    if not rasters:
        say_skipped([(skip.sample_id, skip.reason) for skip in skipped])
        raise InputError(f"None of {len(skipped)} rasters can be used: {skipped[0].reason}")
    pooling = replace(pooling, h3_resolution=fitting_resolution(rasters[0], table, h3_resolution))
    plan = plan_rasters(rasters, pooling, skipped)
    _print_plan(plan, pooling)
    if dry_run:
        say_skipped([(skip.sample_id, skip.reason) for skip in plan.skipped])
        say("nothing was written")
        return False
    with workers as who, progress_bar("import", "pixels") as progress:
        done = import_rasters(plan, pooling, table, workers=who, values=values, progress=progress)
    _print_done(done, plan, table)
    if done.table.row_count == 0:
        raise InputError(
            f"No cell of {table} has a vector: every pixel is without data, or nothing could be read."
        )
    return True


def _print_plan(plan: RasterPlan, pooling: Pooling) -> None:
    tiles = {piece.raster.href + piece.raster.name for piece in plan.pieces}
    rows = expected_rows(plan, pooling.h3_resolution)
    if plan.pieces:
        say(f"{plan.pieces[0].raster.product.model}: {plan.pieces[0].raster.product.licence}")
    area_m2 = h3.average_hexagon_area(pooling.h3_resolution, "m^2")
    say(
        f"{len(tiles):,} tiles, {plan.pixels:,} pixels in {len(plan.pieces):,} pieces; {plan.requests:,} "
        f"requests, about {plan.stored_bytes / 1e9:.2f} GB; at most about {rows:,} rows of resolution "
        f"{pooling.h3_resolution} ({area_m2:,.0f} m2)"
    )
    for note in plan.notes:
        say(note, "note")


def _print_done(done: RasterImport, plan: RasterPlan, table: str) -> None:
    say(
        f"{done.rows:,} rows from {done.pixels:,} pixels in {done.seconds:.1f} s; {done.resumed:,} of "
        f"{len(plan.pieces):,} pieces were there already; {done.table.row_count:,} rows in {table}"
    )
    attribution = done.table.model.config.get("attribution")
    if attribution:
        say(f"Give this attribution with what you make of it: {attribution}")
    say_skipped([(skip.sample_id, skip.reason) for skip in done.skipped])
