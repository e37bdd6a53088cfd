"""ISPRS Potsdam: 38 orthophotos of 6000 x 6000 px at 5 cm, labels as colours."""

from functools import partial
from pathlib import Path

from .about import About, file_of, folder_of
from .files import colour_codes, read_raster
from .scene import IGNORED, Entry, Imagery, Scene

LEGEND = {
    (255, 255, 255): "impervious surfaces", (0, 0, 255): "building", (0, 255, 255): "low vegetation",
    (0, 255, 0): "tree", (255, 255, 0): "car", (255, 0, 0): "clutter",
}  # fmt: skip
CODES = {colour: code for code, colour in enumerate(LEGEND)} | {
    (0, 0, 0): IGNORED
}  # eroded borders are black
PARTS = {
    "train": "2_10 2_11 2_12 3_10 3_11 3_12 4_10 4_11 4_12 5_10 5_11 5_12 6_7 6_8 6_9 6_10 6_11 6_12 7_7 "
    "7_8 7_9 7_10 7_11 7_12",
    "test": "2_13 2_14 3_13 3_14 4_13 4_14 4_15 5_13 5_14 5_15 6_13 6_14 6_15 7_13",
}
LABELS = ("5_Labels_all", "5_Labels_all_noBoundary", ".")


def _read(folder: Path, part: str) -> list[Entry]:
    images = folder_of(folder / "4_Ortho_RGBIR", "Potsdam", "top_potsdam_2_10_RGBIR.tif and so on")
    entries = []
    for name in PARTS[part].split():
        image = file_of(images / f"top_potsdam_{name}_RGBIR.tif", "Potsdam", f"an image of its {part} part")
        masks = [folder / where / f"top_potsdam_{name}_label{end}.tif" for where in LABELS
                 for end in ("", "_noBoundary")]  # fmt: skip
        mask = next((path for path in masks if path.is_file()), masks[0])
        file_of(mask, "Potsdam", f"the labels of {image.name}")
        entries.append(Entry(name, name, partial(_load, image, mask)))
    return entries


def _load(image: Path, mask: Path) -> Scene:
    pixels, _ = read_raster(image)
    return Scene(({"hr": Imagery.of(pixels[:3])},), colour_codes(mask, CODES))


POTSDAM = About(
    name="potsdam",
    title="Potsdam",
    task="semantic segmentation",
    kind="mask",
    classes=tuple(LEGEND.values()),
    read=_read,
    splits={"validation": ("train", "blocks of train"), "test": ("train", "test")},
    measure="mF1 of 5",
    averaged={"mF1 of 5": tuple(range(5))},
    convention=(
        "mean F1 over five classes; clutter is no class of the mean, but pixels that are it or are called it "
        "count as wrong. Labels with and without borders are both read, black borders are ignored. All six "
        "classes stand beside it (fairly sure)"
    ),
    source="https://www.isprs.org/resources/datasets/benchmarks/UrbanSemLab/2d-sem-label-potsdam.aspx",
    layout_source="4_Ortho_RGBIR and 5_Labels_all, tiles and colours as torchgeo reads them (sure)",
    terms="on request from the ISPRS; research use",
    size="38 images, 24 to fit on and 14 to ask, 13 GB",
)
