"""Read a planned sample: windows of rasters become pixel series with masks, on one grid."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

import numpy as np

from .access import REMOTE, UnreachableError, unsigned, using
from .chip import scene_of_raster
from .cloud_mask import MASK_KINDS
from .grid import hull
from .normalise import to_unit
from .raster import image_faults
from .sample import Imagery, ImageSeries, InputError, Sample, SampleSpec
from .scene import Scene
from .site import Skip, chip_window, sites_of
from .task import SampleTask
from .time_series import Acquisition
from .units import units_of
from .window_pixels import read_window, visiting

CHIP_RESOLUTION = 12  # of the H3 cell of a chip that is read alone
VISIT_SAMPLES = 16
VISIT_SPREAD = 4.0  # times the area of their windows that the box around a visit's samples may have


@dataclass(frozen=True)
class _Image:
    """One date of one modality over the window's true extent."""

    acquisition: Acquisition
    href: str
    pixels: np.ndarray  # (C, H, W)
    valid: np.ndarray  # (H, W) bool
    cloud_fraction: float  # NaN = unknown
    notes: tuple[str, ...]  # what was decided of its scenes' units
    imagery: tuple[Imagery, ...]  # of its scenes


@dataclass(frozen=True)
class Unfinished:
    """A sample that could not be read now, and why; another time it may."""

    sample_id: str
    reason: str


def read_visit(tasks: Sequence[SampleTask], spec: SampleSpec) -> list[Sample | Skip | Unfinished]:
    """Samples of one of `visits`: a file that lies elsewhere is visited once. Runs in worker processes."""
    with visiting([task.site.window for task in tasks]):
        return [_read_or_unfinished(task, spec) for task in tasks]


def _read_or_unfinished(task: SampleTask, spec: SampleSpec) -> Sample | Skip | Unfinished:
    try:
        return read_sample(task, spec)
    except UnreachableError as error:
        return Unfinished(task.sample_id, str(error))


def visits(tasks: Iterable[SampleTask]) -> Iterator[list[SampleTask]]:
    """Neighbours in one projection whose files lie elsewhere come together; other tasks come alone."""
    visit: list[SampleTask] = []
    for task in tasks:
        if visit and not (len(visit) < VISIT_SAMPLES and _is_near(visit, task)):
            yield visit
            visit = []
        visit.append(task)
    if visit:
        yield visit


def _is_near(visit: Sequence[SampleTask], task: SampleTask) -> bool:
    """Whether they begin with the same file, and the box around them is not much larger than they are."""
    first = visit[0]
    if first.site.window.crs != task.site.window.crs or _first_href(first) != _first_href(task):
        return False
    bounds = [t.site.window.bounds for t in (*visit, task)]
    left, bottom, right, top = hull(bounds)
    area = sum((b[2] - b[0]) * (b[3] - b[1]) for b in bounds)
    return _first_href(task).startswith(REMOTE) and (right - left) * (top - bottom) <= VISIT_SPREAD * area


def _first_href(task: SampleTask) -> str:
    return next(iter(task.series.values()))[0].scenes[0].href


def read_sample(task: SampleTask, spec: SampleSpec) -> Sample | Skip:
    """Read a sample's pixels, or say why nothing of it can be used.

    Acquisitions are tried in order until each modality has `spec.max_dates` with any valid pixel. One that
    cannot be read or whose numbers do not fit their unit is left out, and `Sample.dropped` says so. Raises
    UnreachableError when a host does not answer: that says nothing about the imagery.
    """
    with using(task.access):
        return _read_sample(task, spec)


def _read_sample(task: SampleTask, spec: SampleSpec) -> Sample | Skip:
    images: dict[str, list[_Image]] = {}
    dropped = list(task.dropped)
    for modality, acquisitions in task.series.items():
        usable, failures = _read_images(acquisitions, task, spec)
        if usable:
            images[modality] = sorted(usable, key=_in_time)
        if failures:
            dropped.append((modality, _failure(failures, len(acquisitions))))
    if not images:
        return Skip(task.sample_id, "; ".join(f"{modality}: {reason}" for modality, reason in dropped))
    return _sample(task, spec, images, tuple(dropped))


def read_chip(href: str | Path, spec: SampleSpec, *, modality: str | None = None) -> Sample:
    """One GeoTIFF, a path or address, as a sample of unknown date; of a large one, the window in its middle.

    `modality` is told from the bands unless given. Raises InputError when the raster cannot be read or used,
    UnreachableError when its host does not answer.
    """
    scene = scene_of_raster(str(href), modality)
    window, _ = chip_window({scene.modality: [scene]}, spec.cell_m)
    (site,) = sites_of({Path(str(href)).stem: window.middle(spec.window_cells)}, CHIP_RESOLUTION)
    if isinstance(site, Skip):
        raise InputError(f"{href} cannot be used: {site.reason}")
    series = {scene.modality: (Acquisition(scene.modality, None, (scene,)),)}
    sample = read_sample(SampleTask(site, scene.start, scene.end, series, (), key=""), spec)
    if isinstance(sample, Skip):
        raise InputError(f"{href} cannot be used: {sample.reason}")
    return sample


def _read_images(
    acquisitions: tuple[Acquisition, ...], task: SampleTask, spec: SampleSpec
) -> tuple[list[_Image], list[str]]:
    images: list[_Image] = []
    failures: list[str] = []
    for acquisition in acquisitions:
        if len(images) == spec.max_dates[acquisition.modality]:
            break
        try:
            images.append(_read_acquisition(acquisition, task, spec))
        except InputError as error:
            failures.append(str(error))
    return images, failures


def _failure(failures: list[str], tried: int) -> str:
    return failures[0] if tried == 1 else f"{len(failures)} of {tried} dates, the first: {failures[0]}"


def _in_time(image: _Image) -> tuple[bool, datetime, str]:
    date = image.acquisition.date
    return date is None, date or image.acquisition.scenes[0].start, image.href


@dataclass(frozen=True)
class _Layer:
    """One scene over the window's true extent."""

    href: str
    pixels: np.ndarray  # (C, H, W)
    has_data: np.ndarray  # (H, W) bool
    masked: np.ndarray  # (H, W) bool: cloud, shadow or nothing in the cloud mask
    cloud: np.ndarray | None  # (H, W) bool, None without a cloud mask
    notes: tuple[str, ...]  # what was decided of its units
    imagery: tuple[Imagery, ...]


def _read_acquisition(acquisition: Acquisition, task: SampleTask, spec: SampleSpec) -> _Image:
    """Its scenes laid over each other, the first on top. Raises InputError when no pixel of them is valid."""
    top: _Layer | None = None
    failures: list[str] = []
    for scene in acquisition.scenes:
        try:
            layer = _read_scene(scene, task, spec.gsd_m(scene.modality))
        except InputError as error:
            failures.append(str(error))
            continue
        top = layer if top is None else _over(top, layer)
        if top.has_data.all():
            break
    if top is None:
        raise InputError(failures[0])
    valid = top.has_data & ~top.masked
    if not valid.any():
        what = "cloud" if top.has_data.any() else "nodata"
        raise InputError(f"only {what} in the window")
    cloud_fraction = _cloud_fraction(top, acquisition)
    return _Image(acquisition, top.href, top.pixels, valid, cloud_fraction, top.notes, top.imagery)


def _over(top: _Layer, below: _Layer) -> _Layer:
    """`top`, with `below` showing through where it has no data."""
    gap = ~top.has_data
    if not (gap & below.has_data).any():
        return top
    cloud = (
        np.where(gap, below.cloud, top.cloud) if top.cloud is not None and below.cloud is not None else None
    )
    return _Layer(
        top.href if top.has_data.any() else below.href,
        np.where(gap, below.pixels, top.pixels),
        top.has_data | below.has_data,
        np.where(gap, below.masked, top.masked),
        cloud,
        (*top.notes, *below.notes),
        (*top.imagery, *below.imagery),
    )


def _cloud_fraction(layer: _Layer, acquisition: Acquisition) -> float:
    if layer.cloud is not None:
        return float(layer.cloud.sum() / layer.has_data.sum())
    percent = acquisition.cloud_percent
    return math.nan if percent is None else percent / 100


def _read_scene(scene: Scene, task: SampleTask, gsd_m: float) -> _Layer:
    """One function around open, mask and read: what goes wrong over one image is the reason for its date."""
    with image_faults(scene.href):
        return _read_layer(scene, task, gsd_m)


def _read_layer(scene: Scene, task: SampleTask, gsd_m: float) -> _Layer:
    window = task.site.window
    units = units_of(scene, trust_metadata=task.on_contradiction == "trust")
    parts = [
        read_window(
            href,
            [band.index for band in bands],
            window,
            gsd_m,
            smooth=scene.modality == "hr",
            nodata=scene.nodata,
        )
        for href, bands in groupby(scene.bands, key=lambda band: band.href)
    ]
    join = np.logical_or if scene.modality == "s2" else np.logical_and
    known: np.ndarray = join.reduce([has_data for _, has_data in parts])  # (H, W)
    raw = parts[0][0] if len(parts) == 1 else np.concatenate([pixels for pixels, _ in parts])
    pixels, has_data = to_unit(scene, raw, known, units)
    href, told = unsigned(scene.href), (units.notes, (scene.imagery,))
    if scene.scl_href is None:
        return _Layer(href, pixels, has_data, np.zeros_like(has_data), None, *told)
    classes = read_window(scene.scl_href, [1], window, gsd_m)[0][0].astype(np.uint8)  # (H, W), 0 = no data
    kind = MASK_KINDS[scene.mask_kind]
    return _Layer(href, pixels, has_data, kind.masked[classes], kind.cloud[classes] & has_data, *told)


def _sample(
    task: SampleTask, spec: SampleSpec, images: dict[str, list[_Image]], dropped: tuple[tuple[str, str], ...]
) -> Sample:
    site, window = task.site, task.site.window
    every = [image for dates in images.values() for image in dates]
    optical = [image.cloud_fraction for image in every if image.acquisition.modality != "s1"]
    known = [cloud for cloud in optical if not math.isnan(cloud)]
    return Sample(
        sample_id=site.sample_id,
        h3_cell=site.h3_cell,
        lon_deg=site.lon_deg,
        lat_deg=site.lat_deg,
        start=task.start,
        end=task.end,
        footprint=site.footprint,
        crs=window.crs,
        origin_m=(window.left_m, window.top_m),
        grid_shape=window.grid_shape,
        series={
            name: _series(dates, window.grid_shape, spec.px_per_cell[name]) for name, dates in images.items()
        },
        valid_fraction=sum(int(image.valid.sum()) for image in every)
        / sum(image.valid.size for image in every),
        cloud_fraction=sum(known) / len(known) if known else math.nan,
        dropped=dropped,
        notes=tuple(
            (name, note)
            for name, dates in images.items()
            for note in dict.fromkeys(note for image in dates for note in image.notes)
        ),
        imagery=tuple(dict.fromkeys(source for image in every for source in image.imagery)),
    )


def _series(images: list[_Image], grid_shape: tuple[int, int], px_per_square: int) -> ImageSeries:
    """Stack dates and pad them on the right and below to whole grid squares."""
    height, width = (squares * px_per_square for squares in grid_shape)
    pixels = np.stack([image.pixels for image in images])  # (T, C, h, w)
    valid = np.stack([image.valid for image in images])  # (T, h, w)
    pad = ((0, 0), (0, height - valid.shape[1]), (0, width - valid.shape[2]))
    empty = np.nan if pixels.dtype == np.float32 else 0
    return ImageSeries(
        pixels=np.pad(pixels, (pad[0], *pad), constant_values=empty),
        valid=np.pad(valid, pad),
        day_of_year=np.array([image.acquisition.day_of_year for image in images], np.int16),
        source_items=tuple(image.href for image in images),
    )
