"""Folders of images: both layouts, units, levels and grids."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin

from data.dialects import B8A_LAST, UNNAMED_BANDS
from data.modality import S2
from data.sample import InputError, SampleSpec
from experiments.retrieval.image_bands import ten_bands
from experiments.retrieval.image_features import composites, picture, shrunk
from experiments.retrieval.image_sets import LabelledImage, _middle, read_images, to_sample
from experiments.retrieval.series_sets import SensorRules

SPEC = SampleSpec()
DIAL: dict[str, Any] = {"rules": SensorRules(), "at_most": 100, "seed": 0}
LEVEL = dict(zip(S2.bands, (300, 600, 400, 900, 2400, 2900, 3000, 3100, 1600, 800), strict=True))

EUROSAT_13 = tuple(B8A_LAST.split())


def write_tif(path: Path, pixels: np.ndarray, east: float = 500_000.0, side_m: float = 640.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bands, h, w = pixels.shape
    place = {"crs": "EPSG:32632", "transform": from_origin(east, 5e6, side_m / w, side_m / h)}
    with rasterio.open(path, "w", "GTiff", w, h, bands, dtype=pixels.dtype, **place) as raster:
        raster.write(pixels)


def scene(order: tuple[str, ...], blue: int = 300) -> np.ndarray:
    """(C, 64, 64) vegetation, the cirrus band dark."""
    level = [{**LEVEL, "B02": blue, "B10": 10}.get(band, 1000) for band in order]
    noise = np.random.default_rng(0).normal(0, 15, (len(order), 64, 64))
    return np.maximum(np.array(level)[:, None, None] + noise, 1).astype(np.uint16)


def write_big_earth_patch(folder: Path, number: int) -> None:
    """A Sentinel-2 patch of 12 px (coarse bands of 6 px) and its Sentinel-1 partner."""
    name, partner = f"S2A_{number}", f"S1A_{number}"
    east = 500_000.0 + 20_000 * number
    for band in S2.bands:
        side = 12 if band in ("B02", "B03", "B04", "B08") else 6
        pixels = np.full((1, side, side), LEVEL[band], dtype=np.uint16)
        write_tif(folder / name / f"{name}_{band}.tif", pixels, east, 120.0)
    for band, db in (("VV", -10.0), ("VH", -17.0)):
        pixels = np.full((1, 12, 12), db, dtype=np.float32)
        write_tif(folder / partner / f"{partner}_{band}.tif", pixels, east, 120.0)
    about = {"labels": ["Pastures", "Water"][: number % 2 + 1], "acquisition_date": "2017-06-13 10:10:31"}
    (folder / name / f"{name}_labels_metadata.json").write_text(json.dumps(about))
    (folder / partner / f"{partner}_labels_metadata.json").write_text(
        json.dumps({"labels": [], "corresponding_s2_patch": name})
    )


def test_a_folder_per_class_of_photographs(tmp_path: Path) -> None:
    for kind, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        (tmp_path / kind).mkdir()
        Image.new("RGB", (100, 80), colour).save(tmp_path / kind / "one.png")
    found = read_images(tmp_path, SPEC, **DIAL)
    assert found.labels == [("blue",), ("red",)]
    assert found.notes == ("no positions: split at random, so scores are higher than across places",)
    sample = found.samples[1]
    assert sample.grid_shape == (8, 8)
    assert sample.series["hr"].pixels.shape == (1, 3, 256, 256)
    assert sample.series["hr"].pixels[0, :, 0, 0].tolist() == [200, 0, 0]
    assert picture(sample)[0, 0].tolist() == pytest.approx([200 / 255, 0, 0])


def test_georeferenced_images_are_split_by_place(tmp_path: Path) -> None:
    for i in range(3):
        write_tif(tmp_path / "crop" / f"{i}.tif", scene(S2.bands), 500_000 + 60_000 * i)
    found = read_images(tmp_path, SPEC, **DIAL)
    assert len(set(found.block)) == 3
    assert found.samples[0].grid_shape == (8, 8)
    assert found.samples[0].series["s2"].valid.all()
    assert found.lon_deg[0] == pytest.approx(9.004, abs=0.001)


@pytest.mark.parametrize("order", [EUROSAT_13, tuple(UNNAMED_BANDS["s2"][13].split())])
def test_the_cirrus_band_tells_the_order(order: tuple[str, ...]) -> None:
    bands, filled = ten_bands(Path("x.tif"), scene(order), [None] * 13, {})
    assert not filled
    assert np.median(bands, axis=(1, 2)) == pytest.approx(np.array(list(LEVEL.values())), abs=5)


def test_names_in_the_file_go_before_the_number_of_bands() -> None:
    order = ("B12", "B03", "B02", "B04", "B05", "B06", "B07", "B08", "B11")
    pixels = scene(order)
    with pytest.raises(InputError, match=r"has no band B8A; .* --fill-band"):
        ten_bands(Path("x.tif"), pixels, order, {})
    bands, filled = ten_bands(Path("x.tif"), pixels, order, {"B8A": "B08"})
    wanted = [LEVEL["B08" if band == "B8A" else band] for band in S2.bands]
    assert np.median(bands, axis=(1, 2)) == pytest.approx(np.array(wanted), abs=5)
    assert filled == ("B8A filled with B08",)


def test_bands_that_nothing_names_are_refused() -> None:
    with pytest.raises(InputError, match="9 bands without names"):
        ten_bands(Path("x.tif"), scene(S2.bands)[:9], [None] * 9, {})


def test_a_missing_band_of_a_big_earth_patch_is_filled_and_said(tmp_path: Path) -> None:
    for number in range(3):
        write_big_earth_patch(tmp_path, number)
        (tmp_path / f"S2A_{number}" / f"S2A_{number}_B8A.tif").unlink()
    with pytest.raises(InputError, match="no band B8A"):
        read_images(tmp_path, SPEC, **DIAL)
    rules = SensorRules.parse(["B8A=B08"], allow_l1c=False)
    found = read_images(tmp_path, SPEC, **DIAL | {"rules": rules})
    assert "B8A filled with B08" in found.notes
    pixels = found.samples[0].series["s2"].pixels[0]
    assert (pixels[S2.bands.index("B8A")] == LEVEL["B08"]).all()


def test_l1c_is_refused_until_allowed(tmp_path: Path) -> None:
    write_tif(tmp_path / "crop" / "a.tif", scene(EUROSAT_13, blue=700))
    with pytest.raises(InputError, match="--allow-l1c"):
        read_images(tmp_path, SPEC, **DIAL)
    allowed = DIAL | {"rules": SensorRules(allow_l1c=True)}
    assert "taken as L2A" in read_images(tmp_path, SPEC, **allowed).notes[0]


def test_another_unit_fails_loudly(tmp_path: Path) -> None:
    write_tif(tmp_path / "crop" / "a.tif", np.ones((10, 64, 64), dtype=np.uint16))
    with pytest.raises(InputError, match="Convert the units"):
        read_images(tmp_path, SPEC, **DIAL)


def test_big_earth_net_joins_sensors(tmp_path: Path) -> None:
    for number in range(3):
        write_big_earth_patch(tmp_path, number)
    found = read_images(tmp_path, SPEC, **DIAL)
    assert found.labels == [("Pastures",), ("Pastures", "Water"), ("Pastures",)]
    sample = found.samples[0]
    assert sample.grid_shape == (1, 1)
    assert sample.series["s2"].pixels[0, :, 0, 0].tolist() == list(LEVEL.values())
    assert sample.series["s1"].pixels[0, :, 0, 0].tolist() == [-10, -17]
    assert sample.series["s2"].day_of_year.tolist() == [164]


def test_folders_without_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no images"):
        read_images(tmp_path, SPEC, **DIAL)
    with pytest.raises(InputError, match="is no folder"):
        read_images(tmp_path / "none", SPEC, **DIAL)


def test_small_images_are_mirrored_and_large_ones_cut() -> None:
    pixels = np.arange(12).reshape(1, 3, 4)
    assert _middle(pixels, 2).tolist() == [[[1, 2], [5, 6]]]
    assert _middle(pixels, 4)[0, 3].tolist() == pixels[0, 2].tolist()


def test_composites_average_valid_dates() -> None:
    image = LabelledImage("a", ("x",), {"s1": np.full((2, 8, 8), -10, dtype=np.float32)})
    sample = to_sample(image, 1, SPEC)
    found = composites([sample], "s1", SPEC.px_per_cell)
    assert found.shape == (1, 8, 8, 2)
    assert (found == -10).all()
    assert np.isnan(composites([sample], "s2", SPEC.px_per_cell)).all()
    assert shrunk(found, 4).shape == (1, 4 * 4 * 2)
