"""A STAC catalog with label rasters -> small labelled patches of its places.

A patch is `cells` x `cells` grid cells of a sample. Its label is the class that most of its labelled pixels
have, in the common legend of legends.py; a patch less than half of which is labelled is left out.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pystac
import rasterio
from rasterio.transform import Affine
from rasterio.warp import Resampling, reproject, transform

from data.cover import Skip, plan_chips
from data.modality import MODALITIES
from data.reader import read_sample
from data.sample import InputError, Sample, SampleSpec
from data.stac import Catalog, read_catalog

from .legends import common_name
from .series_sets import SensorRules

MIN_LABELLED = 0.5  # share of a patch's pixels
LABEL_PX_PER_CELL = 8  # labels are laid on the 10 m grid of nano's 80 m cells


@dataclass(frozen=True)
class LabelRaster:
    """Labels of one place."""

    href: str
    names: dict[int, str]  # code -> class in the common legend; other codes are no label


@dataclass(frozen=True)
class PatchSet:
    """n labelled patches of several places."""

    name: str
    samples: list[Sample]  # (n,)
    label: np.ndarray  # (n,) str
    place: np.ndarray  # (n,) str
    lon_deg: np.ndarray  # (n,) of the centre
    lat_deg: np.ndarray
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, rows: np.ndarray) -> "PatchSet":
        """The patches of `rows` (n,) bool."""
        picked = {name: getattr(self, name)[rows] for name in ("label", "place", "lon_deg", "lat_deg")}
        return replace(self, samples=[self.samples[i] for i in np.flatnonzero(rows)], **picked)

    def noting(self, *notes: str) -> "PatchSet":
        """The same with more notes."""
        return replace(self, notes=self.notes + notes)


def read_patches(
    catalog: Path, spec: SampleSpec, *, cells: int, rules: SensorRules, per_place: int, seed: int
) -> PatchSet:
    """Cut every labelled place of a catalog into patches, at most `per_place` of each, drawn at random.

    Raises:
        InputError: no catalog, or no place with imagery and a label raster that names its classes.
    """
    labels, unnamed = find_labels(catalog)
    imagery, filled = with_bands(read_catalog(catalog), rules.fill_band)
    plan = plan_chips(imagery, spec, allow_l1c=rules.allow_l1c)
    samples, label, purity, place, dropped = [], [], [], [], Counter[str]()
    for task in plan.tasks:
        name = task.sample_id.split("#")[0]
        if name not in labels:
            continue
        sample = read_sample(task, spec)
        if isinstance(sample, Skip):
            dropped[f"{name}: {sample.reason}"] += 1
            continue
        dropped.update(f"{name} without {modality}: {reason}" for modality, reason in sample.dropped)
        for patch, name_of, share in patches_of(sample, labels[name], cells, spec.cell_m):
            samples.append(patch)
            label.append(name_of)
            purity.append(share)
            place.append(name)
    if not samples:
        raise InputError(
            f"{catalog} gave no labelled patch; expected items with an asset of role `labels`, a GeoTIFF "
            "whose `sample:legend` names its codes, over imagery that can be read. "
            f"Without legend: {unnamed or 'none'}."
        )
    kept = _some_of_each(np.array(place), per_place, seed)
    lon, lat = _centres([samples[i] for i in kept], cells * spec.cell_m)
    notes = (
        f"patches of {cells * spec.cell_m:g} m, label = most frequent class (share {np.mean(purity):.2f})",
        *(("S2 L1C taken as L2A where it is all there is",) if rules.allow_l1c else ()),
        *(f"{name}: {words}" for name, words in filled.items() if name in labels),
        *(f"no legend, left out: {name}" for name in unnamed),
        *(reason for reason, _ in dropped.most_common(8)),
    )
    return PatchSet(
        f"patches-{catalog.resolve().parent.name}",
        [samples[i] for i in kept],
        np.array(label)[kept],
        np.array(place)[kept],
        lon,
        lat,
        notes,
    )


def with_bands(catalog: Catalog, fill_band: Mapping[str, str]) -> tuple[Catalog, dict[str, str]]:
    """The catalog with its missing Sentinel-2 bands read from others, and which those are, by place."""
    places, filled_at = [], {}
    for place in catalog.places:
        scenes, filled = [], dict[str, None]()
        for scene in place.scenes:
            there = {band.name: band for band in scene.bands}
            lacking = scene.missing_bands if scene.modality == "s2" else ()
            source_of = {band: fill_band[band] for band in lacking if fill_band.get(band) in there}
            there |= {band: replace(there[source], name=band) for band, source in source_of.items()}
            filled |= dict.fromkeys(f"{band} filled with {source}" for band, source in source_of.items())
            ordered = (there[band] for band in MODALITIES[scene.modality].bands if band in there)
            scenes.append(replace(scene, bands=tuple(ordered)))
        places.append(replace(place, scenes=tuple(scenes)))
        if filled:
            filled_at[place.name] = ", ".join(filled)
    return replace(catalog, places=tuple(places)), filled_at


def find_labels(catalog: Path) -> tuple[dict[str, LabelRaster], list[str]]:
    """Label rasters by place, one each, and the places whose only label rasters name no classes."""
    labels: dict[str, LabelRaster] = {}
    unnamed: set[str] = set()
    for item in pystac.Catalog.from_file(str(catalog)).get_items(recursive=True):
        place = str(item.properties.get("place", item.id))
        for asset in item.get_assets(role="labels").values():
            href = asset.get_absolute_href()
            if href is None or not href.endswith((".tif", ".tiff")):
                continue
            if names := _legend(asset):
                labels.setdefault(place, LabelRaster(href, names))
            else:
                unnamed.add(place)
    return labels, sorted(unnamed - set(labels))


def _legend(asset: pystac.Asset) -> dict[int, str]:
    fields = asset.extra_fields
    legend = fields.get("sample:legend") or fields.get("sample:legend_unverified") or {}
    named = {int(code): common_name(name) for code, name in legend.items()}
    return {code: name for code, name in named.items() if name}


def patches_of(
    sample: Sample, labels: LabelRaster, cells: int, cell_m: float
) -> Iterator[tuple[Sample, str, float]]:
    """Labelled patches of one sample: (patch, label, share of its labelled pixels that have the label)."""
    codes = labels_on_grid(sample, labels.href, cell_m)
    side = cells * LABEL_PX_PER_CELL
    for row in range(0, sample.grid_shape[0] - cells + 1, cells):
        for col in range(0, sample.grid_shape[1] - cells + 1, cells):
            y, x = row * LABEL_PX_PER_CELL, col * LABEL_PX_PER_CELL
            majority = majority_label(codes[y : y + side, x : x + side], labels.names)
            patch = cut(sample, row, col, cells, cell_m) if majority else None
            if majority and patch:
                yield patch, *majority


def labels_on_grid(sample: Sample, href: str, cell_m: float) -> np.ndarray:
    """Codes (grid_h * 8, grid_w * 8) int32 of a label raster, nearest neighbour; -1 outside it."""
    h, w = (cells * LABEL_PX_PER_CELL for cells in sample.grid_shape)
    px = cell_m / LABEL_PX_PER_CELL
    out = np.full((h, w), -1, dtype=np.int32)
    with rasterio.open(href) as raster:
        reproject(
            raster.read(1).astype(np.int32),
            out,
            src_transform=raster.transform,
            src_crs=raster.crs,
            dst_transform=Affine(px, 0, sample.origin_m[0], 0, -px, sample.origin_m[1]),
            dst_crs=sample.crs,
            resampling=Resampling.nearest,
            init_dest_nodata=False,
        )
    return out


def majority_label(codes: np.ndarray, names: Mapping[int, str]) -> tuple[str, float] | None:
    """The class that most labelled pixels have, and its share of them; None where too few are labelled."""
    counts = Counter[str]()
    for code, n in zip(*np.unique(codes, return_counts=True), strict=True):
        if name := names.get(int(code)):
            counts[name] += int(n)
    labelled = sum(counts.values())
    if labelled < MIN_LABELLED * codes.size:
        return None
    name, n = counts.most_common(1)[0]
    return name, n / labelled


def cut(sample: Sample, row: int, col: int, cells: int, cell_m: float) -> Sample | None:
    """The patch of `cells` x `cells` with (row, col) its upper left cell; None where nothing is valid."""
    series = {}
    for name, whole in sample.series.items():
        px = whole.valid.shape[1] // sample.grid_shape[0]
        rows, cols = (slice(at * px, (at + cells) * px) for at in (row, col))
        valid = whole.valid[:, rows, cols]
        dates = valid.any(axis=(1, 2))
        if dates.any():
            series[name] = replace(
                whole,
                pixels=whole.pixels[dates][:, :, rows, cols],
                valid=valid[dates],
                day_of_year=whole.day_of_year[dates],
                source_items=tuple(whole.source_items[t] for t in np.flatnonzero(dates)),
            )
    if not series:
        return None
    origin = (sample.origin_m[0] + col * cell_m, sample.origin_m[1] - row * cell_m)
    name = f"{sample.sample_id}@{row}_{col}"
    return replace(sample, sample_id=name, origin_m=origin, grid_shape=(cells, cells), series=series)


def _centres(samples: Sequence[Sample], side_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of the patches' centres."""
    lonlat = np.empty((2, len(samples)))
    for i, sample in enumerate(samples):
        x, y = sample.origin_m[0] + side_m / 2, sample.origin_m[1] - side_m / 2
        lonlat[:, i] = np.ravel(transform(sample.crs, "OGC:CRS84", [x], [y]))
    return lonlat[0], lonlat[1]


def _some_of_each(place: np.ndarray, at_most: int, seed: int) -> np.ndarray:
    """Positions of at most `at_most` rows of each place, drawn at random, in order."""
    rng = np.random.default_rng(seed)
    kept = [rng.permutation(np.flatnonzero(place == p))[:at_most] for p in np.unique(place)]
    return np.sort(np.concatenate(kept))
