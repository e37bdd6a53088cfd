"""FAIR1M 2.0: large images with rotated boxes of 37 fine classes."""

from functools import partial
from pathlib import Path

import numpy as np

from data.sample import InputError

from .about import About, file_of, folder_of, some
from .files import class_code, read_image, read_xml
from .scene import Boxes, Entry, Imagery, Scene

CLASSES = (
    "Passenger Ship", "Motorboat", "Fishing Boat", "Tugboat", "other-ship", "Engineering Ship",
    "Liquid Cargo Ship", "Dry Cargo Ship", "Warship", "Small Car", "Bus", "Cargo Truck", "Dump Truck",
    "other-vehicle", "Van", "Trailer", "Tractor", "Excavator", "Truck Tractor", "Boeing737", "Boeing747",
    "Boeing777", "Boeing787", "ARJ21", "C919", "A220", "A321", "A330", "A350", "other-airplane",
    "Baseball Field", "Basketball Court", "Football Field", "Tennis Court", "Roundabout", "Intersection",
    "Bridge",
)  # fmt: skip
CODE = {name: code for code, name in enumerate(CLASSES)}
PARTS = {"train": ("train/part1", "train/part2"), "val": ("validation",)}


def _read(folder: Path, part: str) -> list[Entry]:
    entries = []
    for where in PARTS[part]:
        images = folder_of(folder / where / "images", "FAIR1M", "0.tif and so on")
        boxes = folder_of(folder / where / "labelXml", "FAIR1M", "0.xml and so on")
        for image in sorted(images.glob("*.tif")):
            box = file_of(boxes / f"{image.stem}.xml", "FAIR1M", f"the boxes of {image}")
            name = f"{where}/{image.stem}"
            entries.append(Entry(name, name, partial(_load, image, box)))
    return some(entries, folder, "FAIR1M", "images/*.tif and labelXml/*.xml")


def _load(image: Path, path: Path) -> Scene:
    corners, code = [], []
    for node in read_xml(path).iter("object"):
        code.append(class_code(path, node.findtext("possibleresult/name"), CODE))
        corners.append(_corners(path, [point.text or "" for point in node.iterfind("points/point")]))
    at = np.array(corners, dtype=np.float64).reshape(-1, 4, 2)
    boxes = Boxes(at, np.array(code, dtype=np.int64), np.zeros(len(code), dtype=bool))
    return Scene(({"hr": Imagery.of(read_image(image))},), boxes)


def _corners(path: Path, points: list[str]) -> list[list[float]]:
    """Four corners; the fifth point closes the ring."""
    try:
        corners = [[float(value) for value in point.split(",")] for point in points[:4]]
    except ValueError as error:
        raise InputError(f"{path}: {error}; expected points as x,y.") from error
    if len(corners) != 4 or any(len(corner) != 2 for corner in corners):
        raise InputError(f"{path} has a box of the points {points}; expected four corners x,y.")
    return corners


FAIR1M = About(
    name="fair1m",
    title="FAIR1M",
    task="object detection",
    kind="boxes",
    classes=CLASSES,
    read=_read,
    splits={"validation": ("train", "val")},
    measure="AP50 VOC area",
    convention=(
        "AP of rotated boxes at an IoU of 0.5 over 37 classes. The authors' server holds the labels of the "
        "test part: published numbers are its, ours are of the validation part, found in tiles of 1024 px, "
        "a box belonging to the tile of its centre (another question, said so)"
    ),
    tile_px=1024,
    rotated=True,
    source="https://doi.org/10.1016/j.isprsjprs.2021.12.004",
    layout_source="version 2.0 as torchgeo reads it: train/part1, train/part2, validation (sure)",
    terms="research use, on registration at the Gaofen challenge",
    size="15,266 images of 1,000 to 10,000 px, over a million objects, 37 classes",
)
