"""The simulated landscape: a small world whose scenes agree with its ground truth."""

import dataclasses
import json
from itertools import pairwise
from pathlib import Path

import h3
import numpy as np
import pystac
import pytest
import rasterio
from rasterio.warp import transform

from data.modality import MODALITIES
from data.sample import InputError
from data.simulate import DEFAULT_AREAS, HILLS, PLAIN, Area, simulate
from data.simulate.landscape import Landscape, make_landscape
from data.simulate.noise import block_mean, enlarge
from data.simulate.scenes import (
    LOOKS,
    SCL_CLOUDS,
    SCL_SHADOW,
    SCL_WATER,
    high_resolution,
    sentinel_1,
    sentinel_2,
    speckle,
    sun_at,
)
from data.simulate.surface import COVER, COVER_CODE

from ..tolerance import gamma

TINY = (
    Area("tiny-plain", 2.759, 49.749, 1280, PLAIN),
    Area("tiny-hills", 12.441, 47.991, 1280, HILLS),
)
GREEN, RED, NIR, SWIR = 1, 2, 6, 8


def run(out_dir: Path, **changes: object) -> Path:
    return simulate(out_dir, **({"areas": TINY, "s2_dates": 2, "s1_dates": 2} | changes))  # type: ignore[arg-type]


def items_of(catalog_path: Path) -> list[pystac.Item]:
    return list(pystac.Catalog.from_file(str(catalog_path)).get_items(recursive=True))


def rasters_of(catalog_path: Path) -> dict[str, bytes]:
    root = catalog_path.parent
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*.tif"))}


def clear_s2(land: Landscape, day: float) -> np.ndarray:
    pixels, _ = sentinel_2(land, day, 0.0, np.random.default_rng(0))
    return pixels / 10_000  # (10, h, w)


def ndvi(reflectance: np.ndarray) -> np.ndarray:
    return (reflectance[NIR] - reflectance[RED]) / (reflectance[NIR] + reflectance[RED])


def shrunk(mask: np.ndarray) -> np.ndarray:
    """Pixels with nothing but the mask one pixel around: the others see their neighbours."""
    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return np.logical_and.reduce([np.roll(mask, step, (0, 1)) for step in steps])


@pytest.fixture(scope="module")
def catalog_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("simulated"))


@pytest.fixture(scope="module")
def least(tmp_path_factory: pytest.TempPathFactory) -> Path:
    area = Area("least", 2.759, 49.749, 640)
    return simulate(tmp_path_factory.mktemp("least"), areas=(area,))


@pytest.fixture(scope="module")
def plain() -> Landscape:
    return make_landscape(Area("plain", 2.759, 49.749, 2560, PLAIN), seed=1)


@pytest.fixture(scope="module")
def hills() -> Landscape:
    return make_landscape(Area("hills", 12.441, 47.991, 2560, HILLS), seed=1)


@pytest.fixture(scope="module")
def seasons(plain: Landscape, hills: Landscape) -> dict[str, np.ndarray]:
    """Mean NDVI of each cover at the middle of each month: name -> (12,)."""
    days = [30.4 * (month + 0.5) for month in range(12)]
    covers = np.stack([land.cover() for land in (plain, hills)])
    series = np.stack([[ndvi(clear_s2(land, day)) for land in (plain, hills)] for day in days])
    return {name: series[:, covers == code].mean(axis=1) for code, name in COVER.items()}


class TestCatalog:
    def test_same_seed_same_pixels_and_another_seed_another_world(self, catalog_path: Path, tmp_path: Path):
        again, other = rasters_of(run(tmp_path / "again")), rasters_of(run(tmp_path / "other", seed=1))
        first = rasters_of(catalog_path)
        assert again == first
        assert other.keys() == first.keys()
        assert all(other[name] != first[name] for name in first)

    def test_items_are_those_asked_for_and_say_simulated(self, catalog_path: Path):
        catalog = pystac.Catalog.from_file(str(catalog_path))
        by_collection = {c.id: len(list(c.get_items())) for c in catalog.get_children()}
        assert by_collection == {"sentinel-2-l2a": 4, "sentinel-1-grd": 4, "aerial": 2}
        assert catalog.extra_fields["simulated"]
        for child in catalog.get_children():
            assert child.extra_fields["simulated"]
            assert "imulated" in child.title
        for item in items_of(catalog_path):
            assert item.properties["simulated"]
            assert item.properties["platform"] == "simulated"
            assert "constellation" not in item.properties
            assert {asset.title.split()[0] for asset in item.assets.values()} == {"Simulated"}

    def test_links_and_hrefs_are_relative(self, catalog_path: Path):
        for path in catalog_path.parent.rglob("*.json"):
            content = json.loads(path.read_text())
            hrefs = [link["href"] for link in content["links"]]
            hrefs += [asset["href"] for asset in content.get("assets", {}).values()]
            assert all(href.startswith(".") for href in hrefs), path

    def test_every_raster_is_a_cog_on_the_grid_its_item_states(self, catalog_path: Path):
        for item in items_of(catalog_path):
            for name, asset in item.assets.items():
                stated = item.properties | asset.extra_fields
                with rasterio.open(asset.get_absolute_href()) as raster:
                    assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
                    assert raster.profile["compress"] == "deflate"
                    assert raster.crs.to_string() == stated["proj:code"]
                    assert list(raster.transform) == stated["proj:transform"]
                    assert list(raster.shape) == stated["proj:shape"]
                    assert list(raster.bounds) == stated["proj:bbox"]
                    assert list(raster.descriptions) == [band["name"] for band in stated["bands"]]
                    assert raster.dtypes[0] == stated["data_type"]
                    assert raster.tags()["SIMULATED"] == "yes"
                    assert name != "labels_landcover" or json.loads(raster.tags()["LEGEND"]) == {
                        str(code): cover for code, cover in COVER.items()
                    }

    def test_data_are_in_the_units_of_real_input(self, catalog_path: Path):
        modality_of = {"sentinel-2-l2a": "s2", "sentinel-1-grd": "s1", "aerial": "hr"}
        for item in items_of(catalog_path):
            modality = MODALITIES[modality_of[item.collection_id]]
            with rasterio.open(item.assets["data"].get_absolute_href()) as raster:
                pixels, bands = raster.read(), raster.descriptions
            assert pixels.dtype == modality.dtype
            assert bands == modality.bands
            low, high = modality.valid_range
            assert pixels.min() >= low
            assert pixels.max() <= high

    def test_cloud_cover_is_that_of_the_scene_classification(self, catalog_path: Path):
        for item in (i for i in items_of(catalog_path) if "scl" in i.assets):
            with rasterio.open(item.assets["scl"].get_absolute_href()) as raster:
                cloud = np.isin(raster.read(1), SCL_CLOUDS).mean()
            assert item.properties["eo:cloud_cover"] == pytest.approx(100 * cloud, abs=0.01)

    def test_each_sensor_passes_at_its_hour_and_radar_from_both_sides(self, catalog_path: Path):
        seen = {
            (i.collection_id, f"{i.datetime:%m-%d %H:%M}", i.properties.get("sat:orbit_state"))
            for i in items_of(catalog_path)
        }
        assert seen == {
            ("aerial", "06-15 09:30", None),
            ("sentinel-2-l2a", "03-07 10:45", None),
            ("sentinel-2-l2a", "09-05 10:45", None),
            ("sentinel-1-grd", "03-18 05:45", "descending"),
            ("sentinel-1-grd", "09-16 17:15", "ascending"),
        }

    def test_clouds_come_and_go_from_date_to_date(self, tmp_path: Path):
        items = items_of(run(tmp_path, areas=TINY[:1], s2_dates=5, s1_dates=0))
        clouds = {i.datetime: i.properties["eo:cloud_cover"] for i in items if "scl" in i.assets}
        shares = [clouds[date] for date in sorted(clouds)]
        assert shares == pytest.approx([3, 12, 0, 7, 3], abs=4)  # in blocks of 20 m, each under any cloud
        assert shares[2] == 0

    def test_scenes_of_an_area_share_one_footprint(self, catalog_path: Path):
        for area in TINY:
            boxes = {tuple(i.bbox) for i in items_of(catalog_path) if i.properties["place"] == area.name}
            assert len(boxes) == 1
            west, south, east, north = boxes.pop()
            assert west < area.lon_deg < east
            assert south < area.lat_deg < north

    def test_progress_counts_scenes(self, tmp_path: Path):
        calls: list[tuple[int, int]] = []
        run(tmp_path, areas=TINY[:1], progress=lambda done, total: calls.append((done, total)))
        assert calls == [(n, 5) for n in range(1, 6)]


class TestWhatIsMadeByDefault:
    """One area of the least size, and nothing else asked for."""

    def test_four_dates_of_sentinel_2_two_of_sentinel_1_and_a_picture(self, least: Path):
        seen = sorted(f"{item.collection_id} {item.datetime:%Y-%m-%d %H:%M}" for item in items_of(least))
        assert seen == [
            "aerial 2023-06-15 09:30",
            "sentinel-1-grd 2023-03-18 05:45",
            "sentinel-1-grd 2023-09-16 17:15",
            "sentinel-2-l2a 2023-02-02 10:45",
            "sentinel-2-l2a 2023-05-04 10:45",
            "sentinel-2-l2a 2023-08-03 10:45",
            "sentinel-2-l2a 2023-11-03 10:45",
        ]
        asked = json.loads(least.read_text())["simulation:parameters"]
        assert (asked["seed"], asked["s2_dates"], asked["s1_dates"], asked["version"]) == (0, 4, 2, 1)
        assert json.loads(least.read_text())["simulated"] is True

    def test_an_item_states_its_grid_and_its_clouds(self, least: Path):
        item = next(i for i in items_of(least) if i.id == "least_s2l2a_20230202")
        stated = {name: value for name, value in item.properties.items() if ":" in name or name == "gsd"}
        assert stated == {
            "gsd": 10.0,
            "proj:code": "EPSG:32631",
            "proj:bbox": [482320.0, 5510440.0, 482960.0, 5511080.0],
            "proj:shape": [64, 64],
            "proj:transform": [10.0, 0.0, 482320.0, 0.0, -10.0, 5511080.0, 0.0, 0.0, 1.0],
            "eo:cloud_cover": stated["eo:cloud_cover"],
            "sample:cloud_shadow_cover": stated["sample:cloud_shadow_cover"],
            "sample:boa_offset": "none (simulated reflectance has no offset)",
            "sample:complete_10_bands": True,
        }
        assert item.properties["date_known"] is True
        with rasterio.open(item.assets["scl"].get_absolute_href()) as raster:
            shadow = np.mean(raster.read(1) == SCL_SHADOW)
        assert stated["sample:cloud_shadow_cover"] == pytest.approx(100 * shadow, abs=0.0051)
        lon, lat = zip(*item.geometry["coordinates"][0], strict=True)
        assert item.bbox == [min(lon), min(lat), max(lon), max(lat)]
        assert len(lon) == 5
        assert (lon[0], lat[0]) == (lon[4], lat[4])
        assert np.sum(np.diff(lon) * (np.array(lat[1:]) + lat[:-1])) < 0  # counter-clockwise

    def test_assets_state_what_their_rasters_hold(self, least: Path):
        by_id = {item.collection_id: item for item in items_of(least)}
        stated = {
            (kind, name): (
                asset.extra_fields.get("nodata"),
                asset.extra_fields["data_type"],
                asset.extra_fields.get("gsd"),
                asset.extra_fields.get("proj:shape"),
            )
            for kind, item in by_id.items()
            for name, asset in item.assets.items()
        }
        assert stated == {
            ("sentinel-2-l2a", "data"): (0, "uint16", None, None),
            ("sentinel-2-l2a", "scl"): (0, "uint8", 20.0, [32, 32]),
            ("sentinel-2-l2a", "labels_landcover"): (0, "uint8", None, [64, 64]),
            ("sentinel-1-grd", "data"): ("nan", "float32", None, None),
            ("sentinel-1-grd", "labels_landcover"): (0, "uint8", None, [64, 64]),
            ("aerial", "data"): (None, "uint8", None, None),
            ("aerial", "labels_landcover"): (0, "uint8", None, [64, 64]),
        }
        assert {kind: item.properties["gsd"] for kind, item in by_id.items()} == {
            "sentinel-2-l2a": 10.0,
            "sentinel-1-grd": 10.0,
            "aerial": 2.5,
        }

    def test_rasters_have_their_nodata_and_are_cut_into_blocks_of_256(self, least: Path):
        nodata = {}
        for item in items_of(least):
            for name, asset in item.assets.items():
                with rasterio.open(asset.get_absolute_href()) as raster:
                    nodata[f"{item.collection_id} {name}"] = str(raster.nodata)
                    assert set(raster.block_shapes) == {(256, 256)}
                    predictor = {"2", "3"} if raster.count > 1 else {None}  # of integers, of floats
                    assert raster.tags(ns="IMAGE_STRUCTURE").get("PREDICTOR") in predictor
        assert nodata == {
            "sentinel-2-l2a data": "0.0",
            "sentinel-2-l2a scl": "0.0",
            "sentinel-2-l2a labels_landcover": "0.0",
            "sentinel-1-grd data": "nan",
            "sentinel-1-grd labels_landcover": "0.0",
            "aerial data": "None",
            "aerial labels_landcover": "0.0",
        }

    def test_the_default_areas_lie_where_they_lay(self):
        assert {area.name: (area.crs, area.bounds_m) for area in DEFAULT_AREAS} == {
            "simulated-plain": ("EPSG:32631", (478720.0, 5506840.0, 486560.0, 5514680.0)),
            "simulated-hills": ("EPSG:32633", (305160.0, 5314540.0, 313000.0, 5322380.0)),
        }


class TestResume:
    def test_finished_catalog_is_left_as_it_is(self, catalog_path: Path):
        before = {p: p.stat().st_mtime_ns for p in catalog_path.parent.rglob("*") if p.is_file()}
        assert run(catalog_path.parent) == catalog_path
        assert {p: p.stat().st_mtime_ns for p in before} == before

    def test_interrupted_run_is_finished_without_drawing_again(self, catalog_path: Path, tmp_path: Path):
        class StopError(Exception):
            pass

        def stop(done: int, total: int) -> None:
            if done == 4:
                raise StopError

        with pytest.raises(StopError):
            run(tmp_path, progress=stop)
        assert not (tmp_path / "catalog.json").exists()
        before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.tif")}
        assert len(before) == 1 + 4 + 2  # land cover, four scenes, two of them with a classification
        resumed = run(tmp_path)
        assert {p: p.stat().st_mtime_ns for p in before} == before
        assert rasters_of(resumed) == rasters_of(catalog_path)
        assert not list(tmp_path.rglob("*.partial"))

    def test_other_parameters_replace_the_catalog(self, catalog_path: Path, tmp_path: Path):
        run(tmp_path, seed=5, areas=TINY[:1])
        assert rasters_of(run(tmp_path)) == rasters_of(catalog_path)
        assert len(items_of(tmp_path / "catalog.json")) == 10

    @pytest.mark.parametrize("content", ['{"type": "Catalog"}', "no json", "[]"])
    def test_a_catalog_of_someone_else_is_not_touched(self, tmp_path: Path, content: str):
        path = tmp_path / "catalog.json"
        path.write_text(content)
        with pytest.raises(InputError, match="not a simulated catalog"):
            run(tmp_path)
        assert path.read_text() == content


class TestLandCover:
    def test_each_cover_is_there_and_neighbours_agree(self, plain: Landscape, hills: Landscape):
        covers = [land.cover() for land in (plain, hills)]
        assert set(np.unique(covers)) == set(COVER)
        for cover in covers:
            assert np.mean(cover[:, 1:] == cover[:, :-1]) > 0.85
            assert np.mean(cover[1:] == cover[:-1]) > 0.85

    def test_characters_differ(self, plain: Landscape, hills: Landscape):
        def share(land: Landscape, *names: str) -> float:
            return float(np.isin(land.cover(), [COVER_CODE[name] for name in names]).mean())

        for names in (("broadleaf forest", "conifer forest"), ("grassland",)):
            assert share(hills, *names) > 1.5 * share(plain, *names)
        assert share(plain, "winter cereal", "rapeseed") > 2 * share(hills, "winter cereal", "rapeseed")
        assert np.ptp(hills.elevation_m) > 5 * np.ptp(plain.elevation_m)

    def test_fields_are_larger_in_the_plain(self, plain: Landscape, hills: Landscape):
        def median_field_m2(land: Landscape) -> float:
            names = ("winter cereal", "maize", "rapeseed")
            crop = np.isin(land.units.cover[land.unit], [COVER_CODE[name] for name in names])
            _, pixels = np.unique(land.unit[crop], return_counts=True)
            return float(np.median(pixels) * 2.5**2)

        assert median_field_m2(plain) > 3 * median_field_m2(hills)

    def test_truth_lies_where_the_scenes_show_it(self, hills: Landscape):
        truth = hills.cover() == COVER_CODE["water"]
        summer = clear_s2(hills, 200)
        seen = summer[GREEN] > summer[NIR]
        assert np.mean(seen[shrunk(truth)]) > 0.99
        assert np.mean(truth[seen]) > 0.99
        picture = high_resolution(hills, 200, np.random.default_rng(0)).astype(np.float32)
        for image in (summer[RED] + summer[GREEN], block_mean(picture[0] + picture[1], 4)):
            steps = [(0, 0), (0, 2), (0, -2), (2, 0), (-2, 0)]
            contrast = [
                image[~moved].mean() - image[moved].mean()
                for moved in (np.roll(truth, step, (0, 1)) for step in steps)
            ]
            assert np.argmax(contrast) == 0

    def test_cover_is_the_commonest_of_the_fine_pixels(self, hills: Landscape):
        fine = hills.units.cover[hills.unit]
        row, column = 37, 101
        square = fine[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        assert hills.cover()[row, column] == np.bincount(square.ravel()).argmax()


class TestSentinel2:
    def test_crops_peak_when_their_calendar_says(self, seasons: dict[str, np.ndarray]):
        peak_month = {name: series.argmax() + 1 for name, series in seasons.items()}
        assert peak_month["winter cereal"] in (5, 6)
        assert peak_month["maize"] in (7, 8)
        assert peak_month["rapeseed"] in (4, 6)  # between them it blooms
        assert seasons["maize"][4] < 0.35  # bare in May
        assert seasons["winter cereal"][7] < 0.45  # stubble in August

    def test_rapeseed_blooms_yellow_in_may(self, plain: Landscape):
        rapeseed = plain.cover() == COVER_CODE["rapeseed"]
        april, may, june = (clear_s2(plain, day)[:, rapeseed].mean(axis=1) for day in (95, 124, 155))
        assert may[RED] > 2 * max(april[RED], june[RED])
        assert may[GREEN] > 1.5 * max(april[GREEN], june[GREEN])

    def test_leaves_fall_and_needles_stay(self, seasons: dict[str, np.ndarray]):
        broadleaf, conifer = seasons["broadleaf forest"], seasons["conifer forest"]
        assert broadleaf[[0, 1, 11]].max() < 0.55 < 0.75 < broadleaf[5:9].min()
        assert np.ptp(conifer) < 0.25
        assert seasons["grassland"].min() > 0.4
        assert seasons["water"].max() < 0.3  # the river's banks mix in

    def test_seasons_turn_in_the_south(self, plain: Landscape):
        south = dataclasses.replace(plain, area=dataclasses.replace(plain.area, lat_deg=-35.0))
        maize = plain.cover() == COVER_CODE["maize"]
        january, july = (ndvi(clear_s2(south, day))[maize].mean() for day in (40, 220))
        assert january > 0.6 > 0.4 > july

    def test_water_is_dark_in_the_near_infrared(self, hills: Landscape):
        cover, summer = hills.cover(), clear_s2(hills, 200)
        assert np.median(summer[NIR][cover == COVER_CODE["water"]]) < 0.03
        assert all(np.median(summer[NIR][cover == c]) > 0.1 for c in COVER if c != COVER_CODE["water"])

    def test_fields_of_one_crop_differ_more_than_pixels_of_one_field(self, plain: Landscape):
        nir = clear_s2(plain, 150)[NIR]
        unit = plain.unit[2::4, 2::4]
        cereal = plain.cover() == COVER_CODE["winter cereal"]
        fields, pixels = np.unique(unit[cereal], return_counts=True)
        large = [nir[cereal & (unit == field)] for field in fields[pixels > 150]]
        means, inner = np.array([f.mean() for f in large]), np.array([f.std() for f in large])
        assert len(large) > 5
        assert means.std() > 0.5 * np.median(inner) > 0

    def test_bands_of_20_metres_come_in_squares(self, plain: Landscape):
        b11 = block_mean(clear_s2(plain, 200)[SWIR].astype(np.float32), 2)
        b04 = block_mean(clear_s2(plain, 200)[RED].astype(np.float32), 2)
        rough = [
            np.abs(np.kron(mean, np.ones((2, 2))) - band).mean() / band.mean()
            for mean, band in zip((b11, b04), clear_s2(plain, 200)[[SWIR, RED]], strict=True)
        ]
        assert rough[0] < 0.015 < rough[1]

    def test_scene_classification_matches_the_clouds(self, hills: Landscape):
        cloudy, scl = sentinel_2(hills, 130, 0.2, np.random.default_rng(3))
        clear, clear_scl = sentinel_2(hills, 130, 0.0, np.random.default_rng(3))
        scl, clear_scl = (np.kron(mask, np.ones((2, 2), np.uint8)) for mask in (scl, clear_scl))
        cloud, shadow = np.isin(scl, SCL_CLOUDS), scl == SCL_SHADOW
        assert cloud.mean() == pytest.approx(0.2, abs=0.03)
        assert not np.isin(clear_scl, (*SCL_CLOUDS, SCL_SHADOW)).any()
        change = cloudy[0].astype(float) / clear[0]  # blue
        assert np.median(change[cloud]) > 3
        assert np.median(change[shadow]) < 0.8
        assert np.median(change[~cloud & ~shadow]) == pytest.approx(1, abs=0.01)
        assert np.mean((change > 2) & ~cloud) < 0.01
        water = hills.cover() == COVER_CODE["water"]
        assert np.mean(clear_scl[shrunk(water)] == SCL_WATER) > 0.95
        assert np.mean(water[clear_scl == SCL_WATER]) > 0.95

    def test_shadows_point_away_from_the_sun(self):
        morning = sun_at(48, 172)
        assert 0 < morning.azimuth_rad < np.pi
        assert sun_at(48, 172).elevation_rad > sun_at(48, 355).elevation_rad > 0
        assert sun_at(48, 172, 0.0).elevation_rad == pytest.approx(np.radians(90 - 48 + 23.45), abs=1e-3)


class TestSentinel1:
    def test_speckle_has_the_looks_it_says(self):
        noise = speckle(np.random.default_rng(0), 512)
        assert noise.mean() == pytest.approx(1, abs=0.01)
        assert noise.std() == pytest.approx(LOOKS**-0.5, rel=0.02)
        assert np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1] > 0.05

    def test_speckle_multiplies(self, hills: Landscape):
        """Dark water and bright forest vary by the same share of their mean."""
        level = dataclasses.replace(hills, elevation_m=np.zeros_like(hills.elevation_m))
        power = 10 ** (sentinel_1(level, 200, True, np.random.default_rng(0))[0] / 10)
        cover = hills.units.cover[hills.unit]
        for name in ("water", "conifer forest"):
            pure = block_mean((cover == COVER_CODE[name]).astype(np.float32), 16) == 1  # nothing else in 40 m
            inside = power[np.kron(pure, np.ones((4, 4), bool))]
            assert inside.size > 400
            assert inside.std() / inside.mean() == pytest.approx(LOOKS**-0.5, rel=0.12)

    def test_water_is_dark_and_town_bright(self, hills: Landscape):
        cover, (vv, vh) = hills.cover(), sentinel_1(hills, 160, False, np.random.default_rng(0))
        mean_db = {
            name: 10 * np.log10(np.mean(10 ** (vv[cover == code] / 10))) for code, name in COVER.items()
        }
        assert min(mean_db, key=mean_db.__getitem__) == "water"
        assert max(mean_db, key=mean_db.__getitem__) == "town"
        assert mean_db["water"] < -16
        assert mean_db["town"] > -7.5
        assert 4 < np.median(vv - vh) < 9

    def test_canopies_change_the_backscatter(self, plain: Landscape):
        cover = plain.cover()
        march, june, august = (
            sentinel_1(plain, day, True, np.random.default_rng(4)) for day in (75, 150, 225)
        )
        cereal, maize = cover == COVER_CODE["winter cereal"], cover == COVER_CODE["maize"]
        assert june[0][cereal].mean() < march[0][cereal].mean() - 1.5  # stems absorb VV
        assert august[1][maize].mean() > march[1][maize].mean() + 2  # VH grows with the plants

    def test_slopes_facing_the_radar_are_brighter(self, hills: Landscape):
        up, down = (sentinel_1(hills, 100, side, np.random.default_rng(0))[0] for side in (True, False))
        rises_east = np.gradient(hills.elevation_m, axis=1)
        assert np.corrcoef((up - down).ravel(), rises_east.ravel())[0, 1] > 0.5


class TestHighResolution:
    def test_texture_tells_woods_from_water(self, hills: Landscape):
        picture = high_resolution(hills, 166, np.random.default_rng(0))[1].astype(np.float32)
        fine = hills.units.cover[hills.unit]
        step = np.abs(np.diff(picture, axis=1))
        same = fine[:, 1:] == fine[:, :-1]
        rough = {name: step[same & (fine[:, 1:] == code)].mean() for code, name in COVER.items()}
        assert rough["conifer forest"] > 5 * rough["water"]
        assert rough["town"] > 5 * rough["water"]
        assert rough["broadleaf forest"] > 1.5 * rough["grassland"]


class TestNoise:
    def test_enlarge_keeps_planes_and_block_mean_undoes_it(self):
        y, x = np.mgrid[:9, :9].astype(np.float32)
        plane = 3 * y - 2 * x + 1
        fine = enlarge(plane, 4, slice(0, 36))
        atol = 2 * gamma(8 + 16) * np.abs(plane).max()  # two interpolations of 4, and a mean of 16
        np.testing.assert_allclose(np.diff(fine[4:-4, 4:-4], axis=0), 0.75, rtol=0, atol=atol)
        np.testing.assert_allclose(block_mean(fine, 4)[1:-1, 1:-1], plane[1:-1, 1:-1], rtol=0, atol=atol)
        np.testing.assert_array_equal(enlarge(plane, 4, slice(10, 20)), fine[10:20])


class TestAreas:
    def test_default_areas_lie_in_two_regions_and_zones_with_over_a_thousand_cells(self):
        cells_of = {area.name: full_cells(area) for area in DEFAULT_AREAS}
        assert 1050 <= sum(map(len, cells_of.values())) <= 1150
        for resolution in (3, 4):
            regions = [{h3.cell_to_parent(c, resolution) for c in cells} for cells in cells_of.values()]
            assert [len(r) for r in regions] == [1, 1]
            assert all(a.isdisjoint(b) for a, b in pairwise(regions))
        assert [area.crs for area in DEFAULT_AREAS] == ["EPSG:32631", "EPSG:32633"]

    def test_southern_zone(self):
        assert Area("south", 147.3, -42.9, 640).crs == "EPSG:32755"

    @pytest.mark.parametrize("side_m", [0, 620, 630, 1010])
    def test_a_side_off_the_common_grid_is_refused(self, side_m: float):
        with pytest.raises(InputError, match="multiple of 20 m"):
            Area("bad", 0.0, 0.0, side_m)


def full_cells(area: Area) -> list[str]:
    """H3 cells of resolution 9 whose window of 640 m lies inside the area."""
    west, south, east, north = area.bounds_m
    cells = h3.grid_disk(h3.latlng_to_cell(area.lat_deg, area.lon_deg, 9), 40)
    lat, lon = zip(*map(h3.cell_to_latlng, cells), strict=True)
    x, y = transform("EPSG:4326", area.crs, lon, lat)
    return [
        cell
        for cell, x_m, y_m in zip(cells, x, y, strict=True)
        if west + 320 <= x_m <= east - 320 and south + 320 <= y_m <= north - 320
    ]
