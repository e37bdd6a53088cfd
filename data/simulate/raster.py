"""Write one Cloud Optimized GeoTIFF so that it is there whole or not at all."""

import json
from pathlib import Path
from typing import Any

import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from .area import Area

_DIGEST_TAG = "SIMULATION"  # of the parameters that the pixels were drawn from


def transform_of(area: Area, gsd_m: float) -> Affine:
    """The grid of an area at a pixel size: from its north-west corner."""
    west, _, _, north = area.bounds_m
    return Affine(gsd_m, 0, west, 0, -gsd_m, north)


def write_cog(
    path: Path,
    pixels: NDArray[Any],  # (C, H, W)
    area: Area,
    digest: str,
    bands: tuple[str, ...],
    nodata: float | None = None,
    legend: dict[int, str] | None = None,
) -> None:
    """Write under a temporary name, then rename. The legend goes into the tag LEGEND as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    count, height, width = pixels.shape
    profile = {
        "driver": "COG",
        "dtype": pixels.dtype,
        "count": count,
        "height": height,
        "width": width,
        "crs": area.crs,
        "transform": transform_of(area, area.side_m / width),
        "nodata": nodata,
        "compress": "DEFLATE",
        "blocksize": 256,  # windows of one sample are 64 and 256 px
        "predictor": "YES" if count > 1 else "NO",
        "overview_resampling": "average" if count > 1 else "mode",
    }
    with rasterio.open(partial, "w", **profile) as raster:
        raster.write(pixels)
        raster.descriptions = bands
        raster.update_tags(SIMULATED="yes", **{_DIGEST_TAG: digest})
        if legend:
            raster.update_tags(LEGEND=json.dumps(legend))
    partial.replace(path)


def is_written(path: Path, digest: str) -> bool:
    """Whether the raster is there and was drawn from these parameters."""
    if not path.exists():
        return False
    with rasterio.open(path) as raster:
        return bool(raster.tags().get(_DIGEST_TAG) == digest)
