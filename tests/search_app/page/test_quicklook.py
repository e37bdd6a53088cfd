"""Pictures of rows, from tiny rasters."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from PIL import Image
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds

from data.access import Access
from data.scene import BandSource
from pipeline.attached_scenes import AttachedScene
from search_app.page.quicklook import (
    Subject,
    date_in,
    draw,
    modalities,
    quicklook,
    stretch_backscatter,
    stretch_reflectance,
)

UTM = CRS.from_epsg(32632)
SIDE_M = 640


def geotiff(path: Path, pixels: np.ndarray, bands: tuple[str, ...], nodata: float | None = None) -> str:
    """Pixels (C, H, W) over the same square of 640 m, whatever their number."""
    count, height, width = pixels.shape
    transform = from_origin(500_000, 5_200_000, SIDE_M / width, SIDE_M / height)
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": pixels.dtype}
    with rasterio.open(path, "w", crs=UTM, transform=transform, nodata=nodata, **profile) as raster:
        raster.write(pixels)
        raster.descriptions = bands
    return str(path)


def footprint() -> bytes:
    bounds = (500_000, 5_200_000 - SIDE_M, 500_000 + SIDE_M, 5_200_000)
    return shapely.to_wkb(shapely.box(*transform_bounds(UTM, "OGC:CRS84", *bounds)))


def sentinel2(path: Path, blue: int, green: int, red: int) -> str:
    pixels = np.stack([np.full((64, 64), value, np.uint16) for value in (blue, green, red, 3000)])
    return geotiff(path, pixels, ("B02", "B03", "B04", "B08"), nodata=0)


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_sentinel_2_is_drawn_in_true_colour_from_its_clearest_date(tmp_path: Path) -> None:
    cloudy = sentinel2(tmp_path / "a_20210601.tif", 6000, 6000, 6000)
    clear = sentinel2(tmp_path / "b_20210701.tif", 300, 750, 1500)
    shown = draw(Subject(footprint(), (cloudy, clear)), size_px=32)
    assert shown.is_drawn
    assert shown.caption == "Sentinel-2 · 2021-07-01"
    middle = pixels_of(shown.png)[16, 16] / 255
    assert np.allclose(middle, (np.array([1500, 750, 300]) / 3000) ** (1 / 1.4), atol=0.01)


def test_north_is_up_and_the_picture_covers_the_footprint(tmp_path: Path) -> None:
    pixels = np.zeros((3, 64, 64), np.uint8)
    pixels[0, :32], pixels[2, 32:] = 200, 200  # red in the north, blue in the south
    image = geotiff(tmp_path / "aerial.tif", pixels, ("R", "G", "B"))
    shown = pixels_of(draw(Subject(footprint(), (image,)), size_px=64).png)
    assert max(shown.shape[:2]) == 64
    assert min(shown.shape[:2]) >= 60
    assert shown[10, 32].tolist() == [200, 0, 0]
    assert shown[-10, 32].tolist() == [0, 0, 200]


def test_bands_of_10_m_that_are_missing_give_an_infrared_picture(tmp_path: Path) -> None:
    pixels = np.full((3, 32, 32), 1500, np.uint16)
    image = geotiff(tmp_path / "swir.tif", pixels, ("B05", "B8A", "B12"))
    assert draw(Subject(footprint(), (image,))).caption == "Sentinel-2 · infrared B12/B8A/B05"


def test_an_attached_scene_is_drawn_band_by_band_and_said_to_be_none_of_the_rows(tmp_path: Path) -> None:
    bands = {"B02": 1300, "B03": 1750, "B04": 2500}  # of baseline 04.00: 1000 more
    sources = [
        BandSource(
            name, geotiff(tmp_path / f"{name}.tif", np.full((1, 32, 32), number, np.uint16), (name,)), 1
        )
        for name, number in bands.items()
    ]
    day = datetime(2023, 6, 1, tzinfo=UTC)
    scene = AttachedScene("s2", day, day, tuple(sources), offset=-1000)
    subject = Subject(footprint(), (), attached=(scene,))
    shown = draw(subject, size_px=16)
    assert shown.caption == "Sentinel-2 · 2023-06-01 · not what the vector is of"
    middle = pixels_of(shown.png)[8, 8] / 255
    assert np.allclose(middle, (np.array([1500, 750, 300]) / 3000) ** (1 / 1.4), atol=0.01)
    assert modalities(subject) == ["s2"]
    (tmp_path / "elsewhere").mkdir()
    refused = replace(subject, access=Access(typed=str(tmp_path / "elsewhere"), foreign=True))
    assert draw(refused).caption == "not allowed yet"


def test_power_is_shown_as_decibel(tmp_path: Path) -> None:
    pixels = np.stack([np.full((64, 64), 0.1, np.float32), np.full((64, 64), 10**-1.7, np.float32)])
    image = geotiff(tmp_path / "s1_20200105.tif", pixels, ("VV", "VH"), np.nan)
    assert pixels_of(draw(Subject(footprint(), (image,)), size_px=16).png)[8, 8].tolist() == [128, 128, 106]


def test_radar_alone_is_drawn_in_false_colour(tmp_path: Path) -> None:
    pixels = np.stack([np.full((64, 64), -10, np.float32), np.full((64, 64), -17, np.float32)])
    subject = Subject(footprint(), (geotiff(tmp_path / "s1_20200105.tif", pixels, ("VV", "VH"), np.nan),))
    shown = draw(subject, size_px=16)
    assert shown.caption == "Sentinel-1 · VV/VH · 2020-01-05"
    assert pixels_of(shown.png)[8, 8].tolist() == [128, 128, 106]
    assert modalities(subject) == ["s1"]


def test_each_modality_can_be_asked_for(tmp_path: Path) -> None:
    aerial = geotiff(tmp_path / "aerial.tif", np.full((3, 8, 8), 90, np.uint8), ("R", "G", "B"))
    subject = Subject(footprint(), (sentinel2(tmp_path / "s2.tif", 300, 300, 300), aerial))
    assert modalities(subject) == ["hr", "s2"]
    assert draw(subject).caption == "Aerial"
    assert draw(subject, "s2").caption == "Sentinel-2"


@pytest.mark.parametrize(
    ("sources", "reason"),
    [((), "no source named"), (("/no/such.tif",), "source is gone")],
)
def test_a_row_without_rasters_gets_a_placeholder_that_says_why(
    sources: tuple[str, ...], reason: str
) -> None:
    shown = quicklook(Subject(footprint(), sources), None)
    assert not shown.is_drawn
    assert shown.caption == reason
    assert pixels_of(shown.png).shape == (128, 128, 3)


def test_a_raster_of_other_bands_or_a_foreign_format_is_not_opened(tmp_path: Path) -> None:
    other = geotiff(tmp_path / "dem.tif", np.zeros((1, 8, 8), np.float32), ("height",))
    assert draw(Subject(footprint(), (other,))).caption == "no bands to show"
    vrt = tmp_path / "link.vrt"
    vrt.write_text(f'<VRTDataset rasterXSize="8" rasterYSize="8"><SRS>{other}</SRS></VRTDataset>')
    assert draw(Subject(footprint(), (str(vrt),))).caption == "source is gone"


@pytest.mark.parametrize("damage", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", "cut", "flipped", "another size"])
def test_a_damaged_picture_that_was_kept_is_drawn_again(tmp_path: Path, damage: bytes | str) -> None:
    subject = Subject(footprint(), (sentinel2(tmp_path / "s2_20210601.tif", 300, 750, 1500),))
    good = quicklook(subject, tmp_path / "kept", size_px=32)
    (kept,) = (tmp_path / "kept").iterdir()
    png = kept.read_bytes()
    odd = {
        "cut": png[:-20],
        "flipped": png[:60] + bytes([png[60] ^ 1]) + png[61:],
        "another size": quicklook(subject, None, size_px=16).png,
    }
    kept.write_bytes(damage if isinstance(damage, bytes) else odd[damage])
    assert quicklook(subject, tmp_path / "kept", size_px=32) == good
    assert kept.read_bytes() == png


def test_a_picture_is_kept_and_found_again_without_its_raster(tmp_path: Path) -> None:
    image = Path(sentinel2(tmp_path / "s2_20210701.tif", 300, 300, 300))
    subject, folder = Subject(footprint(), (str(image),)), tmp_path / "table" / ".quicklooks"
    folder.parent.mkdir()
    first = quicklook(subject, folder)
    image.unlink()
    assert quicklook(subject, folder) == first
    assert not quicklook(subject, folder, size_px=64).is_drawn


def test_a_placeholder_is_not_kept(tmp_path: Path) -> None:
    quicklook(Subject(footprint(), ("/no/such.tif",)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_keeps_nothing(tmp_path: Path) -> None:
    image = sentinel2(tmp_path / "s2.tif", 300, 300, 300)
    file = tmp_path / "not-a-folder"
    file.write_text("")
    assert quicklook(Subject(footprint(), (image,)), file / "inside").is_drawn


def test_stretches_keep_their_ends() -> None:
    land = np.full((3, 4, 4), 3000.0)
    assert stretch_reflectance(land).min() == 255
    assert stretch_reflectance(np.zeros((3, 4, 4))).max() == 0
    snow = np.full((3, 4, 4), 9000.0)
    snow[:, 0] = 4500
    assert stretch_reflectance(snow)[0, 0, 0] == round(255 * 0.5 ** (1 / 1.4))
    assert stretch_backscatter(np.full((2, 2), np.nan), np.full((2, 2), -10.0)).max() <= 255


@pytest.mark.parametrize(
    ("href", "date"),
    [
        ("s3://x/20190101/b_s2_20210704.tif", "2021-07-04"),
        ("a/2020-02-29_x.tif", "2020-02-29"),
        ("a/neon-001.tif", ""),
        ("a/12345678.tif", ""),
    ],
)
def test_the_date_is_read_from_the_files_name(href: str, date: str) -> None:
    assert date_in(href) == date


def test_a_footprint_beyond_its_raster_is_drawn_where_there_are_pixels(tmp_path: Path) -> None:
    image = geotiff(tmp_path / "aerial.tif", np.full((3, 64, 64), 200, np.uint8), ("R", "G", "B"))
    bounds = transform_bounds(
        UTM, "OGC:CRS84", 500_000 + SIDE_M / 2, 5_200_000 - SIDE_M, 500_000 + 1.5 * SIDE_M, 5_200_000
    )
    half = shapely.to_wkb(shapely.box(*bounds))
    shown = pixels_of(draw(Subject(half, (image,)), size_px=64).png)
    assert shown[32, 8].tolist() == [200] * 3
    assert shown[32, -8].tolist() == [0] * 3
    elsewhere = shapely.to_wkb(shapely.box(20, 10, 20.01, 10.01))
    assert not pixels_of(draw(Subject(elsewhere, (image,))).png).any()


def test_a_footprint_too_large_to_be_drawn_from_full_resolution_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = geotiff(tmp_path / "aerial.tif", np.full((3, 64, 64), 200, np.uint8), ("R", "G", "B"))
    monkeypatch.setattr("search_app.page.quicklook.LARGEST_PX", 1000)
    assert draw(Subject(footprint(), (image,)), size_px=8).caption == "cannot be read"
    with rasterio.open(image, "r+") as raster:
        raster.build_overviews([4])
    assert draw(Subject(footprint(), (image,)), size_px=8).caption == "Aerial"
