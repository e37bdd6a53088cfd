"""DynamicEarthNet: monthly land cover of 75 cubes, daily Planet images, monthly Sentinel composites."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import rasterio

from data.sample import InputError

from .about import About, Kind, file_of
from .files import centre_of, read_raster, s1_imagery, s2_bands, s2_imagery
from .scene import IGNORED, Entry, Imagery, Scene

CLASSES = ("impervious surface", "agriculture", "forest and other vegetation", "wetlands", "soil", "water")
LAYERS = 7  # of a label raster: the seventh, snow and ice, is in two cubes alone and is ignored
SPLITS = "dynnet_training_splits"
AS_PUBLISHED = "/reprocess-cropped/UTM-24000/"  # what split files call the planet folder
CUBE = re.compile(r"\d+_\d+_13")
BRIGHTEST = 3000.0  # Planet reflectance x 10000 that becomes 255
DAYS_BEFORE = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)  # a month


def _read(sensors: tuple[str, ...], pairs: bool, folder: Path, part: str) -> list[Entry]:
    path = file_of(
        folder / SPLITS / f"{part}.txt", "DynamicEarthNet", "planet folder, label and month a line"
    )
    months: dict[str, list[tuple[str, Path, Path]]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        cube, month, planet, label = _line(folder, path, number, line)
        file_of(label, "DynamicEarthNet", f"the label that line {number} of {path.name} names")
        months.setdefault(cube, []).append((month, planet, label))
    if not months:
        raise InputError(f"DynamicEarthNet: {path} is empty; expected planet folder, label and month a line.")
    entries = []
    for cube, of_cube in sorted(months.items()):
        of_cube.sort()
        steps = pairwise(of_cube) if pairs else ((one,) for one in of_cube)
        for step in steps:
            files = [
                {name: _image(folder, cube, month, planet, name) for name in sensors}
                for month, planet, _ in step
            ]
            labels, names = [label for *_, label in step], [month for month, *_ in step]
            load = partial(_load, files, labels, names, pairs)
            entries.append(Entry(f"{cube} {names[0]}", cube, load, partial(_located, labels[0])))
    return entries


def _line(folder: Path, path: Path, number: int, line: str) -> tuple[str, str, Path, Path]:
    """Cube, month, planet folder and label file of a line."""
    parts = line.split()
    cube = CUBE.search(line)
    if len(parts) != 3 or not cube or not re.fullmatch(r"20\d\d-\d\d", parts[2]):
        raise InputError(
            f"DynamicEarthNet: line {number} of {path} is {line!r}; expected planet folder, label, YYYY-MM."
        )
    planet = parts[0].replace(AS_PUBLISHED, "/planet/").lstrip("/")
    inside = [folder / planet, folder / parts[1].lstrip("/")]
    if not all(place.resolve().is_relative_to(folder.resolve()) for place in inside):
        raise InputError(f"DynamicEarthNet: line {number} of {path} leaves the folder: {line!r}.")
    return cube[0], parts[2], inside[0], inside[1]


def _image(folder: Path, cube: str, month: str, planet: Path, name: str) -> Path:
    """The image of the month's first day, or its Sentinel composite."""
    if name == "hr":
        return file_of(
            planet / f"{month}-01.tif", "DynamicEarthNet", f"the Planet image of {cube} in {month}"
        )
    where = {"s2": "sentinel2", "s1": "sentinel1"}[name]
    spelt = (month, month.replace("-", "_"))
    near = [
        p for p in sorted(folder.glob(f"{where}/**/*{cube}*/**/*.tif")) if any(s in p.name for s in spelt)
    ]
    expected = f"a composite of {cube} whose name holds {month}"
    return file_of(near[0] if near else folder / where / cube / f"{month}.tif", "DynamicEarthNet", expected)


def _load(files: Sequence[Mapping[str, Path]], labels: list[Path], months: list[str], pairs: bool) -> Scene:
    views = tuple(
        {name: _imagery(name, path, DAYS_BEFORE[int(month[5:]) - 1] + 1) for name, path in one.items()}
        for one, month in zip(files, months, strict=True)
    )
    masks = [label_codes(path) for path in labels]
    return Scene(views, np.stack(masks) if pairs else masks[0])


def _imagery(name: str, path: Path, day: int) -> Imagery:
    pixels, names = read_raster(path)
    days = np.array([day])
    if name == "s2":
        return s2_imagery(s2_bands(path, pixels, names)[None], days, str(path))
    if name == "s1":
        return s1_imagery(_vv_vh(path, pixels, names)[None], days, str(path))
    if len(pixels) < 3:
        raise InputError(f"{path} has {len(pixels)} bands; expected blue, green, red, near infrared.")
    rgb = np.clip(pixels[[2, 1, 0]] / BRIGHTEST * 255, 0, 255).astype(np.uint8)  # Planet's order is BGRN
    return Imagery(rgb[None], np.asarray((pixels > 0).any(axis=0))[None], days.astype(np.int16))


def _vv_vh(path: Path, pixels: np.ndarray, names: tuple[str | None, ...]) -> np.ndarray:
    told = [str(name).upper() for name in names]
    at = [next((i for i, name in enumerate(told) if band in name), None) for band in ("VV", "VH")]
    if None in at and len(pixels) < 2:
        raise InputError(f"{path} has {len(pixels)} bands ({told}); expected VV and VH.")
    return pixels[[0, 1] if None in at else [int(i) for i in at if i is not None]]


def label_codes(path: Path) -> np.ndarray:
    """Seven layers of 0 and 255 -> (H, W) codes; snow and ice, and what no layer claims, is ignored.

    Raises:
        InputError: another number of layers, or other values.
    """
    layers, _ = read_raster(path)
    strange = sorted(set(np.unique(layers).tolist()) - {0, 255})
    if len(layers) != LAYERS or strange:
        raise InputError(
            f"{path} has {len(layers)} layers with the values {strange}; expected 7 of 0 and 255."
        )
    codes = np.full(layers.shape[1:], IGNORED, dtype=np.int16)
    for code in range(len(CLASSES)):
        codes[layers[code] == 255] = code
    return codes


def _located(path: Path) -> tuple[float, float]:
    with rasterio.open(path) as raster:
        return centre_of(raster)


def _about(name: str, title: str, task: str, sensors: tuple[str, ...], kind: Kind) -> About:
    is_change = kind == "semantic change"
    measured = (
        "SCS, the mean of the IoU of change and of the mIoU of classes where the truth changed, of "
        "neighbouring months; classes are judged on the later one (fairly sure)"
        if is_change
        else "mIoU over six classes; snow and ice is ignored, as in the authors' loader (sure)"
    )
    return About(
        name=name,
        title=title,
        task=task,
        kind=kind,
        classes=CLASSES,
        read=partial(_read, sensors, is_change),
        splits={"validation": ("train", "val"), "test": ("train", "test")},
        measure="SCS" if is_change else "mIoU",
        convention=f"{measured}; one image a month, its first day",
        tile_px=1024,
        source="https://mediatum.ub.tum.de/1650201",
        layout_source=(
            "split files, Planet and label rasters as the authors' loader reads them (sure); Sentinel "
            "composites are looked for by cube and month below sentinel2/ and sentinel1/, their bands by "
            "name or in the usual order: we found no public text that lists them (unsure)"
        ),
        terms="CC-BY-SA-4.0 (labels); Planet's terms for images",
        size="75 cubes of 1024 x 1024 px at 3 m, 24 months, 525 GB",
    )


DYNA_PLA = _about("dyna-pla", "DynamicEarthNet, Planet", "semantic segmentation", ("hr",), "mask")
DYNA_S2 = _about("dyna-s2", "DynamicEarthNet, Sentinel-2", "semantic segmentation", ("s2",), "mask")
DYNA_S2_CD = _about("dyna-s2-cd", "DynamicEarthNet, change", "change detection", ("s2",), "semantic change")
DYNA_MM = _about(
    "dyna-mm", "DynamicEarthNet, all sensors", "multi-modal segmentation", ("hr", "s2", "s1"), "mask"
)
