"""fMoW-Sentinel: a CSV per split, a GeoTIFF of 13 bands per category, location and image."""

import csv
import re
from functools import partial
from pathlib import Path

import numpy as np

from data.sample import InputError

from .about import About, file_of
from .files import class_code, read_raster, s2_bands, s2_imagery
from .scene import Entry, Scene, nowhere

CLASSES = (
    "airport", "airport_hangar", "airport_terminal", "amusement_park", "aquaculture", "archaeological_site",
    "barn", "border_checkpoint", "burial_site", "car_dealership", "construction_site", "crop_field", "dam",
    "debris_or_rubble", "educational_institution", "electric_substation", "factory_or_powerplant",
    "fire_station", "flooded_road", "fountain", "gas_station", "golf_course", "ground_transportation_station",
    "helipad", "hospital", "impoverished_settlement", "interchange", "lake_or_pond", "lighthouse",
    "military_facility", "multi-unit_residential", "nuclear_powerplant", "office_building",
    "oil_or_gas_facility", "park", "parking_lot_or_garage", "place_of_worship", "police_station", "port",
    "prison", "race_track", "railway_bridge", "recreational_facility", "road_bridge", "runway", "shipyard",
    "shopping_mall", "single-unit_residential", "smokestack", "solar_farm", "space_facility", "stadium",
    "storage_tank", "surface_mine", "swimming_pool", "toll_booth", "tower", "tunnel_opening",
    "waste_disposal", "water_treatment_facility", "wind_farm", "zoo",
)  # fmt: skip
CODE = {name: code for code, name in enumerate(CLASSES)}
COLUMNS = ("category", "location_id", "image_id", "timestamp")
POINT = re.compile(r"(-?\d+(?:\.\d+)?)\s+(-?\d+(?:\.\d+)?)")


def _read(folder: Path, part: str) -> list[Entry]:
    path = file_of(folder / f"{part}.csv", "fMoW-S2", f"the split's metadata with {', '.join(COLUMNS)}")
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    missing = [column for column in COLUMNS if not rows or column not in rows[0]]
    if missing:
        raise InputError(f"fMoW-S2: {path} has {len(rows)} rows and lacks {missing}; expected {COLUMNS}.")
    images = "test" if part == "test_gt" else part
    entries = []
    for row in rows:
        code = class_code(path, row["category"], CODE)
        place = f"{row['category']}_{row['location_id']}"
        image = folder / images / row["category"] / place / f"{place}_{row['image_id']}.tif"
        file_of(image, "fMoW-S2", f"the image that {path.name} names")
        truth = np.eye(len(CLASSES), dtype=bool)[code]
        where = partial(_located, row.get("polygon") or "")
        entries.append(Entry(image.stem, place, partial(_load, image, row["timestamp"], truth), where))
    return entries


def _load(path: Path, timestamp: str, truth: np.ndarray) -> Scene:
    pixels, names = read_raster(path)
    days = np.array([_day(path, timestamp)])
    return Scene(({"s2": s2_imagery(s2_bands(path, pixels, names)[None], days, path.name)},), truth)


def _day(path: Path, timestamp: str) -> int:
    try:
        return int(np.datetime64(timestamp.rstrip("Z")[:10]).astype(object).timetuple().tm_yday)
    except ValueError as error:
        raise InputError(f"{path.name} has the time {timestamp!r}; expected YYYY-MM-DDThh:mm:ssZ.") from error


def _located(polygon: str) -> tuple[float, float]:
    """Mean of the corners."""
    corners = np.array(POINT.findall(polygon), dtype=float)
    if not len(corners):
        return nowhere()
    lon, lat = corners.mean(axis=0).tolist()
    return lon, lat


FMOW_S2 = About(
    name="fmow-s2",
    title="fMoW-Sentinel",
    task="scene classification",
    kind="labels",
    classes=CLASSES,
    read=_read,
    splits={"validation": ("train", "blocks of train"), "test": ("train", "val")},
    measure="linear top-1",
    convention=(
        "top-1 and top-5 accuracy on the published validation part, as SatMAE and the encoders after it "
        "report (fairly sure); Level-1C composites, taken as they are"
    ),
    source="https://purl.stanford.edu/vg497cb6002",
    layout_source=(
        "its metadata README for columns and splits; paths SPLIT/CATEGORY/CATEGORY_LOCATION/"
        "CATEGORY_LOCATION_IMAGE.tif as SatMAE's code reads them (sure)"
    ),
    terms="fMoW Challenge Public License for locations and categories; Sentinel terms for images",
    size="882,779 images of 62 classes, 62 GB packed",
)
