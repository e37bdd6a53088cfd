"""PASTIS-R: series of Sentinel-2 and Sentinel-1 as NumPy files, parcels of 18 crops, five folds."""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.warp import transform

from data.sample import InputError

from .about import About, file_of
from .files import known_codes, s1_imagery, s2_imagery
from .scene import IGNORED, Entry, Imagery, Scene

CLASSES = (
    "background", "meadow", "soft winter wheat", "corn", "winter barley", "winter rapeseed", "spring barley",
    "sunflower", "grapevine", "beet", "winter triticale", "winter durum wheat", "fruits, vegetables, flowers",
    "potatoes", "leguminous fodder", "soybeans", "orchard", "mixed cereal", "sorghum",
)  # fmt: skip
VOID = 19
FOLDS = {"train": (1, 2, 3), "val": (4,), "test": (5,)}
CRS = "EPSG:2154"  # where the metadata name none


def _read(folder: Path, part: str) -> list[Entry]:
    path = file_of(folder / "metadata.geojson", "PASTIS", "patches with ID_PATCH, Fold and dates")
    try:
        collection = json.loads(path.read_text(encoding="utf-8"))
        crs = collection.get("crs", {}).get("properties", {}).get("name", CRS)
        patches = [(feature["properties"], feature["geometry"]) for feature in collection["features"]]
        chosen = [(about, shape) for about, shape in patches if int(about["Fold"]) in FOLDS[part]]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(f"{path} cannot be used ({error!r}); expected features with a Fold.") from error
    if not chosen:
        raise InputError(f"PASTIS: {path} has no patch in the folds {FOLDS[part]} of {part}.")
    return [_entry(folder, about, shape, crs) for about, shape in chosen]


def _entry(folder: Path, about: Mapping[str, Any], shape: Mapping[str, Any], crs: str) -> Entry:
    name = str(about.get("ID_PATCH"))
    files = {
        "s2": folder / "DATA_S2" / f"S2_{name}.npy",
        "s1": folder / "DATA_S1A" / f"S1A_{name}.npy",
        "truth": folder / "ANNOTATIONS" / f"TARGET_{name}.npy",
    }
    for what, path in files.items():
        file_of(path, "PASTIS", f"{what} of patch {name}")
    return Entry(name, name, partial(_load, files, about), partial(_located, shape, crs))


def _load(files: Mapping[str, Path], about: Mapping[str, Any]) -> Scene:
    s2, s1, truth = (_array(files[name]) for name in ("s2", "s1", "truth"))
    view: dict[str, Imagery] = {
        "s2": s2_imagery(s2, _days(about, "dates-S2", len(s2), files["s2"]), files["s2"].name),
        "s1": s1_imagery(s1[:, :2], _days(about, "dates-S1A", len(s1), files["s1"]), files["s1"].name),
    }
    codes = known_codes(files["truth"], truth[0], range(VOID + 1))
    return Scene((view,), np.where(codes == VOID, IGNORED, codes))


def _array(path: Path) -> np.ndarray:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read ({error}); expected a NumPy array.") from error


def _days(about: Mapping[str, Any], name: str, count: int, path: Path) -> np.ndarray:
    """`{"0": 20180924, ...}`, in some copies as text -> days of the year in order."""
    told: Any = about.get(name)
    try:
        dates = json.loads(told) if isinstance(told, str) else told
        days = [
            datetime.strptime(str(dates[key]), "%Y%m%d").timetuple().tm_yday for key in sorted(dates, key=int)
        ]
    except (ValueError, TypeError) as error:
        raise InputError(f"PASTIS: {name} of {path.name} is {told!r}; expected dates as YYYYMMDD.") from error
    if len(days) != count:
        raise InputError(f"PASTIS: {path.name} has {count} dates and {name} names {len(days)}.")
    return np.array(days)


def _located(shape: Mapping[str, Any], crs: str) -> tuple[float, float]:
    """Centre of the patch."""
    rings = shape["coordinates"] if shape["type"] == "Polygon" else shape["coordinates"][0]
    corners = np.array(rings[0], dtype=float)[:-1, :2]
    (lon,), (lat,) = transform(crs, "OGC:CRS84", *([value] for value in corners.mean(axis=0)))
    return lon, lat


PASTIS_MM = About(
    name="pastis-mm",
    title="PASTIS-R",
    task="crop segmentation",
    kind="mask",
    classes=CLASSES,
    read=_read,
    splits={"validation": ("train", "val"), "test": ("train", "test")},
    measure="mIoU",
    tile_px=128,
    convention=(
        "mIoU over 18 crops and background; void (parcels mostly outside their patch) is ignored (sure). "
        "The authors give the mean of five folds; here the first of them: folds 1 to 3 to fit on, 4, 5 to "
        "ask. Which measure the paper prints for it we could not find: OA stands beside"
    ),
    source="https://github.com/VSainteuf/pastis-benchmark",
    layout_source=(
        "DATA_S2, DATA_S1A, ANNOTATIONS/TARGET_ID.npy (first layer) and metadata.geojson, as torchgeo reads "
        "it (sure); VV and VH as the first two of three radar bands, in dB (fairly sure: checked when read)"
    ),
    terms="Etalab open licence 2.0",
    size="2,433 patches of 128 x 128 px, 38 to 61 dates of Sentinel-2, about 70 of each orbit, 54 GB",
)
