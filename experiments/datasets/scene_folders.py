"""AID and RESISC-45: a folder of images for each class, and no published split."""

from functools import partial
from pathlib import Path

import numpy as np

from data.sample import InputError

from .about import About, folder_of
from .files import read_image
from .scene import Entry, Imagery, Scene

AID_CLASSES = (
    "Airport", "BareLand", "BaseballField", "Beach", "Bridge", "Center", "Church", "Commercial",
    "DenseResidential", "Desert", "Farmland", "Forest", "Industrial", "Meadow", "MediumResidential",
    "Mountain", "Park", "Parking", "Playground", "Pond", "Port", "RailwayStation", "Resort", "River",
    "School", "SparseResidential", "Square", "Stadium", "StorageTanks", "Viaduct",
)  # fmt: skip
RESISC_CLASSES = (
    "airplane", "airport", "baseball_diamond", "basketball_court", "beach", "bridge", "chaparral", "church",
    "circular_farmland", "cloud", "commercial_area", "dense_residential", "desert", "forest", "freeway",
    "golf_course", "ground_track_field", "harbor", "industrial_area", "intersection", "island", "lake",
    "meadow", "medium_residential", "mobile_home_park", "mountain", "overpass", "palace", "parking_lot",
    "railway", "railway_station", "rectangular_farmland", "river", "roundabout", "runway", "sea_ice", "ship",
    "snowberg", "sparse_residential", "stadium", "storage_tank", "tennis_court", "terrace",
    "thermal_power_station", "wetland",
)  # fmt: skip
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif")


def _read(title: str, classes: tuple[str, ...], folder: Path, part: str) -> list[Entry]:
    folder_of(folder, title, f"a folder for each of its {len(classes)} classes")
    folders = {path.name: path for path in folder.iterdir() if path.is_dir()}
    missing, strange = sorted(set(classes) - set(folders)), sorted(set(folders) - set(classes))
    if missing or strange:
        raise InputError(
            f"{title}: {folder} lacks the classes {missing} and has the folders {strange} that are none; "
            f"expected one folder for each of {', '.join(classes)}."
        )
    entries = []
    for code, name in enumerate(classes):
        paths = sorted(path for path in folders[name].iterdir() if path.suffix.lower() in SUFFIXES)
        if not paths:
            raise InputError(f"{title}: {folders[name]} holds no image; expected some of each class.")
        truth = np.eye(len(classes), dtype=bool)[code]
        entries += [
            Entry(f"{name}/{path.stem}", f"{name}/{path.stem}", partial(_load, path, truth), label=name)
            for path in paths
        ]
    return entries


def _load(path: Path, truth: np.ndarray) -> Scene:
    return Scene(({"hr": Imagery.of(read_image(path))},), truth)


AID = About(
    name="aid",
    title="AID",
    task="scene classification",
    kind="labels",
    classes=AID_CLASSES,
    read=partial(_read, "AID", AID_CLASSES),
    splits={"validation": ("all", "rest"), "test": ("all", "rest")},
    share=0.2,
    measure="linear top-1",
    convention="overall accuracy; the authors fit on 20 % and on 50 % of each class, drawn at random",
    source="https://arxiv.org/abs/1608.05167",
    layout_source="class folders as its mirrors hold them; names from the public class lists (sure)",
    terms="no licence is stated; imagery from Google Earth",
    size="10,000 images of 600 x 600 px, 30 classes, 2.4 GB",
)
RESISC45 = About(
    name="resisc45",
    title="RESISC-45",
    task="scene classification",
    kind="labels",
    classes=RESISC_CLASSES,
    read=partial(_read, "RESISC-45", RESISC_CLASSES),
    splits={"validation": ("all", "rest"), "test": ("all", "rest")},
    share=0.1,
    measure="linear top-1",
    convention="overall accuracy; the authors fit on 10 % and on 20 % of each class, drawn at random",
    source="https://arxiv.org/abs/1703.00121",
    layout_source="NWPU-RESISC45/CLASS/CLASS_NNN.jpg, as torchgeo and tfds read it (sure)",
    terms="no licence is stated; imagery from Google Earth",
    size="31,500 images of 256 x 256 px, 45 classes, 0.4 GB",
)
