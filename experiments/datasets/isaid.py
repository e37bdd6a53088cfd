"""iSAID: large aerial images with masks painted in 16 colours."""

from functools import partial
from pathlib import Path

from .about import About, file_of, folder_of, some
from .files import colour_codes, read_image
from .scene import Entry, Imagery, Scene

LEGEND = {
    (0, 0, 0): "background", (0, 0, 63): "ship", (0, 63, 63): "storage tank", (0, 63, 0): "baseball diamond",
    (0, 63, 127): "tennis court", (0, 63, 191): "basketball court", (0, 63, 255): "ground track field",
    (0, 127, 63): "bridge", (0, 127, 127): "large vehicle", (0, 0, 127): "small vehicle",
    (0, 0, 191): "helicopter", (0, 0, 255): "swimming pool", (0, 191, 127): "roundabout",
    (0, 127, 191): "soccer ball field", (0, 127, 255): "plane", (0, 100, 155): "harbor",
}  # fmt: skip
CODES = {colour: code for code, colour in enumerate(LEGEND)}


def _read(folder: Path, part: str) -> list[Entry]:
    images = folder_of(folder / part / "images", "iSAID", "P0000.png and so on")
    masks = folder / part / "Semantic_masks" / "images"
    entries = []
    for path in sorted(images.glob("P*.png")):
        mask = masks / f"{path.stem}_instance_color_RGB.png"
        file_of(mask, "iSAID", f"the mask of {path.name}")
        entries.append(Entry(path.stem, path.stem, partial(_load, path, mask)))
    return some(entries, images, "iSAID", "P0000.png and so on")


def _load(image: Path, mask: Path) -> Scene:
    return Scene(({"hr": Imagery.of(read_image(image))},), colour_codes(mask, CODES))


ISAID = About(
    name="isaid",
    title="iSAID",
    task="semantic segmentation",
    kind="mask",
    classes=tuple(LEGEND.values()),
    read=_read,
    splits={"validation": ("train", "val")},
    measure="mIoU of 15",
    averaged={"mIoU of 15": tuple(range(1, 16))},
    tile_px=896,
    convention=(
        "mIoU on the validation part, since the test part's labels are not published; averaged over the 15 "
        "object classes with background as a class that can be confused with them. The mean over all 16, "
        "which mmsegmentation gives, stands beside it: which of the two the paper prints is not said in it "
        "(unsure)"
    ),
    source="https://captain-whu.github.io/iSAID",
    layout_source=(
        "PART/images/P0000.png and PART/Semantic_masks/images/P0000_instance_color_RGB.png; colours and the "
        "tile of 896 px as mmsegmentation lists them (sure)"
    ),
    terms="academic use only; images of DOTA (Google Earth, GF-2, JL-1)",
    size="2,806 images of 800 to 13,000 px, 655,451 objects of 15 classes",
)
