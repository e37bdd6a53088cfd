"""Rasters of vectors -> a committed table, piece by piece; a killed job goes on where it was.

Each piece of a raster is pooled by itself, in any process, and committed under a key that names its ground,
its content and how it was pooled. A cell across two pieces gets its rest when the second is committed.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h3
import pyarrow as pa
import shapely

from data.access import UnreachableError
from data.area import check_area
from data.products.pixel_cells import Window
from data.products.pooling import chunk_side_px, meets, pixels_per_cell, pool_chunk
from data.products.vector_raster import VectorRaster
from data.sample import InputError
from data.site import Skip
from indexer.progress import Progress
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.row_stream import packed, unpacked
from indexer.table.schema import ModelInfo, Values
from indexer.workers import Lost, Processes, Workers, here

from .cores import cores
from .raster_rows import Pool, combine, model_info, rows_of

FIELD_PIXELS = 16  # in an average cell of a new table, at least: resolution 11 at 10 m
OFF_LENGTH = 0.1  # of a mean length from 1: codes of such vectors are off by 0.008
FEW_PIXELS = 4.0  # in an average cell: fewer are worth a warning
SPAWNED_PX = 1 << 20  # fewer are read sooner than a process starts


@dataclass(frozen=True)
class Pooling:
    """How pixels become rows."""

    h3_resolution: int
    pool: Pool = "mean"
    min_valid: float = 0.0  # least share of valid pixels of a cell that no edge cuts
    area: shapely.Geometry | None = None  # cells whose centre lies in it; None: all


@dataclass(frozen=True)
class Piece:
    """A part of a raster: what is pooled, and committed, at once."""

    raster: VectorRaster
    window: Window

    @property
    def source(self) -> str:
        """Names its ground, by its north-western corner: the same in every copy of the raster."""
        a, _, c, _, e, f = self.raster.grid.transform
        top = max(f + e * self.window.row, f + e * self.window.end_row)
        left = min(c + a * self.window.col, c + a * self.window.end_col)
        return f"{self.raster.grid.crs} {left:.10g} {top:.10g}"


@dataclass(frozen=True)
class RasterPlan:
    """What an import will read."""

    pieces: tuple[Piece, ...]
    skipped: tuple[Skip, ...]  # rasters that cannot be used, and why
    notes: tuple[str, ...]

    @property
    def pixels(self) -> int:
        return sum(piece.window.pixels for piece in self.pieces)

    @property
    def stored_bytes(self) -> float:
        """What is read, as it is stored."""
        return sum(piece.window.pixels * piece.raster.bytes_per_pixel for piece in self.pieces)

    @property
    def requests(self) -> int:
        """Blocks of the files that are read, band by band where bands lie apart."""
        total = 0
        for piece in self.pieces:
            block_h, block_w = piece.raster.block
            rows = -(-piece.window.end_row // block_h) - piece.window.row // block_h
            cols = -(-piece.window.end_col // block_w) - piece.window.col // block_w
            total += rows * cols * piece.raster.requests_per_block
        return total


@dataclass(frozen=True)
class RasterImport:
    """What an import did."""

    table: EmbeddingTable
    rows: int  # made by this run
    pixels: int  # read by this run
    resumed: int  # pieces that an earlier run had committed
    skipped: tuple[Skip, ...]  # rasters and pieces that could not be read; the same command tries them again
    seconds: float


def plan_rasters(
    rasters: Sequence[VectorRaster], pooling: Pooling, skipped: Sequence[Skip] = ()
) -> RasterPlan:
    """The pieces of rasters that can hold a wanted cell.

    Rasters of another model than the first are skipped.

    Raises:
        InputError: cells smaller than pixels, or an area that is none.
    """
    area = None if pooling.area is None else check_area(pooling.area)
    left_out, notes, pieces = list(skipped), [], []
    for raster in rasters:
        first = rasters[0]
        if (raster.product.model, raster.dimension) != (first.product.model, first.dimension):
            left_out.append(Skip(raster.href, f"holds {_model(raster)}, {first.href} {_model(first)}"))
            continue
        notes += [*raster.product.notes, *_few_pixels(raster, pooling.h3_resolution)]
        windows = raster.chunks(chunk_side_px(raster, pooling.h3_resolution))
        pieces += [
            Piece(raster, window)
            for window in windows
            if area is None or meets(raster, window, pooling.h3_resolution, area)
        ]
    return RasterPlan(tuple(pieces), tuple(left_out), tuple(dict.fromkeys(notes)))


def import_rasters(
    plan: RasterPlan,
    pooling: Pooling,
    into: str | Path,
    *,
    workers: int | Workers | None = None,
    values: Values | None = None,
    progress: Progress | None = None,
) -> RasterImport:
    """Pool every piece that the table does not hold yet, and commit it.

    Memory is, for each worker, that of one block (64 MB of AlphaEarth's codes and three times as much beside)
    and of the rows of one piece.

    Args:
        workers: processes that read and pool, one a core by default; 0 does it in this one. Or others.
        values: how a new table keeps vectors, float16 by default.

    Raises:
        InputError: nothing to read.
        TableError: the table holds another model or resolution, or a worker died.
    """
    if not plan.pieces:
        raise InputError(_nothing(plan))
    first = plan.pieces[0].raster
    model = model_info(first.product, first.dimension, pooling.pool)
    table = EmbeddingTable.open_or_create(into, model, h3_resolution=pooling.h3_resolution, values=values)
    keys = {piece: piece_key(piece, pooling) for piece in plan.pieces}
    todo = [piece for piece in plan.pieces if keys[piece] not in table.input_keys]
    together = partial(combine, model=model, values=table.values)
    pooled = partial(_piece_rows, pooling=pooling, model=model, values=table.values)
    skipped, began = list(plan.skipped), time.perf_counter()
    rows, read, done = 0, 0, plan.pixels - sum(piece.window.pixels for piece in todo)
    for piece, made in _workers(todo, workers)(pooled, todo):
        if isinstance(made, Skip):
            skipped.append(made)
        elif isinstance(made, Lost):
            skipped.append(Skip(piece.raster.href, f"at {piece.source}: {made.reason}"))
        else:
            fresh = [unpacked(made)] if made is not None else []
            table = table.upsert(fresh, input_key=keys[piece], combine=together, source=first.product.model)
            rows, read = rows + sum(map(len, fresh)), read + piece.window.pixels
        done += piece.window.pixels
        if progress is not None:
            progress(done, plan.pixels)
    resumed = len(plan.pieces) - len(todo)
    return RasterImport(table, rows, read, resumed, tuple(skipped), time.perf_counter() - began)


def fitting_resolution(raster: VectorRaster, into: str | Path, asked: int | None = None) -> int:
    """The resolution asked for, else the table's, else the finest whose cells hold FIELD_PIXELS."""
    if asked is not None:
        return asked
    if EmbeddingTable.exists(into):
        return EmbeddingTable.open(into).h3_resolution
    return max((r for r in range(16) if pixels_per_cell(raster, r) >= FIELD_PIXELS), default=0)


def piece_key(piece: Piece, pooling: Pooling) -> str:
    """Names what a piece's rows are made from."""
    area = b"" if pooling.area is None else shapely.to_wkb(pooling.area)
    made_from = (
        piece.source, piece.raster.start, piece.raster.end, piece.raster.stamp, piece.window,
        pooling.h3_resolution, pooling.pool, pooling.min_valid, area,
    )  # fmt: skip
    return f"raster {hashlib.sha256(repr(made_from).encode()).hexdigest()[:16]}"


def expected_rows(plan: RasterPlan, resolution: int) -> int:
    """About how many cells the pixels of a plan lie in."""
    cells = (piece.window.pixels / pixels_per_cell(piece.raster, resolution) for piece in plan.pieces)
    return round(sum(cells))


def _workers(pieces: Sequence[Piece], given: int | Workers | None) -> Workers:
    """Who reads and pools; processes where there is more to read than they take to start."""
    if not (given is None or isinstance(given, int)):
        return given
    count = cores() if given is None else given
    few = len(pieces) < 2 or sum(piece.window.pixels for piece in pieces) < SPAWNED_PX
    return here if few or not count else Processes(count)


def _piece_rows(piece: Piece, pooling: Pooling, model: ModelInfo, values: Values) -> pa.Buffer | Skip | None:
    """The rows of a piece, packed."""
    try:
        pooled = pool_chunk(
            piece.raster,
            piece.window,
            pooling.h3_resolution,
            squares=pooling.pool == "mean+std",
            area=pooling.area,
        )
    except (InputError, UnreachableError) as error:
        return Skip(piece.raster.href, str(error))
    length = pooled.lengths.sum() / max(pooled.valid.sum(), 1)
    if piece.raster.told_by_length and pooled.valid.any() and abs(length - 1) > OFF_LENGTH:
        product = piece.raster.product.name
        return Skip(piece.raster.href, f"its vectors have a length of {length:.2g}, those of {product} of 1")
    rows = rows_of(
        pooled, piece.raster, model, source=piece.source, min_valid=pooling.min_valid, values=values
    )
    return None if rows is None else packed(rows)


def _few_pixels(raster: VectorRaster, resolution: int) -> list[str]:
    """A word where cells hold few pixels. Raises InputError where they hold less than one."""
    pixels = pixels_per_cell(raster, resolution)
    if pixels >= FEW_PIXELS:
        return []
    finest = max(r for r in range(16) if pixels * 7.0 ** (resolution - r) >= FEW_PIXELS)
    said = (
        f"a cell of resolution {resolution} ({h3.average_hexagon_area(resolution, 'm^2'):,.0f} m2) holds "
        f"{pixels:.2g} pixels of {Path(raster.href).name}"
    )
    if pixels < 1:
        raise InputError(f"{said}: resolution {finest} is the finest that holds {FEW_PIXELS:g}")
    return [f"{said}: its mean is of few"]


def _model(raster: VectorRaster) -> str:
    return f"{raster.product.model} of {raster.dimension} dimensions"


def _nothing(plan: RasterPlan) -> str:
    if not plan.skipped:
        return "No raster meets the area: nothing was imported."
    reasons = Counter(skip.reason for skip in plan.skipped)
    shown = "; ".join(reason for reason, _ in reasons.most_common(3))
    return f"None of {len(plan.skipped)} rasters can be used: {shown}"
