"""A user's own virtual raster opens, and reads nothing that the rule does not allow."""

from pathlib import Path

import numpy as np
import pytest
from rasterio.crs import CRS

from data import vrt as vrt_module
from data.access import Access, UnreachableError, using
from data.grid import Window
from data.sample import InputError
from data.window_pixels import read_window

from .conftest import LEFT, TOP, UTM32, write_raster
from .servers import serving

WINDOW = Window(UTM32, LEFT, TOP, 320, 160, 80.0)


def vrt(sources: list[tuple[str, bool]], extra: str = "", band: str = "") -> str:
    """Two rasters of 16 x 16 pixels side by side."""
    simple = "".join(
        f"""<SimpleSource><SourceFilename relativeToVRT="{int(relative)}">{name}</SourceFilename><SourceBand>1
        </SourceBand><SrcRect xOff="0" yOff="0" xSize="16" ySize="16"/><DstRect xOff="{16 * i}" yOff="0"
        xSize="16" ySize="16"/></SimpleSource>"""
        for i, (name, relative) in enumerate(sources)
    )
    return f"""<VRTDataset rasterXSize="32" rasterYSize="16"><SRS>{CRS.from_string(UTM32).to_wkt()}</SRS>
      <GeoTransform>{LEFT}, 10, 0, {TOP}, 0, -10</GeoTransform>{extra}
      <VRTRasterBand dataType="UInt16" band="1"{band}>{simple}</VRTRasterBand></VRTDataset>"""


def raster(path: Path, value: int) -> Path:
    return write_raster(path, np.full((1, 16, 16), value, np.uint16))


def read(path: Path, **allowed: tuple[str, ...]) -> np.ndarray:
    with using(Access(typed=str(path), wait_s=2, tries=2, **allowed)):
        return read_window(str(path), [1], WINDOW, 10.0)[0][0]


def test_sources_beside_it_on_a_server_and_within_another(tmp_path: Path) -> None:
    raster(tmp_path / "a.tif", 7)
    raster(tmp_path / "far" / "b.tif", 9)
    with serving(tmp_path / "far") as served:
        inner = tmp_path / "inner.vrt"
        inner.write_text(vrt([(f"/vsicurl/{served.url}/b.tif", False)]))
        path = tmp_path / "all.vrt"
        path.write_text(vrt([("a.tif", True), ("inner.vrt", True)]))
        with pytest.raises(UnreachableError, match="--allow-host"):
            read(path)
        assert served.requests == []
        found = read(path, hosts=("127.0.0.1",))
        assert (found[:, :16] == 7).all()
        assert (found[:, 16:] == 9).all()


@pytest.mark.usefixtures("short_waits")
def test_a_source_that_does_not_answer_is_no_nodata(tmp_path: Path) -> None:
    raster(tmp_path / "far" / "b.tif", 9)
    with serving(tmp_path / "far") as served:
        path = tmp_path / "x.vrt"
        path.write_text(vrt([(f"{served.url}/b.tif", False)]))
        served.fault = lambda handler, number: handler.give(503) is None
        with pytest.raises(UnreachableError):
            read(path, hosts=("127.0.0.1",))


def test_local_sources_outside_the_folder_are_refused_unless_allowed(tmp_path: Path) -> None:
    outside = raster(tmp_path / "other" / "a.tif", 7)
    path = tmp_path / "catalog" / "x.vrt"
    path.parent.mkdir()
    path.write_text(vrt([("../other/a.tif", True)]))
    with pytest.raises(UnreachableError, match="--allow-path"):
        read(path)
    assert (read(path, paths=(str(outside.parent),))[:, :16] == 7).all()


def test_one_in_a_circle_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.vrt"
    path.write_text(vrt([("x.vrt", True)]))
    with pytest.raises(InputError, match="in a circle"):
        read(path)


@pytest.mark.parametrize(
    ("extra", "band"),
    [("<OverviewList/>", ' subClass="VRTRawRasterBand"'), ("", ' subClass="VRTDerivedRasterBand"')],
)
def test_one_that_does_more_than_place_rasters_is_refused(tmp_path: Path, extra: str, band: str) -> None:
    raster(tmp_path / "a.tif", 7)
    path = tmp_path / "x.vrt"
    path.write_text(vrt([("a.tif", True)], extra, band))
    with pytest.raises(InputError, match="does more than place other rasters"):
        read(path)


@pytest.mark.parametrize(
    "element",
    [
        "PixelFunctionCode", "PixelFunctionType", "GeoLocTransformer", "RPCTransformer", "DEMPath",
        "PansharpeningOptions", "ProcessingSteps", "Group", "OpenOptions", "Input",
    ],
)  # fmt: skip
def test_what_runs_code_or_names_files_in_its_own_way_is_refused(tmp_path: Path, element: str) -> None:
    raster(tmp_path / "a.tif", 7)
    path = tmp_path / "x.vrt"
    path.write_text(vrt([("a.tif", True)], f"<{element}/>"))
    with pytest.raises(InputError, match="does more than place other rasters"):
        read(path)


@pytest.mark.parametrize(
    "before", ["<!DOCTYPE VRTDataset>", " " * vrt_module.MAX_BYTES], ids=["entities", "giant"]
)
def test_one_with_entities_or_of_giant_size_is_refused(tmp_path: Path, before: str) -> None:
    raster(tmp_path / "a.tif", 7)
    path = tmp_path / "x.vrt"
    path.write_text("<!-- -->" + before + vrt([("a.tif", True)]))
    with pytest.raises(InputError, match="no virtual raster as GDAL writes them"):
        read(path)


def test_a_source_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text(vrt([("b.tif", True)]))
    path = tmp_path / "x.vrt"
    path.write_text(vrt([("a.tif", True)]))
    with pytest.raises(InputError, match="not a raster that can be read"):
        read(path)


def test_only_a_local_file_named_so_is_one(tmp_path: Path) -> None:
    raster(tmp_path / "a.tif", 7)
    path = tmp_path / "x.tif"
    path.write_text(vrt([("a.tif", True)]))
    with pytest.raises(InputError, match="not a raster that can be read"):
        read(path)
