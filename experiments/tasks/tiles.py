"""Scenes of any size -> tiles of one size on the model's grid, with their truth.

A tile is as many squares of the grid high as wide, at the set's own pixel size. Where a scene ends inside a
tile, the rest is padding: not valid to the encoder, and ignored by every score. No pixel of a scene is left
out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import h3
import numpy as np
import torch
import torch.nn.functional as F

from data.modality import MODALITIES
from data.sample import ANY_TIME, ImageSeries, InputError, Sample, SampleSpec

from ..datasets.scene import IGNORED, Boxes, Entry, Imagery, Truth


@dataclass(frozen=True)
class Tile:
    """One query: what the encoder sees, by view, and what is true."""

    samples: tuple[Sample, ...]
    truth: Truth
    place: str
    lon_deg: float
    lat_deg: float


@dataclass(frozen=True)
class Placed:
    """An entry and where it lies."""

    entry: Entry
    lon_deg: float  # NaN = not known
    lat_deg: float


def reference(view: Mapping[str, Imagery], spec: SampleSpec) -> str:
    """The modality whose pixels the truth lies on: the finest that the set and the model have.

    Raises:
        InputError: the model takes none of them.
    """
    for name in MODALITIES:
        if name in view and name in spec.px_per_cell:
            return name
    raise InputError(
        f"the set shows {', '.join(view)} and this encoder takes {', '.join(spec.px_per_cell)}: "
        "choose an encoder for its sensors."
    )


def tiles_of(item: Placed, spec: SampleSpec, tile_px: int) -> Iterator[Tile]:
    """Cut a scene whose truth is a mask or boxes, row by row.

    Args:
        tile_px: side of a tile in pixels of the reference; rounded up to whole squares.

    Raises:
        InputError: a scene that cannot be read, or whose mask is not of its imagery's size.
    """
    entry, scene = item.entry, item.entry.load()
    name = reference(scene.views[0], spec)
    h, w = scene.views[0][name].valid.shape[1:]
    _check_sizes(entry, scene.truth, (h, w))
    px = spec.px_per_cell[name]
    squares = -(-tile_px // px)
    rows, cols = (-(-side // (squares * px)) for side in (h, w))
    whole = [_gridded(view, (h, w), name, (rows * squares, cols * squares), spec) for view in scene.views]
    for row in range(rows):
        for col in range(cols):
            at = (row * squares, col * squares)
            tile = f"{entry.id}@{row}_{col}" if rows * cols > 1 else entry.id
            samples = tuple(_sample(tile, item, _cut(view, at, squares, spec), squares) for view in whole)
            truth = _cut_truth(scene.truth, (at[0] * px, at[1] * px), squares * px)
            if any(series.valid.any() for series in samples[0].series.values()):
                yield Tile(samples, truth, entry.place, item.lon_deg, item.lat_deg)
            else:
                _check_empty(tile, truth)


def _check_empty(tile: str, truth: Truth) -> None:
    """Imagery without a valid pixel may be left out where nothing is asked of it, and nowhere else."""
    asked = len(truth.code) if isinstance(truth, Boxes) else (truth != IGNORED).sum()
    if asked:
        raise InputError(f"{tile} has labels and no valid pixel of imagery; expected both or neither.")


def whole_of(item: Placed, spec: SampleSpec, largest_squares: int) -> Tile:
    """A scene whose truth is labels, on one grid: aerial images fill the model's window, Sentinel ones keep
    their size up to `largest_squares`."""
    entry, scene = item.entry, item.entry.load()
    view = scene.views[0]
    name = reference(view, spec)
    h, w = view[name].valid.shape[1:]
    px = spec.px_per_cell[name]
    if name == "hr":
        squares, view = spec.window_cells, {**view, name: _resized(view[name], (spec.window_cells * px,) * 2)}
        h = w = squares * px
    else:
        squares = min(max(-(-max(h, w) // px), 1), largest_squares)
    grid = _gridded(view, (h, w), name, (-(-h // px), -(-w // px)), spec)
    sample = _sample(entry.id, item, _cut(grid, (0, 0), squares, spec), squares)
    return Tile((sample,), scene.truth, entry.place, item.lon_deg, item.lat_deg)


def on_one_grid(tiles: Sequence[Tile], squares: int) -> tuple[Tile, ...]:
    """Tiles of scenes with labels, each padded to `squares` a side; what is added is not valid."""
    return tuple(replace(tile, samples=tuple(_grown(s, squares) for s in tile.samples)) for tile in tiles)


def _grown(sample: Sample, squares: int) -> Sample:
    series = {}
    for name, s in sample.series.items():
        side = squares * (s.valid.shape[-1] // sample.grid_shape[1])
        padded = _padded(Imagery(s.pixels, s.valid, s.day_of_year), (side, side))
        series[name] = replace(s, pixels=padded.pixels, valid=padded.valid)
    return replace(sample, series=series, grid_shape=(squares, squares))


def _check_sizes(entry: Entry, truth: Truth, size: tuple[int, int]) -> None:
    if isinstance(truth, np.ndarray) and truth.shape[-2:] != size:
        raise InputError(
            f"{entry.id}: a mask of {truth.shape[-2:]} pixels over imagery of {size}; expected one size."
        )


def _gridded(
    view: Mapping[str, Imagery],
    size: tuple[int, int],
    name: str,
    squares: tuple[int, int],
    spec: SampleSpec,
) -> dict[str, Imagery]:
    """Every modality on the reference's ground, padded to `squares`."""
    out = {}
    for other in (m for m in MODALITIES if m in view and m in spec.px_per_cell):
        px = spec.px_per_cell[other]
        shape = tuple(max(1, round(side * px / spec.px_per_cell[name])) for side in size)
        imagery = view[other] if other == name else _resized(view[other], (shape[0], shape[1]))
        out[other] = _padded(imagery, (squares[0] * px, squares[1] * px))
    return out


def _resized(imagery: Imagery, shape: tuple[int, int]) -> Imagery:
    """Means of the valid pixels under each new one; a new pixel is valid where half of them are."""
    if imagery.valid.shape[1:] == shape:
        return imagery
    valid = torch.from_numpy(imagery.valid[:, None].astype(np.float32))  # (T, 1, H, W)
    values = np.where(imagery.valid[:, None], imagery.pixels, 0).astype(np.float32)
    total = F.adaptive_avg_pool2d(torch.from_numpy(values), shape)
    share = F.adaptive_avg_pool2d(valid, shape)
    mean = (total / share.clamp(min=1e-6)).numpy()
    dtype = imagery.pixels.dtype
    pixels = mean.astype(dtype) if dtype.kind == "f" else np.rint(mean).astype(dtype)
    return replace(imagery, pixels=pixels, valid=(share[:, 0] >= 0.5).numpy())


def _padded(imagery: Imagery, shape: tuple[int, int]) -> Imagery:
    """Zeros that are not valid at the right and bottom."""
    more = [(0, max(0, want - has)) for want, has in zip(shape, imagery.valid.shape[1:], strict=True)]
    if not any(after for _, after in more):
        return imagery
    pixels = np.pad(imagery.pixels, [(0, 0), (0, 0), *more])
    return replace(imagery, pixels=pixels, valid=np.pad(imagery.valid, [(0, 0), *more]))


def _cut(
    view: Mapping[str, Imagery], at: tuple[int, int], squares: int, spec: SampleSpec
) -> dict[str, ImageSeries]:
    """Dates with a valid pixel of some squares."""
    series = {}
    for name, imagery in view.items():
        px = spec.px_per_cell[name]
        rows, cols = (slice(first * px, (first + squares) * px) for first in at)
        part = _padded(
            replace(imagery, pixels=imagery.pixels[:, :, rows, cols], valid=imagery.valid[:, rows, cols]),
            (squares * px, squares * px),
        )
        dates = part.valid.any(axis=(1, 2))
        if dates.any():
            chosen = _spread(np.flatnonzero(dates), spec.max_dates[name])
            series[name] = ImageSeries(
                part.pixels[chosen].astype(MODALITIES[name].dtype),
                part.valid[chosen],
                part.day_of_year[chosen],
                ("",) * len(chosen),
            )
    return series


def _spread(dates: np.ndarray, at_most: int) -> np.ndarray:
    """At most so many of the dates, evenly over them."""
    if len(dates) <= at_most:
        return dates
    return np.asarray(dates[np.linspace(0, len(dates) - 1, at_most).round().astype(int)])


def _sample(name: str, item: Placed, series: Mapping[str, ImageSeries], squares: int) -> Sample:
    lon, lat = item.lon_deg, item.lat_deg
    known = np.isfinite(lon) and np.isfinite(lat)
    cell = h3.str_to_int(h3.latlng_to_cell(lat if known else 0.0, lon if known else 0.0, 12))
    crs, corner, grid = "OGC:CRS84", (0.0, 0.0), (squares, squares)
    return Sample(name, cell, lon, lat, *ANY_TIME, (), crs, corner, grid, series, 1.0, float("nan"))


def _cut_truth(truth: Truth, at: tuple[int, int], side: int) -> Truth:
    """A mask padded with IGNORED, or the boxes whose centre lies in the tile."""
    y, x = at
    if isinstance(truth, Boxes):
        centre = truth.corners.mean(axis=1)
        inside = (centre >= (x, y)).all(axis=1) & (centre < (x + side, y + side)).all(axis=1)
        return truth.take(np.flatnonzero(inside)).moved(-x, -y)
    part = truth[..., y : y + side, x : x + side]
    more = [(0, 0)] * (truth.ndim - 2) + [(0, side - n) for n in part.shape[-2:]]
    return np.pad(part, more, constant_values=IGNORED)
