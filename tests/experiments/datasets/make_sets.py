"""A tiny set in the exact layout of each published one, with a planted signal.

Each class has a colour of its own, or a spectrum and a season; `permuted` deals the truth of all items out
again at random, so that nothing is left to find. Positions lie 0.5 degrees apart.
"""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image
from rasterio.transform import from_origin
from rasterio.warp import transform

from experiments.datasets import isaid, potsdam
from experiments.datasets.big_earth_net import MERGED, S1_FOLDER, S2_FOLDER
from experiments.datasets.catalog import SETS
from experiments.datasets.change_pairs import OSCD
from experiments.datasets.files import S2_ORDERS
from experiments.datasets.potsdam import PARTS

UTM = "EPSG:32632"


def dealt(truths: Sequence[np.ndarray], permuted: bool, rng: np.random.Generator) -> list[np.ndarray]:
    """The truths of items, in their order or dealt out anew."""
    order = rng.permutation(len(truths)) if permuted else np.arange(len(truths))
    return [truths[i] for i in order]


def colours(classes: int) -> np.ndarray:
    """Colours far from each other: (K, 3)."""
    levels = np.stack(np.meshgrid([40, 110, 180, 250], [40, 110, 180, 250], [40, 110, 180, 250]), -1)
    return levels.reshape(-1, 3)[np.random.default_rng(7).permutation(64)[:classes]]


def spectra(classes: int, bands: int) -> np.ndarray:
    """Reflectance x 10000 of each class: (K, C)."""
    return np.random.default_rng(8).integers(300, 4000, (classes, bands))


def painted(codes: np.ndarray, values: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Codes (H, W) and values of classes (K, C) -> (C, H, W) float."""
    image = values[codes].astype(float)
    return np.moveaxis(image + rng.normal(0, noise, image.shape), -1, 0)


def rgb(codes: np.ndarray, classes: int, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8."""
    return np.clip(painted(codes, colours(classes), 6, rng), 0, 255).astype(np.uint8).transpose(1, 2, 0)


def halves(classes: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """A mask of two classes, divided at a random line: (side, side)."""
    codes = np.empty((side, side), dtype=np.int64)
    cut = int(rng.integers(side // 4, 3 * side // 4))
    codes[:cut], codes[cut:] = rng.choice(classes, 2, replace=False)
    return codes if rng.random() < 0.5 else codes.T.copy()


def save_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))


def save_tif(path: Path, pixels: np.ndarray, number: int | None = None) -> None:
    """(C, H, W) as a GeoTIFF, placed by its number if there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    place: dict[str, object] = {}
    if number is not None:
        (x,), (y,) = transform("OGC:CRS84", UTM, [7 + 0.5 * (number % 8)], [46 + 0.5 * (number // 8)])
        place = {"crs": UTM, "transform": from_origin(x, y, 10, 10)}
    count, height, width = pixels.shape
    with rasterio.open(path, "w", driver="GTiff", count=count, height=height, width=width,
                       dtype=pixels.dtype, **place) as out:  # fmt: skip
        out.write(pixels)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def class_folders(name: str, each: int) -> Callable[[Path, bool], None]:
    def write(folder: Path, permuted: bool) -> None:
        rng = np.random.default_rng(1)
        classes = SETS[name].classes
        code = np.repeat(np.arange(len(classes)), each)
        shown = dealt(list(code), permuted, rng)
        for i, (label, colour) in enumerate(zip(code, shown, strict=True)):
            image = rgb(np.full((16, 16), colour), len(classes), rng)
            save_image(folder / classes[label] / f"{classes[label].lower()}_{i % each + 1:03}.jpg", image)

    return write


def big_earth_net(with_s1: bool) -> Callable[[Path, bool], None]:
    corine = [names[0] for names in MERGED.values()][:4]

    def write(folder: Path, permuted: bool) -> None:
        rng = np.random.default_rng(2)
        truths = [rng.random(4) < 0.5 for _ in range(60)]
        truths = [t if t.any() else np.eye(4, dtype=bool)[i % 4] for i, t in enumerate(truths)]
        shown = dealt(truths, permuted, rng)
        rows: dict[str, list[list[str]]] = {"train": [], "val": [], "test": []}
        for i, (truth, seen) in enumerate(zip(truths, shown, strict=True)):
            part = ("train", "train", "val", "test")[i % 4]
            s2, s1 = f"S2A_MSIL2A_20170613T101031_{i}_{i}", f"S1A_IW_GRDH_1SDV_20170613T165043_33UUP_{i}_{i}"
            labels = [name for name, there in zip(corine, truth, strict=True) if there]
            write_patch(folder / S2_FOLDER / s2, labels, "acquisition_date")
            for b, band in enumerate(S2_ORDERS[12]):
                side = {"B01": 20, "B09": 20}.get(band, 120 if band in ("B02", "B03", "B04", "B08") else 60)
                level = 400 + 900 * (seen @ np.eye(4)[:, b % 4])
                pixels = np.clip(rng.normal(level, 40, (1, side, side)), 1, None).astype(np.uint16)
                save_tif(folder / S2_FOLDER / s2 / f"{s2}_{band}.tif", pixels, i)
            if with_s1:
                write_patch(folder / S1_FOLDER / s1, labels, "acquisition_time")
                for b, band in enumerate(("VV", "VH")):
                    pixels = rng.normal(-18 + 6 * seen[b], 1, (1, 120, 120)).astype(np.float32)
                    save_tif(folder / S1_FOLDER / s1 / f"{s1}_{band}.tif", pixels, i)
            rows[part].append([s2, s1])
        for part, lines in rows.items():
            with (folder / f"{part}.csv").open("w", newline="") as out:
                csv.writer(out).writerows(lines if with_s1 else [line[:1] for line in lines])

    return write


def write_patch(folder: Path, labels: list[str], date: str) -> None:
    about = {"labels": labels, date: "2017-06-13 10:10:31", "projection": UTM}
    write_text(folder / f"{folder.name}_labels_metadata.json", json.dumps(about))


def fmow(folder: Path, permuted: bool) -> None:
    rng = np.random.default_rng(3)
    used = (0, 5, 9, 34)
    code = np.array([used[i % 4] for i in range(48)])
    shown = dealt(list(code), permuted, rng)
    rows: dict[str, list[list[str]]] = {"train": [], "val": []}
    for i, (label, seen) in enumerate(zip(code, shown, strict=True)):
        part, name = ("val" if i % 3 == 2 else "train"), SETS["fmow-s2"].classes[label]
        lon, lat = 7 + 0.5 * (i % 8), 46 + 0.5 * (i // 8)
        ring = ", ".join(f"{lon + dx} {lat + dy}" for dx, dy in ((0, 0), (0.01, 0), (0.01, 0.01), (0, 0)))
        rows[part].append([name, str(i), "101", "2018-05-17T00:00:00Z", f"POLYGON (({ring}))"])
        side = (24, 40, 17)[i // 4 % 3]  # the set's images are of many sizes
        pixels = painted(np.full((side, side), seen), spectra(62, 13), 40, rng)
        place = f"{name}_{i}"
        save_tif(
            folder / part / name / place / f"{place}_101.tif", np.clip(pixels, 1, None).astype(np.uint16)
        )
    for part, lines in rows.items():
        with (folder / f"{part}.csv").open("w", newline="") as out:
            csv.writer(out).writerows(
                [["category", "location_id", "image_id", "timestamp", "polygon"], *lines]
            )


def painted_mask(codes: np.ndarray, legend: dict[tuple[int, int, int], str]) -> np.ndarray:
    return np.array(list(legend), dtype=np.uint8)[codes]


def isaid_set(folder: Path, permuted: bool) -> None:
    rng = np.random.default_rng(4)
    masks = [halves(4, 48, rng) for _ in range(24)]
    for i, (mask, seen) in enumerate(zip(masks, dealt(masks, permuted, rng), strict=True)):
        part = folder / ("val" if i % 3 == 2 else "train")
        save_image(part / "images" / f"P{i:04}.png", rgb(seen, 16, rng))
        truth = painted_mask(mask, isaid.LEGEND)
        save_image(part / "Semantic_masks" / "images" / f"P{i:04}_instance_color_RGB.png", truth)


def potsdam_set(folder: Path, permuted: bool) -> None:
    rng = np.random.default_rng(5)
    names = PARTS["train"].split() + PARTS["test"].split()
    masks = [halves(6, 48, rng) for _ in names]
    for name, mask, seen in zip(names, masks, dealt(masks, permuted, rng), strict=True):
        image = np.concatenate([rgb(seen, 6, rng).transpose(2, 0, 1), np.full((1, 48, 48), 90, np.uint8)])
        save_tif(folder / "4_Ortho_RGBIR" / f"top_potsdam_{name}_RGBIR.tif", image)
        truth = painted_mask(mask, potsdam.LEGEND).transpose(2, 0, 1)
        save_tif(folder / "5_Labels_all" / f"top_potsdam_{name}_label.tif", truth)


def dynamic_earth_net(folder: Path, permuted: bool) -> None:
    """12 cubes of two months; a third of each changes."""
    rng = np.random.default_rng(6)
    side, months, lines = 64, ("2018-01", "2018-02"), {"train": [""] * 0, "val": [""] * 0, "test": [""] * 0}
    pairs = []
    for _ in range(12):
        before = halves(6, side, rng)
        after = before.copy()
        after[:, : side // 3] = rng.integers(0, 6)
        pairs.append(np.stack([before, after]))
    for i, (truth, seen) in enumerate(zip(pairs, dealt(pairs, permuted, rng), strict=True)):
        part, cube = ("train", "train", "val", "test")[i % 4], f"{1300 + i}_3077_13"
        for m, month in enumerate(months):
            planet = f"10N/24E-187N/{cube}/PF-SR"
            bgrn = np.stack([*rgb(seen[m], 6, rng).transpose(2, 0, 1)[::-1], np.full((side, side), 99)]) * 11
            save_tif(folder / "planet" / planet / f"{month}-01.tif", bgrn.astype(np.uint16), i)
            label = f"labels/{cube}_10N/Labels/Raster/10N-122W/10N-122W-{month.replace('-', '_')}_01.tif"
            layers = np.zeros((7, side, side), dtype=np.uint8)
            for code in range(6):
                layers[code][truth[m] == code] = 255
            save_tif(folder / label, layers, i)
            s2 = painted(seen[m], spectra(6, 12), 40, rng)
            s1 = painted(seen[m], np.array([[-20 + 2 * c, -25 + c] for c in range(6)]), 0.5, rng)
            save_tif(
                folder / "sentinel2" / cube / f"S2_{month}.tif", np.clip(s2, 1, None).astype(np.uint16), i
            )
            save_tif(folder / "sentinel1" / cube / f"S1_{month}.tif", s1.astype(np.float32), i)
            lines[part].append(f"/reprocess-cropped/UTM-24000/{planet} /{label} {month}")
    for part, told in lines.items():
        write_text(folder / "dynnet_training_splits" / f"{part}.txt", "\n".join(told) + "\n")


Box = tuple[float, float, float, float, int]  # x, y, half length, half breadth, class


def scattered(classes: int, rng: np.random.Generator, side: int = 64) -> list[Box]:
    """Two or three objects that do not touch, on a grid of nine places."""
    places = rng.permutation(9)[: int(rng.integers(2, 4))]
    step = side // 3
    return [
        (step * (p % 3) + step / 2, step * (p // 3) + step / 2, 8.0, 8.0, int(rng.integers(0, classes)))
        for p in places
    ]


def box_image(boxes: list[Box], classes: int, rng: np.random.Generator, side: int = 64) -> np.ndarray:
    image = rng.normal(20, 4, (side, side, 3))
    for x, y, length, breadth, code in boxes:
        rows, cols = slice(int(y - breadth), int(y + breadth)), slice(int(x - length), int(x + length))
        image[rows, cols] = colours(classes)[code] + rng.normal(0, 5, image[rows, cols].shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def dior(rotated: bool) -> Callable[[Path, bool], None]:
    classes = SETS["dior"].classes

    def write(folder: Path, permuted: bool) -> None:
        rng = np.random.default_rng(9)
        every = [scattered(3, rng) for _ in range(40)]
        order = rng.permutation(40) if permuted else np.arange(40)
        listed: dict[str, list[str]] = {"train": [], "val": [], "test": []}
        for i, truth in enumerate(every):
            part, name = ("train", "train", "val", "test")[i % 4], f"{i + 1:05}"
            listed[part].append(name)
            images = folder / ("JPEGImages-test" if part == "test" else "JPEGImages-trainval")
            save_image(images / f"{name}.jpg", box_image(every[order[i]], len(classes), rng))
            boxes = "Oriented Bounding Boxes" if rotated else "Horizontal Bounding Boxes"
            objects = "".join(voc_object(box, classes, rotated) for box in truth)
            xml = f"<annotation><filename>{name}.jpg</filename>{objects}</annotation>"
            write_text(folder / "Annotations" / boxes / f"{name}.xml", xml)
        for part, names in listed.items():
            write_text(folder / "ImageSets" / "Main" / f"{part}.txt", "\n".join(names) + "\n")

    return write


def ring(box: Box) -> list[tuple[float, float]]:
    x, y, length, breadth, _ = box
    return [(x - length, y - breadth), (x + length, y - breadth), (x + length, y + breadth),
            (x - length, y + breadth)]  # fmt: skip


def voc_object(box: Box, classes: Sequence[str], rotated: bool) -> str:
    corners = ring(box)
    if rotated:
        names = ("left_top", "right_top", "right_bottom", "left_bottom")
        told = "".join(
            f"<x_{n}>{x}</x_{n}><y_{n}>{y}</y_{n}>" for n, (x, y) in zip(names, corners, strict=True)
        )
        shape = f"<robndbox>{told}</robndbox>"
    else:
        (x0, y0), (x1, y1) = corners[0], corners[2]
        shape = f"<bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox>"
    return f"<object><name>{classes[box[4]]}</name><difficult>0</difficult>{shape}</object>"


def fair1m(folder: Path, permuted: bool) -> None:
    rng = np.random.default_rng(10)
    classes = SETS["fair1m"].classes
    every = [scattered(3, rng) for _ in range(32)]
    order = rng.permutation(32) if permuted else np.arange(32)
    for i, truth in enumerate(every):
        where = folder / ("train/part1", "train/part2", "validation")[i % 3]
        save_image(where / "images" / f"{i}.tif", box_image(every[order[i]], len(classes), rng))
        objects = "".join(
            f"<object><possibleresult><name>{classes[box[4]]}</name></possibleresult><points>"
            + "".join(f"<point>{x},{y}</point>" for x, y in [*ring(box), ring(box)[0]])
            + "</points></object>"
            for box in truth
        )
        source = f"<source><filename>{i}.tif</filename></source>"
        xml = f"<annotation>{source}<objects>{objects}</objects></annotation>"
        write_text(where / "labelXml" / f"{i}.xml", xml)


def changed_pair(side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two maps of classes and where they differ, a ninth of the tile: (2, side, side), (side, side)."""
    before = halves(4, side, rng)
    truth = np.zeros((side, side), dtype=np.int64)
    y, x = rng.integers(0, side - side // 3, 2)
    truth[y : y + side // 3, x : x + side // 3] = 1
    return np.stack([before, np.where(truth == 1, (before + 1) % 4, before)]), truth


def levir_cd(folder: Path, permuted: bool) -> None:
    rng = np.random.default_rng(11)
    pairs, truths = zip(*(changed_pair(64, rng) for _ in range(32)), strict=True)
    for i, (pair, truth) in enumerate(zip(pairs, dealt(truths, permuted, rng), strict=True)):
        part = ("train", "train", "val", "test")[i % 4]
        for view, codes in zip("AB", pair, strict=True):
            save_image(folder / part / view / f"{part}_{i}.png", rgb(codes, 4, rng))
        save_image(folder / part / "label" / f"{part}_{i}.png", (255 * truth).astype(np.uint8))


def oscd(folder: Path, permuted: bool) -> None:
    rng = np.random.default_rng(12)
    pairs, truths = zip(*(changed_pair(64, rng) for _ in range(24)), strict=True)
    for i, (pair, truth) in enumerate(zip(pairs, dealt(truths, permuted, rng), strict=True)):
        labels, city = f"{OSCD}{'Test' if i >= 14 else 'Train'} Labels", f"city{i}"
        save_image(folder / labels / city / "cm" / "cm.png", (255 * truth).astype(np.uint8))
        images = folder / f"{OSCD}Images" / city
        write_text(images / "dates.txt", "date_1: 20160727\ndate_2: 20180310\n")
        for n, codes in enumerate(pair, 1):
            pixels = np.clip(painted(codes, spectra(4, 13), 30, rng), 1, None).astype(np.uint16)
            for band, layer in zip(S2_ORDERS[13], pixels, strict=True):
                save_tif(images / f"imgs_{n}_rect" / f"{band}.tif", layer[None])


def pastis(folder: Path, permuted: bool) -> None:
    """Crops differ by the month in which they are green alone."""
    rng = np.random.default_rng(13)
    side, dates = 32, [20181015, 20190115, 20190415, 20190715]
    masks = [halves(4, side, rng) for _ in range(20)]
    features = []
    for i, (mask, seen) in enumerate(zip(masks, dealt(masks, permuted, rng), strict=True)):
        peak = np.array([[1800 if c == t else 300 for c in range(4)] for t in range(4)])
        s2 = np.stack([painted(seen, np.repeat(peak[t][:, None], 10, 1), 60, rng) for t in range(4)])
        s1 = rng.normal(-15, 1, (3, 3, side, side)).astype(np.float16)
        truth = np.stack([np.where(rng.random(mask.shape) < 0.02, 19, mask), mask, mask]).astype(np.uint8)
        for name, array in (("DATA_S2/S2", s2.astype(np.int16)), ("DATA_S1A/S1A", s1),
                            ("ANNOTATIONS/TARGET", truth)):  # fmt: skip
            path = folder / f"{name}_{10000 + i}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, array)
        x, y = 500_000 + 40_000 * (i % 5), 6_500_000 + 40_000 * (i // 5)
        corners = [[x, y], [x + 1280, y], [x + 1280, y + 1280], [x, y + 1280], [x, y]]
        about = {
            "ID_PATCH": 10000 + i,
            "Fold": i % 5 + 1,
            "dates-S2": {str(t): date for t, date in enumerate(dates)},
            "dates-S1A": {str(t): date for t, date in enumerate(dates[:3])},
        }
        shape = {"type": "MultiPolygon", "coordinates": [[corners]]}
        features.append({"type": "Feature", "properties": about, "geometry": shape})
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2154"}}
    told = {"type": "FeatureCollection", "crs": crs, "features": features}
    write_text(folder / "metadata.geojson", json.dumps(told))


MAKERS: dict[str, Callable[[Path, bool], None]] = {
    "aid": class_folders("aid", 5),
    "resisc45": class_folders("resisc45", 4),
    "ben-s2": big_earth_net(False),
    "ben-mm": big_earth_net(True),
    "fmow-s2": fmow,
    "isaid": isaid_set,
    "potsdam": potsdam_set,
    "dyna-pla": dynamic_earth_net,
    "dyna-s2": dynamic_earth_net,
    "dyna-s2-cd": dynamic_earth_net,
    "dyna-mm": dynamic_earth_net,
    "dior": dior(False),
    "dior-r": dior(True),
    "fair1m": fair1m,
    "levir-cd": levir_cd,
    "oscd": oscd,
    "pastis-mm": pastis,
}
