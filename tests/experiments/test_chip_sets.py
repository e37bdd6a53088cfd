"""Patches of label rasters: cut where they should be, labelled by the majority, places held apart."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from data.grid import PixelGrid
from data.modality import S2
from data.sample import ANY_TIME, ImageSeries, InputError, Sample, SampleSpec
from data.scene import BandSource, Scene
from data.stac import Catalog, Place
from experiments.retrieval.chip_case import _of_split, patch_problem
from experiments.retrieval.chip_sets import (
    LabelRaster,
    PatchSet,
    cut,
    majority_label,
    patches_of,
    read_patches,
    with_bands,
)
from experiments.retrieval.legends import common_name
from experiments.retrieval.series_sets import SensorRules

CELL_M = 80.0
NAMES = {1: "water", 2: "trees"}


def sample_of(cells: int = 2) -> Sample:
    """Two dates of S1 whose pixels tell their position; the second is valid in the right half alone."""
    side = cells * 8
    y, x = np.mgrid[:side, :side]
    pixels = np.broadcast_to((y * 100 + x).astype(np.float32), (2, 2, side, side))
    valid = np.ones((2, side, side), dtype=bool)
    valid[1, :, : side // 2] = False
    series = {"s1": ImageSeries(pixels, valid, np.array([10, 20], dtype=np.int16), ("a", "b"))}
    origin, grid = (500_000.0, 5_000_000.0), (cells, cells)
    return Sample("place", 0, 9.0, 45.0, *ANY_TIME, (), "EPSG:32632", origin, grid, series, 1.0, 0.0)


def write_labels(path: Path, codes: np.ndarray) -> Path:
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_000_000, 10, 10)}
    with rasterio.open(path, "w", "GTiff", *codes.shape[::-1], 1, dtype="uint8", **place) as raster:
        raster.write(codes.astype(np.uint8), 1)
    return path


def test_a_patch_is_the_pixels_of_its_cell() -> None:
    patch = cut(sample_of(), 1, 0, 1, CELL_M)
    assert patch is not None
    assert patch.origin_m == (500_000, 5_000_000 - 80)
    assert patch.series["s1"].pixels[0, 0, 0, 0] == 800
    assert patch.series["s1"].source_items == ("a",)  # the other date is not valid there
    assert patch.grid_shape == (1, 1)


def test_patches_carry_the_label_below_them(tmp_path: Path) -> None:
    codes = np.repeat(np.repeat([[1, 2], [2, 0]], 8, axis=0), 8, axis=1)
    codes[:3, :8] = 2
    labels = LabelRaster(str(write_labels(tmp_path / "l.tif", codes)), NAMES)
    found = [(p.sample_id, label, share) for p, label, share in patches_of(sample_of(), labels, 1, CELL_M)]
    assert found == [("place@0_0", "water", 5 / 8), ("place@0_1", "trees", 1), ("place@1_0", "trees", 1)]


def test_half_of_a_patch_must_be_labelled() -> None:
    assert majority_label(np.array([1, 1, 2, 9]), NAMES) == ("water", 2 / 3)
    assert majority_label(np.array([1, 9, 9, 9]), NAMES) is None


def test_legends_meet_in_common_names() -> None:
    assert common_name("Cultivated land") == common_name("temporary crops") == "crops"
    assert common_name("clouds") is None
    assert common_name("Lava ") == "lava"


def patch_set(places: str, labels: str) -> PatchSet:
    n = len(places)
    lonlat = np.arange(n, dtype=float), np.zeros(n)
    return PatchSet("tiny", [sample_of()] * n, np.array(list(labels)), np.array(list(places)), *lonlat, ())


def test_queries_need_their_class_at_another_place() -> None:
    problem = patch_problem(patch_set("aabbc", "xyxzx"), np.ones(5, dtype=bool))
    assert problem.queries.tolist() == [0, 2, 4]
    assert [fold.database.tolist() for fold in problem.folds] == [[2, 3, 4], [0, 1, 4], [0, 1, 2, 3]]
    assert "2 patches not asked: no other place has their class" in problem.notes


def test_places_without_a_class_in_common_are_refused() -> None:
    with pytest.raises(InputError, match="no class is found at two"):
        patch_problem(patch_set("ab", "xy"), np.ones(2, dtype=bool))


def test_validation_sees_no_test_place(tmp_path: Path) -> None:
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"test": ["b"], "validation": [], "unused_in_training": []}))
    patches = patch_set("aabbc", "xyxzx")
    shown, asked = _of_split(patches, split, "validation")
    assert (shown.place.tolist(), asked.all()) == (list("aac"), True)
    shown, asked = _of_split(patches, split, "test")
    assert (len(shown), shown.place[asked].tolist()) == (5, ["b", "b"])


def scene_of(bands: tuple[str, ...]) -> Scene:
    sources = tuple(BandSource(band, "x.tif", i) for i, band in enumerate(bands, start=1))
    grid = PixelGrid("EPSG:32632", (10, 0, 500_000, 0, -10, 5_000_000), (8, 8))
    return Scene("i", "p", "s2", "L2A", sources, grid, None, *ANY_TIME)


def test_a_missing_band_is_read_from_its_stand_in() -> None:
    nine = tuple(band for band in S2.bands if band != "B8A")
    places = (Place("lacks", (scene_of(nine),)), Place("whole", (scene_of(S2.bands),)))
    catalog, filled = with_bands(Catalog("", "", places, simulated=False), {"B8A": "B08"})
    (first, second) = catalog.scenes
    assert filled == {"lacks": "B8A filled with B08"}
    assert (first.missing_bands, second) == ((), scene_of(S2.bands))
    index = {band.name: band.index for band in first.bands}
    assert tuple(index) == S2.bands
    assert index["B8A"] == index["B08"] == nine.index("B08") + 1


def test_real_label_rasters(shared: Path) -> None:
    catalog = shared / "samples" / "catalog.json"
    found = read_patches(
        catalog, SampleSpec(), cells=4, rules=SensorRules(allow_l1c=True), per_place=3, seed=0
    )
    assert {"brazil-1", "slovenia-1", "flanders-1"} <= set(found.place)
    assert set(found.label) <= {
        "water",
        "trees",
        "crops",
        "built",
        "bare",
        "snow",
        "grass or shrub",
        "wetland",
    }
    assert all((found.place == place).sum() <= 3 for place in found.place)
    assert found.lat_deg[found.place == "brazil-1"] == pytest.approx(-25.3, abs=0.1)
    assert "no legend, left out: hesbaye-1" in found.notes
