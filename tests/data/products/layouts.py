"""Small files in the layouts of published products, and what each H3 cell of them holds, pixel by pixel."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import h3
import numpy as np
import rasterio
from rasterio.transform import Affine
from rasterio.warp import transform

PIXEL_M = 10.0


@dataclass(frozen=True)
class Place:
    """Where a tile's north-western corner lies."""

    crs: str
    left: float
    top: float
    pixel: float = PIXEL_M


BAVARIA = Place("EPSG:32632", 600_000.0, 5_300_000.0)


@dataclass(frozen=True)
class CellMean:
    """What one cell of a tile holds."""

    pixels: int
    valid: int
    mean: np.ndarray  # (d,) of de-quantised vectors, NaN where none is valid
    length: float  # mean length of the vectors


def noise_codes(height: int, width: int, seed: int = 0, dimension: int = 64) -> np.ndarray:
    """Codes (d, height, width) int8 of unit vectors that have nothing to do with their neighbours."""
    draw = np.random.default_rng(seed).normal(size=(dimension, height, width))
    unit = draw / np.linalg.norm(draw, axis=0)
    return (np.rint(np.sqrt(np.abs(unit)) * 127.5).clip(0, 127) * np.sign(unit)).astype(np.int8)


def signed_squares(codes: np.ndarray) -> np.ndarray:
    """Vectors of codes, float64."""
    real = codes.astype(np.float64)
    return (real / 127.5) ** 2 * np.sign(real)


def cell_means(vectors: np.ndarray, valid: np.ndarray, place: Place, resolution: int) -> dict[int, CellMean]:
    """By asking H3 for each pixel centre: vectors (d, h, w), valid (h, w), rows from north to south."""
    height, width = valid.shape
    rows, cols = np.mgrid[0:height, 0:width] + 0.5
    x, y = place.left + cols * place.pixel, place.top - rows * place.pixel
    lon, lat = transform(place.crs, "EPSG:4326", x.ravel(), y.ravel())
    members = defaultdict(list)
    for pixel, (east, north) in enumerate(zip(lon, lat, strict=True)):
        members[h3.str_to_int(h3.latlng_to_cell(north, east, resolution))].append(pixel)
    flat, good = vectors.reshape(len(vectors), -1), valid.ravel()
    found = {}
    for cell, pixels in members.items():
        kept = [pixel for pixel in pixels if good[pixel]]
        own = flat[:, kept]
        mean = own.mean(axis=1) if kept else np.full(len(vectors), np.nan)
        length = float(np.linalg.norm(own, axis=0).mean()) if kept else np.nan
        found[cell] = CellMean(len(pixels), len(kept), mean, length)
    return found


def write_cog(
    path: Path,
    codes: np.ndarray,
    place: Place = BAVARIA,
    *,
    south_up: bool = True,
    nodata: float | None = -128,
    names: bool = True,
    block: int = 16,
    tags: dict[str, str] | None = None,
    interleave: str = "band",
) -> Path:
    """A tiled GeoTIFF of codes (d, h, w), whose rows are given from north to south."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands, height, width = codes.shape
    bottom = place.top - height * place.pixel
    down = Affine(place.pixel, 0, place.left, 0, place.pixel, bottom)
    up = Affine(place.pixel, 0, place.left, 0, -place.pixel, place.top)
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=bands, dtype=codes.dtype, crs=place.crs,
        transform=down if south_up else up, nodata=nodata, tiled=True, blockxsize=block, blockysize=block,
        compress="zstd", interleave=interleave,
    ) as file:  # fmt: skip
        file.write(codes[:, ::-1] if south_up else codes)
        file.update_tags(**(tags or {}))
        if names:
            file.descriptions = [f"A{band:02}" for band in range(bands)]
    return path


def write_alphaearth(
    folder: Path,
    codes: np.ndarray,
    place: Place = BAVARIA,
    *,
    year: int = 2024,
    name: str = "x",
    south_up: bool = True,
) -> Path:
    """One annual tile, in the folders of its year and zone."""
    path = folder / "v1" / "annual" / str(year) / "32N" / f"{name}-0000000000-0000000000.tiff"
    return write_cog(path, codes, place, south_up=south_up)


def noise_scaled(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Codes (128, height, width) int8 and scales (height, width) float32 as TESSERA has them."""
    draw = np.random.default_rng(seed)
    codes = draw.integers(-127, 128, size=(128, height, width)).astype(np.int8)
    return codes, draw.uniform(0.01, 0.13, size=(height, width)).astype(np.float32)


def write_arrays(
    root: Path,
    name: str,
    codes: np.ndarray,
    scales: np.ndarray,
    place: Place,
    *,
    year: int = 2024,
    land: np.ndarray | None = None,
) -> Path:
    """A tile of TESSERA as arrays, with its landmask where people keep it."""
    folder = root / "global_0.1_degree_representation" / str(year) / name
    folder.mkdir(parents=True)
    np.save(folder / f"{name}.npy", np.moveaxis(codes, 0, 2))
    np.save(folder / f"{name}_scales.npy", scales)
    mask = np.ones(scales.shape[:2], np.uint8) if land is None else land.astype(np.uint8)
    masks = root / "global_0.1_degree_tiff_all"
    write_cog(masks / f"{name}.tiff", mask[None], place, south_up=False, nodata=None, names=False)
    return folder / f"{name}.npy"


def write_store(path: Path, zones: dict[str, tuple[Place, np.ndarray, np.ndarray]], years: list[int]) -> Path:
    """geotessera's Zarr store: by group its place, codes (years, 128, h, w) and scales (years, h, w)."""
    import zarr

    root = zarr.open_group(path, mode="w", zarr_format=3)
    root.attrs["geoemb:model"] = "https://geotessera.org/model/1.1"
    for name, (place, codes, scales) in zones.items():
        group = root.create_group(name)
        _, _, height, width = codes.shape
        group.attrs.update(
            {
                "proj:code": place.crs,
                "spatial:transform": [place.pixel, 0.0, place.left, 0.0, -place.pixel, place.top],
                "spatial:shape": [height, width],
            }
        )
        _put(group, "embeddings", codes, ("time", "band", "y", "x"))
        _put(group, "scales", scales, ("time", "y", "x"))
        _put(group, "time", np.array(years, np.int32), ("time",))
        _put(group, "x", place.left + (np.arange(width) + 0.5) * place.pixel, ("x",))
        _put(group, "y", place.top - (np.arange(height) + 0.5) * place.pixel, ("y",))
    return path


def write_icechunk(path: Path, zones: dict[str, tuple[Place, np.ndarray, np.ndarray]], years: list[int],
                   complete: list[int]) -> Path:  # fmt: skip
    """dClimate's Icechunk repository: the same, with other axes and a list of years that are complete."""
    import icechunk
    import zarr
    from zarr.codecs.numcodecs import PCodec

    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(path)))
    session = repository.writable_session("main")
    root = zarr.open_group(session.store, mode="a")
    for name, (place, codes, scales) in zones.items():
        group = root.create_group(name)
        _, _, height, width = codes.shape
        group.attrs.update(
            {
                "years_complete": complete,
                "proj:code": place.crs,
                "spatial:transform": [place.pixel, 0.0, place.left, 0.0, -place.pixel, place.top],
                "spatial:shape": [height, width],
            }
        )
        _put(group, "embeddings", np.moveaxis(codes, 1, 3), ("time", "northing", "easting", "band"))
        _put(group, "scales", scales, ("time", "northing", "easting"), serializer=PCodec(level=8))
        times = np.array([f"{year}-01-01" for year in years], "datetime64[ns]").astype(np.int64)
        _put(group, "time", times, ("time",)).attrs["units"] = "nanoseconds since 1970-01-01"
    session.commit("vectors")
    return path


def write_mosaic(path: Path, place: Place, codes: np.ndarray, years: list[int]) -> Path:
    """AlphaEarth's mosaic in degrees: codes (years, 64, h, w)."""
    import zarr

    root = zarr.open_group(path, mode="w", zarr_format=3)
    _, _, height, width = codes.shape
    _put(root, "embeddings", codes, ("time", "band", "y", "x"))
    _put(root, "time", np.array(years, np.int32), ("time",))
    _put(root, "x", place.left + (np.arange(width) + 0.5) * place.pixel, ("x",))
    _put(root, "y", place.top - (np.arange(height) + 0.5) * place.pixel, ("y",))
    return path


def _put(group, name: str, values: np.ndarray, axes: tuple[str, ...], **options):  # type: ignore[no-untyped-def]
    chunks = tuple(min(size, 16) if axis in ("y", "x", "northing", "easting") else size
                   for axis, size in zip(axes, values.shape, strict=True))  # fmt: skip
    array = group.create_array(
        name, shape=values.shape, dtype=values.dtype, chunks=chunks, dimension_names=axes, **options
    )
    array[...] = values
    return array
