"""BigEarthNet 1.0: a folder per patch, a file per band, splits that pair Sentinel-2 with Sentinel-1."""

import csv
import json
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
import rasterio

from data.modality import MODALITIES
from data.sample import InputError

from .about import About, file_of
from .files import centre_of, read_raster, s1_imagery, s2_imagery
from .scene import Entry, Scene

S2_FOLDER, S1_FOLDER = "BigEarthNet-v1.0", "BigEarthNet-S1-v1.0"
SIDE_PX = 120
MERGED = {  # the 19 classes, each of some of CORINE's 43; seven of those are in none
    "Urban fabric": ("Continuous urban fabric", "Discontinuous urban fabric"),
    "Industrial or commercial units": ("Industrial or commercial units",),
    "Arable land": ("Non-irrigated arable land", "Permanently irrigated land", "Rice fields"),
    "Permanent crops": (
        "Vineyards",
        "Fruit trees and berry plantations",
        "Olive groves",
        "Annual crops associated with permanent crops",
    ),
    "Pastures": ("Pastures",),
    "Complex cultivation patterns": ("Complex cultivation patterns",),
    "Land principally occupied by agriculture, with significant areas of natural vegetation": (
        "Land principally occupied by agriculture, with significant areas of natural vegetation",
    ),
    "Agro-forestry areas": ("Agro-forestry areas",),
    "Broad-leaved forest": ("Broad-leaved forest",),
    "Coniferous forest": ("Coniferous forest",),
    "Mixed forest": ("Mixed forest",),
    "Natural grassland and sparsely vegetated areas": ("Natural grassland", "Sparsely vegetated areas"),
    "Moors, heathland and sclerophyllous vegetation": ("Moors and heathland", "Sclerophyllous vegetation"),
    "Transitional woodland, shrub": ("Transitional woodland/shrub",),
    "Beaches, dunes, sands": ("Beaches, dunes, sands",),
    "Inland wetlands": ("Inland marshes", "Peatbogs"),
    "Coastal wetlands": ("Salt marshes", "Salines"),
    "Inland waters": ("Water courses", "Water bodies"),
    "Marine waters": ("Coastal lagoons", "Estuaries", "Sea and ocean"),
}
UNMERGED = (
    "Road and rail networks and associated land", "Port areas", "Airports", "Mineral extraction sites",
    "Dump sites", "Construction sites", "Green urban areas", "Sport and leisure facilities", "Bare rock",
    "Burnt areas", "Intertidal flats",
)  # fmt: skip
CLASSES = tuple(MERGED)
CODE = {name: code for code, names in enumerate(MERGED.values()) for name in names}


def _read(with_s1: bool, folder: Path, part: str) -> list[Entry]:
    title = "BEN-MM" if with_s1 else "BEN-S2"
    entries = []
    for s2, s1 in _pairs(folder, part, title, with_s1):
        patch = folder / S2_FOLDER / s2
        radar = folder / S1_FOLDER / s1 if with_s1 else None
        for wanted in (patch, radar):
            if wanted is not None and not wanted.is_dir():
                raise InputError(f"{title}: {part}.csv names {wanted.name}, and there is no folder {wanted}.")
        entries.append(Entry(s2, s2, partial(_load, patch, radar), partial(_located, patch)))
    return entries


def _pairs(folder: Path, part: str, title: str, with_s1: bool) -> list[tuple[str, str]]:
    """Names of patches: Sentinel-2, and Sentinel-1 where it is asked for."""
    near = [path for path in (folder / f"{part}.csv", folder / "splits" / f"{part}.csv") if path.is_file()]
    expected = f"{part}.csv of the 19-class splits, a Sentinel-2 and a Sentinel-1 patch a line"
    path = file_of(near[0] if near else folder / f"{part}.csv", title, expected)
    with path.open(newline="", encoding="utf-8") as lines:
        rows = [[field.strip() for field in row] for row in csv.reader(lines) if row]
    short = next((row for row in rows if len(row) < 1 + with_s1 or not row[0]), None)
    if short is not None or not rows:
        raise InputError(f"{title}: {path} has the line {short}; expected {expected}.")
    return [(row[0], row[1] if with_s1 else "") for row in rows]


def _load(patch: Path, radar: Path | None) -> Scene:
    about = _metadata(patch)
    s2 = _stacked(patch, MODALITIES["s2"].bands)
    view = {"s2": s2_imagery(s2[None], _day(about, patch), patch.name)}
    if radar is not None:
        s1 = _stacked(radar, MODALITIES["s1"].bands)
        view["s1"] = s1_imagery(s1[None], _day(_metadata(radar), radar), radar.name)
    return Scene((view,), merged_labels(about.get("labels", []), patch))


def _metadata(patch: Path) -> dict[str, object]:
    path = patch / f"{patch.name}_labels_metadata.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); expected labels and acquisition date.") from error
    if not isinstance(about, dict):
        raise InputError(f"{path} holds {type(about).__name__}; expected labels and acquisition date.")
    return about


def _day(about: dict[str, object], patch: Path) -> np.ndarray:
    date = about.get("acquisition_date", about.get("acquisition_time"))
    try:
        return np.array([datetime.fromisoformat(str(date)).timetuple().tm_yday])
    except ValueError as error:
        raise InputError(f"{patch.name} has the date {date!r}; expected YYYY-MM-DD hh:mm:ss.") from error


def merged_labels(names: object, patch: Path) -> np.ndarray:
    """CORINE's names -> (19,) bool.

    Raises:
        InputError: a name outside the legend, or no label that is among the 19.
    """
    labels = np.zeros(len(CLASSES), dtype=bool)
    for name in names if isinstance(names, list) else ():
        if name in CODE:
            labels[CODE[name]] = True
        elif name not in UNMERGED:
            raise InputError(f"{patch.name} has the label {name!r}; expected CORINE's level-3 names.")
    if not labels.any():
        raise InputError(f"{patch.name} has the labels {names}; the 19-class splits hold no such patch.")
    return labels


def _stacked(patch: Path, bands: Sequence[str]) -> np.ndarray:
    """One file per band, 20 m repeated to 10 m: (C, 120, 120)."""
    layers = []
    for band in bands:
        pixels = read_raster(file_of(patch / f"{patch.name}_{band}.tif", patch.name, f"band {band}"))[0][0]
        by = SIDE_PX // pixels.shape[0]
        if pixels.shape[0] * by != SIDE_PX or pixels.shape[0] != pixels.shape[1]:
            raise InputError(
                f"{patch.name}: band {band} is {pixels.shape}; expected 120, 60 or 20 px a side."
            )
        layers.append(np.kron(pixels, np.ones((by, by), dtype=pixels.dtype)))
    return np.stack(layers)


def _located(patch: Path) -> tuple[float, float]:
    """Longitude and latitude of the centre, from a band's own georeference."""
    path = file_of(patch / f"{patch.name}_B02.tif", patch.name, "band B02")
    with rasterio.open(path) as raster:
        return centre_of(raster)


def _about(name: str, title: str, task: str, with_s1: bool) -> About:
    return About(
        name=name,
        title=title,
        task=task,
        kind="labels",
        classes=CLASSES,
        read=partial(_read, with_s1),
        splits={"validation": ("train", "val"), "test": ("train", "test")},
        measure="linear mAP micro",
        convention=(
            "19 classes of Sumbul et al.; average precision over all labels together (micro), as SeCo and "
            "the encoders after it report (fairly sure); macro stands beside it"
        ),
        source="https://bigearth.net",
        layout_source="version 1.0 and its 19-class splits, as torchgeo reads them (sure)",
        terms="CDLA-Permissive-1.0",
        size="590,326 patches of 120 x 120 px, 66 GB" + (" and 50 GB of Sentinel-1" if with_s1 else ""),
    )


BEN_S2 = _about("ben-s2", "BigEarthNet-S2", "scene classification", False)
BEN_MM = _about("ben-mm", "BigEarthNet-MM", "multi-modal classification", True)
