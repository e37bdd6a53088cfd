"""Folders of labelled images -> samples.

Two layouts: a folder per class (EuroSAT, AID, RESISC45), and BigEarthNet's, a folder per patch with a file
per band and `*_labels_metadata.json`, where a Sentinel-1 patch names its Sentinel-2 partner.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import h3
import numpy as np
import rasterio
from PIL import Image

from data.modality import MODALITIES
from data.sample import ANY_TIME, ImageSeries, InputError, Sample, SampleSpec

from ..datasets.files import centre_of
from ..datasets.scene import nowhere
from .image_bands import band_sources, ten_bands
from .series_sets import SensorRules

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
BLOCK_RESOLUTION = 5  # H3
LARGEST_S2_CELLS = 16  # side of an S2 image that goes in whole, grid cells


@dataclass(frozen=True)
class LabelledImage:
    """One item's pixels by modality, before it is put on the model's grid."""

    id: str
    labels: tuple[str, ...]
    pixels: Mapping[str, np.ndarray]  # modality -> (C, H, W)
    day_of_year: int = 0  # 0 = unknown
    lon_deg: float = float("nan")
    lat_deg: float = float("nan")
    filled: tuple[str, ...] = ()  # bands that another stands in for, in words


@dataclass(frozen=True)
class ImageSet:
    """n labelled images on one grid."""

    name: str
    samples: list[Sample]
    labels: list[tuple[str, ...]]
    block: np.ndarray  # (n,) str
    lon_deg: np.ndarray  # (n,), NaN = unknown
    lat_deg: np.ndarray
    notes: tuple[str, ...]


def read_images(folder: Path, spec: SampleSpec, *, rules: SensorRules, at_most: int, seed: int) -> ImageSet:
    """Read at most `at_most` items of a folder, drawn at random.

    Raises:
        InputError: neither layout, an image that cannot be read, or values in another unit.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; expected one folder per class, or BigEarthNet patches.")
    is_big_earth = any(folder.glob("*/*_labels_metadata.json"))
    layout = _big_earth_net if is_big_earth else _class_folders
    images = list(layout(folder, rules.fill_band, at_most, seed))
    if not images:
        raise InputError(
            f"{folder} holds no images; expected CLASS/NAME.jpg or .tif, or BigEarthNet patches."
        )
    filled = dict.fromkeys(note for image in images for note in image.filled)
    notes = [*filled, *_checked(folder, images, rules.allow_l1c)]
    grid = _common_grid(images, spec)
    lon, lat = (np.array([getattr(image, name) for image in images]) for name in ("lon_deg", "lat_deg"))
    block, split_note = _blocks(images, lon, lat)
    return ImageSet(
        folder.name,
        [to_sample(image, grid, spec) for image in images],
        [image.labels for image in images],
        block,
        lon,
        lat,
        (*notes, split_note),
    )


def _some(paths: Sequence[Path], at_most: int, seed: int) -> list[Path]:
    order = np.random.default_rng(seed).permutation(len(paths))[:at_most]
    return [paths[i] for i in np.sort(order)]


def _class_folders(
    folder: Path, fill_band: Mapping[str, str], at_most: int, seed: int
) -> Iterator[LabelledImage]:
    paths = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in SUFFIXES)
    for path in _some(paths, at_most, seed):
        pixels, names, lonlat = _read(path)
        label = (path.parent.name,)
        if pixels.dtype == np.uint8:
            yield LabelledImage(path.stem, label, {"hr": pixels}, 0, *lonlat)
        else:
            s2, filled = ten_bands(path, pixels, names, fill_band)
            yield LabelledImage(path.stem, label, {"s2": s2}, 0, *lonlat, filled)


def _read(path: Path) -> tuple[np.ndarray, tuple[str | None, ...], tuple[float, float]]:
    """(C, H, W), names of the layers as they are given, longitude and latitude of the centre or NaN."""
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            with rasterio.open(path) as raster:
                pixels = raster.read()
                shown = pixels[:3] if pixels.dtype == np.uint8 else pixels
                return shown, raster.descriptions, centre_of(raster)
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB")).transpose(2, 0, 1), ("R", "G", "B"), nowhere()
    except (OSError, rasterio.errors.RasterioError) as error:
        raise InputError(f"{path} cannot be read ({error}); expected an image.") from error


def _big_earth_net(
    folder: Path, fill_band: Mapping[str, str], at_most: int, seed: int
) -> Iterator[LabelledImage]:
    radar = {}
    optical = []
    for path in sorted(folder.glob("*/*_labels_metadata.json")):
        about = json.loads(path.read_text(encoding="utf-8"))
        if "corresponding_s2_patch" in about:
            radar[about["corresponding_s2_patch"]] = path.parent
        else:
            optical.append(path)
    for path in _some(optical, at_most, seed):
        about = json.loads(path.read_text(encoding="utf-8"))
        patch = path.parent
        there = [band for band in MODALITIES["s2"].bands if (patch / f"{patch.name}_{band}.tif").is_file()]
        sources = band_sources(patch, there, fill_band)
        s2, lonlat = _stacked(patch, list(sources.values()))
        pixels = {"s2": s2}
        if patch.name in radar:
            pixels["s1"] = _stacked(radar[patch.name], MODALITIES["s1"].bands)[0].astype(np.float32)
        date = datetime.fromisoformat(about["acquisition_date"])
        filled = tuple(f"{band} filled with {source}" for band, source in sources.items() if band != source)
        day = date.timetuple().tm_yday
        yield LabelledImage(patch.name, tuple(about["labels"]), pixels, day, *lonlat, filled)


def _stacked(patch: Path, bands: Sequence[str]) -> tuple[np.ndarray, tuple[float, float]]:
    """One file per band, coarser ones repeated to the finest: (C, H, W), longitude and latitude."""
    read = [_read(patch / f"{patch.name}_{band}.tif") for band in bands]
    side = max(pixels.shape[1] for pixels, _, _ in read)
    layers = [
        np.kron(pixels[0], np.ones((side // pixels.shape[1],) * 2, pixels.dtype)) for pixels, _, _ in read
    ]
    return np.stack(layers), read[0][2]


def _checked(folder: Path, images: Sequence[LabelledImage], allow_l1c: bool) -> list[str]:
    """A unit mix-up or a processing level that was not allowed is an error, not a bad embedding."""
    notes = []
    s2 = [image.pixels["s2"] for image in images if "s2" in image.pixels]
    if s2:
        medians = np.median([np.median(pixels, axis=(1, 2)) for pixels in s2], axis=0)
        if medians.max() > MODALITIES["s2"].valid_range[1] or medians.max() < 30:
            raise InputError(
                f"{folder}: medians per band are {np.round(medians, 3).tolist()}; expected "
                f"{MODALITIES['s2'].unit}. Convert the units first."
            )
        if haze := _haze(s2):
            if not allow_l1c:
                raise InputError(
                    f"{folder}: S2 is L1C by its haze ({haze}); give --allow-l1c to take it as L2A."
                )
            notes.append(f"S2 is L1C by its haze ({haze}), taken as L2A")
    return notes


def _haze(s2: Sequence[np.ndarray]) -> str:
    """Blue over green where there is vegetation, when it says L1C."""
    pixels = np.concatenate([image.reshape(10, -1) for image in s2], axis=1).astype(np.float32)
    blue, green, red, nir = pixels[[0, 1, 2, 6]]
    vegetation = (nir - red) > 0.4 * (nir + red)
    if vegetation.sum() < 20:
        return ""
    ratio = float(np.median(blue[vegetation] / np.maximum(green[vegetation], 1)))
    return f"blue/green over vegetation {ratio:.2f}" if ratio >= 0.8 else ""


def _common_grid(images: Sequence[LabelledImage], spec: SampleSpec) -> int:
    """Side, in cells, of the grid that all images are put on.

    Aerial images fill the model's window, Sentinel ones keep the first one's own size.
    """
    if "s2" not in images[0].pixels:
        return spec.window_cells
    side = min(images[0].pixels["s2"].shape[1:])
    return int(np.clip(side // spec.px_per_cell["s2"], 1, LARGEST_S2_CELLS))


def to_sample(image: LabelledImage, cells: int, spec: SampleSpec) -> Sample:
    """The image on a grid of `cells` x `cells`: aerial ones resized, Sentinel ones cut in their middle."""
    series = {}
    for name, pixels in image.pixels.items():
        side = cells * spec.px_per_cell[name]
        fitted = _resized(pixels, side) if name == "hr" else _middle(pixels, side)
        valid = np.isfinite(fitted).all(axis=0) & ((fitted != 0).any(axis=0) if name == "s2" else True)
        day = np.array([image.day_of_year], dtype=np.int16)
        series[name] = ImageSeries(fitted[None], valid[None], day, ("",))
    lon, lat = image.lon_deg, image.lat_deg
    known = np.isfinite(lon)
    cell = h3.str_to_int(h3.latlng_to_cell(lat if known else 0.0, lon if known else 0.0, 12))
    return Sample(
        image.id,
        cell,
        lon,
        lat,
        *ANY_TIME,
        (),
        "OGC:CRS84",
        (0.0, 0.0),
        (cells, cells),
        series,
        1.0,
        float("nan"),
    )


def _resized(pixels: np.ndarray, side: int) -> np.ndarray:
    """The middle square at `side` px."""
    square = Image.fromarray(_middle(pixels, min(pixels.shape[1:])).transpose(1, 2, 0))
    return np.asarray(square.resize((side, side), Image.Resampling.LANCZOS)).transpose(2, 0, 1)


def _middle(pixels: np.ndarray, side: int) -> np.ndarray:
    """The middle (C, side, side); mirrored at the edge where the image is smaller."""
    _, h, w = pixels.shape
    short = [(0, 0), (0, max(side - h, 0)), (0, max(side - w, 0))]
    y, x = max(h - side, 0) // 2, max(w - side, 0) // 2
    return np.pad(pixels, short, mode="symmetric")[:, y : y + side, x : x + side]


def _blocks(images: Sequence[LabelledImage], lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, str]:
    if np.isfinite(lon).all():
        cells = [h3.latlng_to_cell(y, x, BLOCK_RESOLUTION) for x, y in zip(lon, lat, strict=True)]
        return np.array(cells), f"blocks are H3 cells of resolution {BLOCK_RESOLUTION}"
    ids = [f"{'+'.join(image.labels)}/{image.id}" for image in images]
    return np.array(ids), "no positions: split at random, so scores are higher than across places"
