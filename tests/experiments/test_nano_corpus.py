"""What training may see: no test place and nothing near one; what cannot be read is listed, not fatal."""

import json
from pathlib import Path

import h3
import numpy as np
import pytest
import shapely

from data.sample import InputError
from data.simulate import HILLS, PLAIN, Area, simulate
from data.training_rules import BUFFER_M, SplitRules, read_grounds
from encoder.config import preset
from experiments import nano_corpus

from .make_series import write_series

HELD, NEAR, FAR, VALIDATION = "held", "near", "far", "choose"
NANO = preset("nano")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Two catalogs whose places lie at a test place, 3 km beside it and far away, and two files of series."""
    areas = {HELD: (10.0, 47.0), NEAR: (10.04, 47.0), FAR: (12.0, 48.0), VALIDATION: (14.0, 48.0)}
    made = [Area(name, *lonlat, 640, HILLS) for name, lonlat in areas.items()]
    simulate(tmp_path / "samples", areas=tuple(made), s2_dates=2, s1_dates=1)
    simulate(tmp_path / "corpus", areas=(Area("beside", 10.0, 47.03, 640, PLAIN),), s2_dates=2, s1_dates=1)
    for path in tmp_path.glob("*/*/*/*.json"):
        item = json.loads(path.read_text())
        item["properties"]["license"] = "CC0-1.0"
        path.write_text(json.dumps(item))
    split = {"test": [HELD], "validation": [VALIDATION], "unused_in_training": []}
    (tmp_path / "samples" / "split.json").write_text(json.dumps(split))
    (tmp_path / "eval").mkdir()
    write_series(tmp_path / "eval" / "presto_fuel_moisture.parquet", n=96)
    write_series(tmp_path / "eval" / "us_cdl2021_dekad_a.parquet", n=96, **near_its_neighbour())
    return tmp_path


def near_its_neighbour() -> dict[str, object]:
    """Places of a second file: the first four are train rows beside a test row of the other one."""
    block = (np.arange(96) // 2) % 12
    lon, lat = 105.0 + block, np.full(96, 45.0)
    lon[:4], lat[:4] = 5.0, 45.03  # 3 km north of the first file's block 0, which is test
    cells = [h3.latlng_to_cell(y, x, 4) for x, y in zip(lon, lat, strict=True)]
    return {"lon": lon, "lat": lat, "block": cells, "split": ["train"] * 96}


def test_places_near_a_test_place_are_not_trained_on(small: Path) -> None:
    assert nano_corpus.training_places(small) == {"samples": {FAR}, "corpus": set()}


def test_series_near_a_test_place_of_any_file_are_not_trained_on(small: Path) -> None:
    found = nano_corpus.training_series(small)
    first, second = found["presto_fuel_moisture"], found["us_cdl2021_dekad_a"]
    assert (first.split == "train").all()
    assert 0 < len(first) < 64  # of 64 train rows; validation blocks are out, too
    assert 0 < len(second) <= 92
    assert (second.lon_deg > 100).all()


def test_images_that_cannot_be_read_are_listed_and_the_rest_is_kept(small: Path) -> None:
    places = {"samples": {FAR, NEAR}}
    for pattern in (f"sentinel-1-grd/{FAR}_*/*.tif", f"aerial/{FAR}_*/*.tif"):
        (raster,) = (small / "samples").glob(pattern)
        raster.write_bytes(b"no raster")
    chips = nano_corpus.training_chips(small, places, NANO)
    assert {tuple(sample.series) for sample in chips.samples if sample.sample_id.startswith(FAR)} == {("s2",)}
    assert {tuple(s.series) for s in chips.samples if s.sample_id.startswith(NEAR)} == {("hr", "s2", "s1")}
    assert sorted(reason.split(":")[0] for reason in chips.skipped) == [f"{FAR} hr", f"{FAR} s1"]
    aerial = nano_corpus.aerial_images(small, places, 32)
    assert {sample.sample_id.split()[0] for sample in aerial.samples} == {NEAR}
    (lost,) = aerial.skipped
    assert f"{FAR}_" in lost


def test_series_that_cannot_be_read_stop_because_their_test_places_are_not_known(small: Path) -> None:
    path = small / "eval" / "us_cdl2021_dekad_a.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:2000] + b"\0" * (len(whole) // 2) + whole[2000 + len(whole) // 2 :])
    with pytest.raises(InputError, match=r"us_cdl2021_dekad_a\.parquet is no Parquet file that can be read"):
        nano_corpus.training_series(small)


def test_no_real_footprint_that_is_trained_on_meets_a_test_place(shared: Path) -> None:
    """By intersecting footprints of what the reader of training takes, both catalogs and all series."""
    degrees = BUFFER_M / 111_195  # at least 5 km north and south, less east and west
    forbidden = shapely.union_all([shape.buffer(degrees) for shape in nano_corpus.test_footprints(shared)])
    kept = nano_corpus.training_places(shared)
    assert all(kept[name] for name in nano_corpus.CATALOGS)
    for name, places in kept.items():
        grounds = read_grounds(shared / name / "catalog.json")
        assert not any(shape.intersects(forbidden) for p in places for shape in grounds[p].footprints)
    held = SplitRules.read(shared / "samples" / "split.json")
    assert not kept["samples"] & (held.test | held.validation | held.unused)
    for series in nano_corpus.training_series(shared).values():
        assert (series.split == "train").all()
        assert not shapely.intersects_xy(forbidden, series.lon_deg, series.lat_deg).any()
