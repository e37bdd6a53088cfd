"""LEVIR-CD and OSCD: two images of a place and a mask of what changed between them."""

from functools import partial
from pathlib import Path

import numpy as np

from data.sample import InputError

from .about import About, file_of, folder_of, some
from .files import S2_ORDERS as ORDERS
from .files import known_codes, read_image, read_raster, s2_bands, s2_imagery
from .scene import Entry, Imagery, Scene

CLASSES = ("unchanged", "changed")
OSCD = "Onera Satellite Change Detection dataset - "
OSCD_LABELS = {"train": "Train Labels", "test": "Test Labels"}


def _read_levir(folder: Path, part: str) -> list[Entry]:
    before = folder_of(folder / part / "A", "LEVIR-CD", "train_1.png and so on")
    entries = []
    for path in sorted(before.glob("*.png")):
        after = file_of(folder / part / "B" / path.name, "LEVIR-CD", f"the later image of {path.name}")
        mask = file_of(folder / part / "label" / path.name, "LEVIR-CD", f"the mask of {path.name}")
        entries.append(Entry(path.stem, path.stem, partial(_load_levir, path, after, mask)))
    return some(entries, before, "LEVIR-CD", "train_1.png and so on")


def _load_levir(before: Path, after: Path, mask: Path) -> Scene:
    views = tuple({"hr": Imagery.of(read_image(path))} for path in (before, after))
    return Scene(views, _changed(mask))


def _changed(path: Path) -> np.ndarray:
    """A mask of 0 and 255, in some copies 0 and 1."""
    mask = read_image(path, "L")
    known_codes(path, mask, (0, 1, 255))
    return (mask > 0).astype(np.int16)


def _read_oscd(folder: Path, part: str) -> list[Entry]:
    images = folder_of(folder / f"{OSCD}Images", "OSCD", "a folder for each city")
    labels = folder_of(folder / f"{OSCD}{OSCD_LABELS[part]}", "OSCD", "a folder for each city")
    entries = []
    for city in sorted(path for path in labels.iterdir() if path.is_dir()):
        mask = file_of(city / "cm" / "cm.png", "OSCD", f"the mask of {city.name}")
        where = folder_of(images / city.name, "OSCD", f"the images of {city.name}")
        dates = [folder_of(where / f"imgs_{i}_rect", "OSCD", "a file per band") for i in (1, 2)]
        load = partial(_load_oscd, dates, where / "dates.txt", mask)
        entries.append(Entry(city.name, city.name, load))
    return some(entries, labels, "OSCD", "a folder for each city")


def _load_oscd(dates: list[Path], told: Path, mask: Path) -> Scene:
    days = _days(told)
    views = tuple(
        {"s2": s2_imagery(_city(path)[None], np.array([day]), str(path))}
        for path, day in zip(dates, days, strict=True)
    )
    return Scene(views, _changed(mask))


def _city(folder: Path) -> np.ndarray:
    """Ten bands on the 10 m grid that imgs_N_rect holds: (10, H, W)."""
    layers = [
        read_raster(file_of(folder / f"{band}.tif", "OSCD", f"band {band}"))[0][0] for band in ORDERS[13]
    ]
    sizes = {layer.shape for layer in layers}
    if len(sizes) != 1:
        raise InputError(f"OSCD: bands of {folder} have the sizes {sorted(sizes)}; expected one.")
    return s2_bands(folder, np.stack(layers), ORDERS[13])


def _days(path: Path) -> list[int]:
    """`date_1: 20160727` and `date_2: ...` -> days of the year."""
    lines = file_of(path, "OSCD", "date_1 and date_2 as YYYYMMDD").read_text(encoding="utf-8").split("\n")
    dates = [line.split()[-1] for line in lines if line.strip()]
    try:
        days = [np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:8]}").astype(object).timetuple().tm_yday for d in dates]
    except ValueError as error:
        raise InputError(f"{path}: {error}; expected dates as YYYYMMDD.") from error
    if len(days) != 2:
        raise InputError(f"{path} has {len(days)} dates; expected two.")
    return days


LEVIR_CD = About(
    name="levir-cd",
    title="LEVIR-CD",
    task="change detection",
    kind="change",
    classes=CLASSES,
    read=_read_levir,
    splits={"validation": ("train", "val"), "test": ("train+val", "test")},
    measure="F1",
    convention="F1 of change, over all pixels of the part together (sure); IoU beside it",
    source="https://doi.org/10.3390/rs12101662",
    layout_source="PART/A, PART/B, PART/label with one name each, as torchgeo reads it (sure)",
    terms="academic use; imagery from Google Earth",
    size="637 pairs of 1024 x 1024 px at 0.5 m: 445, 64 and 128",
)
OSCD_SET = About(
    name="oscd",
    title="OSCD",
    task="change detection",
    kind="change",
    classes=CLASSES,
    read=_read_oscd,
    splits={"validation": ("train", "blocks of train"), "test": ("train", "test")},
    measure="F1",
    tile_px=96,
    convention=(
        "F1 of change over all pixels of the 10 test cities together (sure); Level-1C, taken as it is; "
        "intervals over cities"
    ),
    source="https://rcdaudt.github.io/oscd",
    layout_source="Images, Train Labels, Test Labels; CITY/imgs_1_rect/B01.tif and CITY/cm/cm.png (sure)",
    terms="CC-BY-NC-SA-4.0 (labels); Sentinel terms for images",
    size="24 cities, 14 to fit on and 10 to ask, 0.5 GB",
)
