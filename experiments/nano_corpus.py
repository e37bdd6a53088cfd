"""What skyhex/nano-1 sees: pixel series, chips and aerial images that split and terms allow."""

import zlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from shapely.geometry.base import BaseGeometry

from data.cover import plan_chips
from data.pixel_series import PixelSeries, read_pixel_series
from data.reader import read_sample
from data.sample import ANY_TIME, ImageSeries, Sample, SampleSpec
from data.simulate import simulate
from data.stac import Catalog, read_catalog
from data.training_rules import SplitRules, far_from_footprints, far_from_points, read_grounds, refusals
from encoder.config import SkySenseConfig
from encoder.training.augment import AugmentConfig
from encoder.training.corpus import Corpus, PixelSamples, Source

from .retrieval.validation import held_out

CATALOGS = ("samples", "corpus")
SERIES = {  # share of the steps, dates of a view
    "us_cdl2021_dekad_a": (0.16, {"s2": (2, 20)}),
    "us_cdl2021_dekad_b": (0.16, {"s2": (2, 20)}),
    "presto_algae_blooms": (0.08, {"s2": (2, 8), "s1": (2, 8)}),
    "presto_fuel_moisture": (0.08, {"s2": (1, 2), "s1": (1, 2)}),
    "worldcereal_fra2022_monthly": (0.07, {"s2": (2, 12), "s1": (2, 12)}),
    "worldcereal_fra2023_dekad": (0.07, {"s2": (2, 16), "s1": (2, 24)}),
    "worldcereal_public_africa": (0.07, {"s2": (2, 8), "s1": (2, 8)}),
}
SERIES_BATCH = 48
CHIP_DATES = {"hr": (1, 1), "s2": (1, 4), "s1": (1, 3)}
EVERY_DATE = {"hr": 1, "s2": 40, "s1": 30}
SMALLEST_AERIAL_CELLS = 3
HR_ZOOMS = (1, 2, 4)  # an aerial image is shown at its own pixel size and at these multiples of it


@dataclass(frozen=True)
class Found:
    """Samples that could be read, and what could not, with the reason."""

    samples: list[Sample]
    skipped: list[str]


def build_corpus(
    shared: Path,
    config: SkySenseConfig,
    *,
    aerial: bool = True,
    near: float = 0.0,
    paired: float = 1.0,
    augment: AugmentConfig | None = None,
    without: str = "",
) -> Corpus:
    """Everything that nano is trained on, from the folder of samples/, corpus/, eval/ and series/.

    Args:
        shared: That folder.
        config: Of the model.
        aerial: Whether HR is trained.
        near: Share of the series' steps whose places lie near one another.
        paired: How often what has Sentinel-1 and -2 is taken, relative to SERIES.
        augment: How views are made; None takes the defaults.
        without: Series whose names begin so are left out, to ask of sets that nobody trained on.
    """
    px = config.px_per_cell
    sources = []
    for name, series in training_series(shared).items():
        if without and name.startswith(without):
            continue
        share, dates = SERIES[name]
        pixels = PixelSamples(series, px)
        share *= paired if "s1" in dates else 1
        sources.append(
            Source(name, pixels, share, SERIES_BATCH, (1, 1), dates, h3_cells=pixels.cells, near=near)
        )
    places = training_places(shared)
    chips = training_chips(shared, places, config)
    images = aerial_images(shared, places, px["hr"]) if aerial else Found([], [])
    skipped = (*chips.skipped, *images.skipped)
    print(f"{len(skipped)} images skipped", *skipped, sep="\n  ")
    radar = [sample for sample in chips.samples if {"s1", "s2"} <= sample.series.keys()]
    optical = [sample for sample in chips.samples if sample.series.keys() == {"s2"}]
    sources += [
        Source("chips with S1 and S2", radar, 0.10 * paired, 16, (1, 3), CHIP_DATES),
        Source("chips with S2", optical, 0.16, 16, (1, 4), CHIP_DATES),
    ]
    if aerial:
        sources += [
            Source("aerial, one window", images.samples, 0.04, 8, (3, 4), CHIP_DATES),
            Source("aerial, two windows", images.samples, 0.05, 8, (3, 4), CHIP_DATES, same_window=False),
        ]
    return Corpus(tuple(sources), px, augment or AugmentConfig(), skipped=skipped)


def series_paths(shared: Path) -> list[Path]:
    """The files of pixel series, in the order of SERIES."""
    return [path for name in SERIES for path in shared.glob(f"*/{name}.parquet")]


def training_series(shared: Path) -> dict[str, PixelSeries]:
    """Train places of all files: none near a test place of any, none of a validation block.

    Raises:
        InputError: a file cannot be read. It is not skipped, because where its test places lie is not known.
    """
    read = {path.stem: read_pixel_series(path, {"B8A": "B08"}) for path in series_paths(shared)}
    lonlat = {name: np.stack([s.lon_deg, s.lat_deg], axis=1) for name, s in read.items()}
    test = np.concatenate([lonlat[name][s.split == "test"] for name, s in read.items()])
    footprints = test_footprints(shared)
    return {
        name: s.take(
            (s.split == "train")
            & ~held_out(s)
            & far_from_points(lonlat[name], test)
            & far_from_footprints(lonlat[name], footprints)
        )
        for name, s in read.items()
    }


def test_footprints(shared: Path) -> list[BaseGeometry]:
    """Footprints of all test places."""
    grounds = read_grounds(shared / "samples" / "catalog.json")
    return [shape for place in _rules(shared).test for shape in grounds[place].footprints]


def training_places(shared: Path) -> dict[str, set[str]]:
    """Names of the places of each catalog that may be trained on."""
    rules, test = _rules(shared), test_footprints(shared)
    grounds = {name: read_grounds(shared / name / "catalog.json") for name in CATALOGS}
    return {name: set(places) - set(refusals(places, test, rules)) for name, places in grounds.items()}


def training_chips(shared: Path, places: Mapping[str, set[str]], config: SkySenseConfig) -> Found:
    """Windows of the places' Sentinel imagery, with all dates."""
    spec = SampleSpec(config.cell_m, config.window_cells, config.px_per_cell, EVERY_DATE)
    samples, skipped = [], []
    for name, kept in places.items():
        catalog = read_catalog(shared / name / "catalog.json")
        mine = replace(catalog, places=tuple(place for place in catalog.places if place.name in kept))
        cut_out = windows(mine, spec, {"s2", "s1"})
        samples += cut_out.samples
        skipped += cut_out.skipped
    return Found(samples, skipped)


def simulated_chips(folder: Path, config: SkySenseConfig) -> Found:
    """Windows of the simulated landscape, which is drawn in a folder: HR beside Sentinel-2 and -1."""
    spec = SampleSpec(config.cell_m, config.window_cells, config.px_per_cell, EVERY_DATE)
    return windows(read_catalog(str(simulate(folder))), spec, set(config.modalities))


def windows(catalog: Catalog, spec: SampleSpec, modalities: Set[str]) -> Found:
    """The windows of a catalog's places that have one of these modalities."""
    plan = plan_chips(catalog, spec)
    tasks = [task for task in plan.tasks if modalities & task.series.keys()]
    samples, skipped = [], []
    for read in (*plan.skipped, *(read_sample(task, spec) for task in tasks)):
        if isinstance(read, Sample):
            samples.append(read)
            skipped += [f"{read.sample_id} {modality}: {reason}" for modality, reason in read.dropped]
        else:
            skipped.append(f"{read.sample_id}: {read.reason}")
    return Found(samples, skipped)


def aerial_images(shared: Path, places: Mapping[str, set[str]], px_per_cell: int) -> Found:
    """Aerial images at several zooms, cut to whole cells: texture at 0.1 to 0.6 m stands in for 2.5 m."""
    samples, skipped = [], []
    for name, kept in places.items():
        catalog = read_catalog(shared / name / "catalog.json")
        scenes = [(p.name, scene) for p in catalog.places if p.name in kept for scene in p.scenes]
        for place, scene in scenes:
            if scene.modality != "hr":
                continue
            try:
                rgb = read_rgb(scene.href)
            except rasterio.RasterioIOError as error:
                skipped.append(f"{scene.href}: {error}")
                continue
            samples += [_aerial(f"{place} 1:{zoom}", shrunk(rgb, zoom), px_per_cell) for zoom in HR_ZOOMS]
    return Found([sample for sample in samples if min(sample.grid_shape) >= SMALLEST_AERIAL_CELLS], skipped)


def read_rgb(href: str) -> np.ndarray:
    """(3, H, W) uint8."""
    with rasterio.open(href) as file:
        return np.asarray(file.read([1, 2, 3]))


def shrunk(rgb: np.ndarray, zoom: int) -> np.ndarray:
    """Means of zoom x zoom pixels: (3, H, W) -> (3, H // zoom, W // zoom)."""
    h, w = (side // zoom for side in rgb.shape[1:])
    blocks = rgb[:, : h * zoom, : w * zoom].reshape(3, h, zoom, w, zoom)
    return np.asarray(blocks.mean(axis=(2, 4)).astype(np.uint8))


def _aerial(name: str, rgb: np.ndarray, px_per_cell: int) -> Sample:
    h, w = (side // px_per_cell for side in rgb.shape[1:])
    pixels = rgb[None, :, : h * px_per_cell, : w * px_per_cell]
    valid = np.ones((1, *pixels.shape[2:]), dtype=bool)
    day = np.array(
        [1 + zlib.crc32(name.encode()) % 365], dtype=np.int16
    )  # any: a date must tell nothing here
    series = {"hr": ImageSeries(pixels, valid, day, ("",))}
    return _placeless(name, (h, w), series)


def _placeless(name: str, grid_shape: tuple[int, int], series: Mapping[str, ImageSeries]) -> Sample:
    """A sample whose position plays no part."""
    return Sample(
        sample_id=name, h3_cell=0, lon_deg=0.0, lat_deg=0.0, start=ANY_TIME[0], end=ANY_TIME[1],
        footprint=(), crs="", origin_m=(0.0, 0.0), grid_shape=grid_shape, series=series, valid_fraction=1.0,
        cloud_fraction=float("nan"),
    )  # fmt: skip


def _rules(shared: Path) -> SplitRules:
    return SplitRules.read(shared / "samples" / "split.json")
