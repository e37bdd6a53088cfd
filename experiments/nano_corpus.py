"""What skyhex/nano-1 sees: pixel series, chips and aerial images that split and terms allow."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import rasterio
from shapely.geometry.base import BaseGeometry

from data.cover import plan_chips
from data.pixel_series import PixelSeries, read_pixel_series
from data.reader import read_sample
from data.sample import ImageSeries, Sample, SampleSpec
from data.stac import Catalog, read_catalog
from data.training_rules import SplitRules, far_from_footprints, far_from_points, read_grounds, refusals
from encoder.config import SkySenseConfig
from encoder.corpus import Corpus, PixelSamples, Source
from experiments.retrieval.validation import held_out

CATALOGS = ("samples", "corpus")
SERIES = {  # share of the steps, dates of a view
    "us_cdl2021_dekad_a": (0.20, {"s2": (3, 9)}),
    "us_cdl2021_dekad_b": (0.20, {"s2": (3, 9)}),
    "presto_algae_blooms": (0.09, {"s2": (2, 6), "s1": (2, 5)}),
    "presto_fuel_moisture": (0.09, {"s2": (1, 2), "s1": (1, 2)}),
    "worldcereal_fra2022_monthly": (0.07, {"s2": (2, 8), "s1": (2, 6)}),
    "worldcereal_fra2023_dekad": (0.07, {"s2": (3, 8), "s1": (2, 8)}),
    "worldcereal_public_africa": (0.07, {"s2": (2, 6), "s1": (2, 6)}),
}
SERIES_BATCH = 48
CHIP_DATES = {"hr": (1, 1), "s2": (1, 4), "s1": (1, 3)}
EVERY_DATE = {"hr": 1, "s2": 40, "s1": 30}
HR_ZOOMS = (1, 2, 4)  # an aerial image is shown at its own pixel size and at these multiples of it
BEFORE, AFTER = datetime(2015, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def build_corpus(shared: Path, config: SkySenseConfig) -> Corpus:
    """Everything that nano-1 is trained on, from the folder of samples/, corpus/, eval/ and series/."""
    px = config.px_per_cell
    sources = []
    for name, series in training_series(shared).items():
        share, dates = SERIES[name]
        places = PixelSamples(series, px)
        sources.append(Source(name, places, share, SERIES_BATCH, (1, 1), dates, h3_cells=places.cells))
    chips = training_chips(shared, config)
    radar = [sample for sample in chips if {"s1", "s2"} <= sample.series.keys()]
    optical = [sample for sample in chips if sample.series.keys() == {"s2"}]
    aerial = aerial_images(shared, px["hr"])
    sources += [
        Source("chips with S1 and S2", radar, 0.06, 16, (1, 3), CHIP_DATES),
        Source("chips with S2", optical, 0.07, 16, (1, 4), CHIP_DATES),
        Source("aerial, one window", aerial, 0.04, 8, (3, 4), CHIP_DATES),
        Source("aerial, two windows", aerial, 0.05, 8, (3, 4), CHIP_DATES, same_window=False),
    ]
    return Corpus(tuple(sources), px)


def series_paths(shared: Path) -> list[Path]:
    """The files of pixel series, in the order of SERIES."""
    return [path for name in SERIES for path in shared.glob(f"*/{name}.parquet")]


def training_series(shared: Path) -> dict[str, PixelSeries]:
    """Train places of all files: none near a test place of any, none of a validation block."""
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


def training_chips(shared: Path, config: SkySenseConfig) -> list[Sample]:
    """Windows of the places' Sentinel imagery, with all dates."""
    spec = SampleSpec(config.cell_m, config.window_cells, config.px_per_cell, EVERY_DATE)
    found = []
    for name, places in training_places(shared).items():
        read = read_catalog(shared / name / "catalog.json")
        kept = tuple(place for place in read.places if place.name in places)
        plan = plan_chips(Catalog(read.href, read.title, kept, read.simulated), spec)
        found += [read_sample(task, spec) for task in plan.tasks if {"s2", "s1"} & task.series.keys()]
    return [sample for sample in found if isinstance(sample, Sample)]


def aerial_images(shared: Path, px_per_cell: int) -> list[Sample]:
    """Aerial images at several zooms, cut to whole cells: texture at 0.1 to 0.6 m stands in for 2.5 m."""
    images = []
    for name, places in training_places(shared).items():
        for place in read_catalog(shared / name / "catalog.json").places:
            hrefs = [scene.href for scene in place.scenes if scene.modality == "hr" and place.name in places]
            images += [(place.name, read_rgb(href)) for href in hrefs]
    zoomed = [(f"{name} 1:{zoom}", shrunk(rgb, zoom)) for name, rgb in images for zoom in HR_ZOOMS]
    return [_aerial(name, rgb, px_per_cell) for name, rgb in zoomed if min(rgb.shape[1:]) >= 3 * px_per_cell]


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
    series = {"hr": ImageSeries(pixels, valid, np.zeros(1, dtype=np.int16), ("",))}
    return _placeless(name, (h, w), series)


def _placeless(name: str, grid_shape: tuple[int, int], series: Mapping[str, ImageSeries]) -> Sample:
    """A sample whose position plays no part."""
    return Sample(
        sample_id=name, h3_cell=0, lon_deg=0.0, lat_deg=0.0, start=BEFORE, end=AFTER, footprint=(), crs="",
        origin_m=(0.0, 0.0), grid_shape=grid_shape, series=series, valid_fraction=1.0,
        cloud_fraction=float("nan"),
    )  # fmt: skip


def _rules(shared: Path) -> SplitRules:
    return SplitRules.read(shared / "samples" / "split.json")
