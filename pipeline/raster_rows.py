"""Pooled pixels -> rows of the table, and how what two pieces know of one cell becomes one row."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import shapely
from h3ronpy.vector import cells_to_wkb_polygons
from numpy.typing import NDArray

from data.products.pooling import Pooled
from data.products.vector_raster import Product, VectorRaster
from indexer.geo import cells, footprints
from indexer.geo.geojson import cell_on_globe, cut_at_antimeridian
from indexer.table.schema import LICENCE, PARTS, SOURCE_ITEMS, ModelInfo, Values, make_rows
from indexer.table.terms import both

Pool = Literal["mean", "mean+std"]
Part = dict[str, Any]  # as PARTS has it

LENGTH_COLUMNS = ("pixels", "valid_pixels", "mean_length", "pixel_length")


def model_info(product: Product, dimension: int, pool: Pool) -> ModelInfo:
    """A product's vectors, pooled, as a table knows them; the weights are not at hand, so the name stands."""
    name = product.model if pool == "mean" else f"{product.model}+std"
    config = {
        "imported": True,
        "product": product.name,
        "version": product.version,
        "variant": product.variant,
        "attribution": product.attribution,
        "pooling": f"{pool} of de-quantised pixels",
        "pixels_normalised": False,
        "comparable_years": product.comparable_years,
    }
    size = dimension if pool == "mean" else 2 * dimension
    return ModelInfo(name, hashlib.sha256(name.encode()).hexdigest(), size, product.licence, True, config)


def rows_of(
    pooled: Pooled,
    raster: VectorRaster,
    model: ModelInfo,
    *,
    source: str,
    min_valid: float,
    values: Values = "float16",
) -> pa.Table | None:
    """A row for each cell with data; None where there is none.

    A cell that an edge cuts is kept whatever its share of valid pixels: what is missing may come later.

    Args:
        source: names the piece of the raster that was pooled.
        min_valid: the least share of a whole cell's pixels that must have data.
        values: how the table keeps vectors.
    """
    cut = (pooled.pixels < pooled.cell_pixels) | pooled.elsewhere
    share = pooled.valid / np.maximum(pooled.pixels, 1)
    pooled, cut = pooled.take(kept := (pooled.valid > 0) & (cut | (share >= min_valid))), cut[kept]
    vectors = _vectors(pooled.sums, pooled.squares, pooled.valid)
    has_direction = _lengths(vectors) > 0  # opposite vectors may leave none
    pooled, cut, vectors = pooled.take(has_direction), cut[has_direction], vectors[has_direction]
    n = len(pooled.cells)
    if n == 0:
        return None
    parts: list[list[Part] | None] = [None] * n
    partial = np.zeros(n, np.bool_)
    for i in np.flatnonzero(cut).tolist():
        parts[i] = [_part(pooled, i, raster, source)]
        partial[i] = not is_whole(parts[i] or [])
    return make_rows(
        h3_cell=pooled.cells,
        sample_id=cells.cells_to_text(pooled.cells),
        start=np.full(n, np.datetime64(raster.start.replace(tzinfo=None), "us")),
        end=np.full(n, np.datetime64(raster.end.replace(tzinfo=None), "us")),
        footprint=hexagons(pooled.cells),
        embedding=vectors,
        model=model,
        valid_fraction=pooled.valid / pooled.pixels,
        source_items=pa.array([[raster.href]], SOURCE_ITEMS).take(pa.array(np.zeros(n, np.int64))),
        extra={
            **_counted(pooled.pixels, pooled.valid, pooled.sums, pooled.lengths),
            "partial": pa.array(partial),
            "parts": pa.array(parts, PARTS),
        },
        values=values,
    )


def combine(old: pa.Table, fresh: pa.Table, *, model: ModelInfo, values: Values = "float16") -> pa.Table:
    """Rows of the same keys as one each: what pieces of rasters know of a cell is added, each piece once.

    A row of a cell that one piece holds whole says it all: it stays, or it replaces. The order in which
    pieces came makes no difference.
    """
    old_parts, fresh_parts = old["parts"].to_pylist(), fresh["parts"].to_pylist()
    both = [i for i, (a, b) in enumerate(zip(old_parts, fresh_parts, strict=True)) if a and b]
    older = [i for i, (a, b) in enumerate(zip(old_parts, fresh_parts, strict=True)) if b and not a]
    newer = np.setdiff1d(np.arange(len(fresh)), [*both, *older])
    merged = [
        pa.concat_tables([fresh.take(pa.array(newer)), old.take(pa.array(older, pa.int64()))]),
        _merged(old.take(pa.array(both, pa.int64())), fresh.take(pa.array(both, pa.int64())), model, values),
    ]
    return pa.concat_tables(merged)


def is_whole(parts: Sequence[Part]) -> bool:
    """Whether the pieces hold all of a cell: all pixels of each grid that has some, and of more than one grid
    where one says that there is another."""
    grids: dict[str, int] = {}
    for part in parts:
        grids[part["grid"]] = grids.get(part["grid"], 0) + part["pixels"]
    complete = all(grids[part["grid"]] >= part["cell_pixels"] for part in parts)
    return complete and (len(grids) > 1 or not any(part["elsewhere"] for part in parts))


def hexagons(h3_cells: cells.Cells) -> footprints.Geometries:
    """Outlines of cells, counter-clockwise; in parts across the antimeridian, closed along a pole."""
    wkb = pa.array(cells_to_wkb_polygons(h3_cells)).to_pylist()
    shapes = shapely.from_wkb(np.asarray(wkb, object))
    west, _, east, _ = shapely.bounds(shapes).T
    for i in np.flatnonzero((west < -180) | (east > 180) | (east - west > 180)).tolist():
        ring = shapely.Polygon(cells.boundary(int(h3_cells[i])))
        shapes[i] = shapely.orient_polygons(cut_at_antimeridian(cell_on_globe(ring)))
    return np.asarray(shapes)


def _part(pooled: Pooled, i: int, raster: VectorRaster, source: str) -> Part:
    return {
        "source": source,
        "grid": raster.grid.crs,
        "pixels": int(pooled.pixels[i]),
        "cell_pixels": int(pooled.cell_pixels[i]),
        "elsewhere": bool(pooled.elsewhere[i]),
        "valid_pixels": int(pooled.valid[i]),
        "lengths": float(pooled.lengths[i]),
        "sums": pooled.sums[i],
        "squares": None if pooled.squares is None else pooled.squares[i],
    }


def _merged(old: pa.Table, fresh: pa.Table, model: ModelInfo, values: Values) -> pa.Table:
    """Rows whose pieces are those of both, a later piece of one name in place of the earlier."""
    if not len(fresh):
        return fresh
    pairs = zip(old["parts"].to_pylist(), fresh["parts"].to_pylist(), strict=True)
    parts = [_union(a, b) for a, b in pairs]
    pixels, valid, lengths = (
        np.array([sum(part[name] for part in row) for row in parts])
        for name in ("pixels", "valid_pixels", "lengths")
    )
    sums = np.array([np.sum([part["sums"] for part in row], axis=0) for row in parts])
    has_squares = parts[0][0]["squares"] is not None
    squares = (
        np.array([np.sum([part["squares"] for part in row], axis=0) for row in parts])
        if has_squares
        else None
    )
    licences = {}
    if LICENCE in fresh.schema.names:
        pairs = zip(old[LICENCE].to_pylist(), fresh[LICENCE].to_pylist(), strict=True)
        licences[LICENCE] = pa.array([both(*pair) for pair in pairs], pa.string())
    items = zip(old["source_items"].to_pylist(), fresh["source_items"].to_pylist(), strict=True)
    unchanged = {name: fresh[name] for name in ("n_hr", "n_s2", "n_s1")}
    rows = make_rows(
        h3_cell=fresh["h3_cell"].to_numpy(),
        sample_id=fresh["sample_id"].to_pylist(),
        start=fresh["start_datetime"].to_numpy(),
        end=fresh["end_datetime"].to_numpy(),
        footprint=shapely.from_wkb(fresh["geometry"].to_numpy()),
        embedding=_vectors(sums, squares, valid),
        model=model,
        **{name: column.to_numpy() for name, column in unchanged.items()},
        valid_fraction=valid / pixels,
        source_items=[sorted({*a, *b}) for a, b in items],
        extra={
            **_counted(pixels, valid, sums, lengths),
            "partial": pa.array([not is_whole(row) for row in parts], pa.bool_()),
            "parts": pa.array(parts, PARTS),
            **licences,
        },
        values=values,
    )
    return rows.select(fresh.schema.names).replace_schema_metadata(fresh.schema.metadata)


def _added(parts: Sequence[Sequence[Part]], name: str) -> NDArray[np.float64]:
    """Sums over the pieces of each row: (n, d)."""
    return np.array([np.sum([part[name] for part in row], axis=0) for row in parts])


def _union(old: Sequence[Part], fresh: Sequence[Part]) -> list[Part]:
    """Each piece once, in order of name, so that their sum does not depend on who came first."""
    named = {part["source"]: part for part in [*old, *fresh]}
    return [named[source] for source in sorted(named)]


def _vectors(
    sums: NDArray[np.float64], squares: NDArray[np.float64] | None, valid: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Means (n, d), or means and standard deviations side by side (n, 2 d)."""
    mean = sums / valid[:, None]
    if squares is None:
        return mean
    return np.concatenate([mean, np.sqrt(np.maximum(squares / valid[:, None] - mean**2, 0))], axis=1)


def _lengths(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, d) -> (n,)."""
    return np.asarray(np.sqrt(np.einsum("nd,nd->n", vectors, vectors)))


def _counted(
    pixels: NDArray[np.int64],
    valid: NDArray[np.int64],
    sums: NDArray[np.float64],
    lengths: NDArray[np.float64],
) -> Mapping[str, pa.Array]:
    """How many pixels, the length of their mean, and their mean length: alike where the pixels are."""
    values = (
        pixels.astype(np.int32),
        valid.astype(np.int32),
        (_lengths(sums) / valid).astype(np.float32),
        (lengths / valid).astype(np.float32),
    )
    return {name: pa.array(value) for name, value in zip(LENGTH_COLUMNS, values, strict=True)}
