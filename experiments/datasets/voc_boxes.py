"""DIOR and DIOR-R: the same images with upright and with rotated boxes, in Pascal VOC's form."""

from functools import partial
from pathlib import Path

import numpy as np

from .about import About, file_of, folder_of
from .files import class_code, numbers, read_image, read_xml
from .scene import Boxes, Entry, Imagery, Scene

CLASSES = (
    "airplane", "airport", "baseballfield", "basketballcourt", "bridge", "chimney", "dam",
    "expressway-service-area", "expressway-toll-station", "golffield", "groundtrackfield", "harbor",
    "overpass", "ship", "stadium", "storagetank", "tenniscourt", "trainstation", "vehicle", "windmill",
)  # fmt: skip
CODE = {name: code for code, name in enumerate(CLASSES)}
UPRIGHT = ("xmin", "ymin", "xmax", "ymax")
ROTATED = tuple(f"{axis}_{corner}" for corner in ("left_top", "right_top", "right_bottom", "left_bottom")
                for axis in "xy")  # fmt: skip
IMAGES = {"train": "JPEGImages-trainval", "val": "JPEGImages-trainval", "test": "JPEGImages-test"}
BOXES = {False: "Horizontal Bounding Boxes", True: "Oriented Bounding Boxes"}


def _read(rotated: bool, folder: Path, part: str) -> list[Entry]:
    title = "DIOR-R" if rotated else "DIOR"
    listed = file_of(folder / "ImageSets" / "Main" / f"{part}.txt", title, "an image's number a line")
    images = folder_of(folder / IMAGES[part], title, "00001.jpg and so on")
    boxes = folder_of(folder / "Annotations" / BOXES[rotated], title, "00001.xml and so on")
    entries = []
    for name in listed.read_text(encoding="utf-8").split():
        image = file_of(images / f"{name}.jpg", title, f"the image that {listed.name} names")
        box = file_of(boxes / f"{name}.xml", title, f"the boxes of {image.name}")
        entries.append(Entry(name, name, partial(_load, image, box, rotated)))
    return entries


def _load(image: Path, path: Path, rotated: bool) -> Scene:
    corners, code, difficult = [], [], []
    for node in read_xml(path).iter("object"):
        name = node.findtext("name")
        code.append(class_code(path, None if name is None else name.strip().lower(), CODE))
        difficult.append((node.findtext("difficult") or "0").strip() == "1")
        if rotated:
            corners.append(numbers(path, node.find("robndbox"), ROTATED))
        else:
            corners.append(numbers(path, node.find("bndbox"), UPRIGHT))
    spared = np.array(difficult, dtype=bool)
    if rotated:
        at = np.array(corners, dtype=np.float64).reshape(-1, 4, 2)
        boxes = Boxes(at, np.array(code, dtype=np.int64), spared)
    else:
        boxes = Boxes.upright(np.array(corners), np.array(code), spared)
    return Scene(({"hr": Imagery.of(read_image(image))},), boxes)


def _about(name: str, title: str, rotated: bool, measure: str, convention: str) -> About:
    return About(
        name=name,
        title=title,
        task="object detection",
        kind="boxes",
        classes=CLASSES,
        read=partial(_read, rotated),
        splits={"validation": ("train", "val"), "test": ("train+val", "test")},
        measure=measure,
        convention=convention,
        tile_px=800,
        rotated=rotated,
        source="https://arxiv.org/abs/1909.00133" if not rotated else "https://arxiv.org/abs/2110.01931",
        layout_source=(
            "JPEGImages-trainval, JPEGImages-test, ImageSets/Main and Annotations/"
            f"{BOXES[rotated]}, as mmrotate and torchgeo read it (sure)"
        ),
        terms="academic use; imagery from Google Earth",
        size="23,463 images of 800 x 800 px, 192,518 objects of 20 classes",
    )


DIOR = _about(
    "dior", "DIOR", False, "AP50 VOC area",
    "AP at an IoU of 0.5 in the manner of Pascal VOC, averaged over 20 classes (fairly sure); COCO's way "
    "beside it",
)  # fmt: skip
DIOR_R = _about(
    "dior-r", "DIOR-R", True, "AP50 VOC 07",
    "AP of rotated boxes at an IoU of 0.5, the 11 recalls of VOC 2007 that mmrotate takes (fairly sure)",
)  # fmt: skip
