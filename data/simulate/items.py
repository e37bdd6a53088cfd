"""Describe simulated scenes as STAC, in the form that real input has."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import rasterio
from pystac.stac_io import DefaultStacIO

from ..modality import MODALITIES
from . import scenes
from .area import HR_GSD_M, S2_GSD_M, SCL_GSD_M, Area
from .raster import transform_of
from .surface import COVER

_NOTE = "Simulated: drawn by a program from a seed; no satellite or aircraft saw it."
_COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_COLLECTION = {"s2": "sentinel-2-l2a", "s1": "sentinel-1-grd", "hr": "aerial"}
_GSD_M = {"s2": S2_GSD_M, "s1": S2_GSD_M, "hr": HR_GSD_M}
_UNIT = {"s2": "reflectance x 10000", "s1": "dB", "hr": "digital number"}
_NODATA: dict[str, dict[str, Any]] = {"s2": {"nodata": 0}, "s1": {"nodata": "nan"}, "hr": {}}
_EXTENSIONS = [
    f"https://stac-extensions.github.io/{name}/schema.json" for name in ("projection/v2.0.0", "eo/v1.1.0")
]


@dataclass(frozen=True)
class Scene:
    """One item: what is seen of an area, by which sensor, when."""

    area: Area
    modality: str
    time: datetime
    number: int  # among the scenes of its sensor

    @property
    def item_id(self) -> str:
        sensor = {"s2": "s2l2a", "s1": "s1", "hr": "aerial"}[self.modality]
        return f"{self.area.name}_{sensor}_{self.time:%Y%m%d}"

    @property
    def ascending(self) -> bool:
        """The side from which the radar looks: orbits alternate."""
        return self.number % 2 == 1

    def path(self, root: Path, suffix: str = "") -> Path:
        """Where the asset `data` lies, or with a suffix another raster of the item."""
        return root / _COLLECTION[self.modality] / self.item_id / f"{self.item_id}{suffix}.tif"


def landcover_path(root: Path, area: Area) -> Path:
    return root / "labels" / f"{area.name}_landcover.tif"


def make_item(root: Path, scene: Scene) -> pystac.Item:
    """Describe a scene whose rasters are written."""
    ring = scene.area.footprint_deg
    lon, lat = zip(*ring, strict=True)
    properties: dict[str, Any] = {
        "title": f"Simulated {MODALITIES[scene.modality].title}, {scene.area.name}",
        "simulated": True,
        "platform": "simulated",
        "place": scene.area.name,
        "gsd": _GSD_M[scene.modality],
        "date_known": True,
        "proj:code": scene.area.crs,
        "proj:bbox": list(scene.area.bounds_m),
        **_grid(scene.area, _GSD_M[scene.modality]),
    }
    if scene.modality == "s2":
        properties |= _cloud_cover(scene.path(root, "_scl"))
        properties["sample:boa_offset"] = "none (simulated reflectance has no offset)"
        properties["sample:complete_10_bands"] = True
    if scene.modality == "s1":
        properties["sat:orbit_state"] = "ascending" if scene.ascending else "descending"
    item = pystac.Item(
        scene.item_id,
        {"type": "Polygon", "coordinates": [[list(corner) for corner in ring]]},
        [min(lon), min(lat), max(lon), max(lat)],
        scene.time,
        properties,
        stac_extensions=_EXTENSIONS,
    )
    for name, asset in _assets(scene).items():
        item.add_asset(name, asset)
    return item


def _assets(scene: Scene) -> dict[str, pystac.Asset]:
    modality = MODALITIES[scene.modality]
    data = {
        "bands": [{"name": band} for band in modality.bands],
        "data_type": modality.dtype,
        "unit": _UNIT[scene.modality],
    }
    labels = {
        "bands": [{"name": "landcover"}],
        "data_type": "uint8",
        "nodata": 0,
        "sample:legend": {str(code): name for code, name in COVER.items()},
        **_grid(scene.area, S2_GSD_M),
    }
    scl = {
        "bands": [{"name": "SCL"}],
        "data_type": "uint8",
        "nodata": 0,
        "gsd": SCL_GSD_M,
        **_grid(scene.area, SCL_GSD_M),
    }
    here = f"./{scene.item_id}"
    assets = {
        "data": _asset(f"{here}.tif", f"Simulated {modality.title}", "data", data | _NODATA[scene.modality]),
        "labels_landcover": _asset(
            f"../../labels/{scene.area.name}_landcover.tif", "Simulated land cover, 10 m", "labels", labels
        ),
    }
    if scene.modality == "s2":
        assets["scl"] = _asset(f"{here}_scl.tif", "Simulated scene classification, 20 m", "cloud-mask", scl)
    return assets


def _asset(href: str, title: str, role: str, fields: dict[str, Any]) -> pystac.Asset:
    return pystac.Asset(href, title=title, media_type=_COG, roles=[role], extra_fields=fields)


def _grid(area: Area, gsd_m: float) -> dict[str, Any]:
    size_px = round(area.side_m / gsd_m)
    return {"proj:shape": [size_px, size_px], "proj:transform": list(transform_of(area, gsd_m))}


def _cloud_cover(scl_path: Path) -> dict[str, float]:
    with rasterio.open(scl_path) as raster:
        scl = raster.read(1)
    cloud, shadow = np.isin(scl, scenes.SCL_CLOUDS), scl == scenes.SCL_SHADOW
    return {
        "eo:cloud_cover": round(100 * float(cloud.mean()), 2),
        "sample:cloud_shadow_cover": round(100 * float(shadow.mean()), 2),
    }


def save_catalog(root: Path, items: list[tuple[Scene, pystac.Item]], parameters: dict[str, Any]) -> None:
    """Write items, then collections, then the catalog: it appears when all else is there."""
    catalog = pystac.Catalog("simulated-landscape", _NOTE, title="Simulated landscape")
    catalog.extra_fields |= {"simulated": True, "simulation:parameters": parameters}
    for modality, collection_id in _COLLECTION.items():
        members = [item for scene, item in items if scene.modality == modality]
        if members:
            collection = pystac.Collection(
                collection_id,
                f"{_NOTE} In the form of {MODALITIES[modality].title}: {MODALITIES[modality].unit}.",
                pystac.Extent.from_items(members),
                title=f"Simulated {MODALITIES[modality].title}",
                license="CC0-1.0",
                extra_fields={"simulated": True},
            )
            collection.add_items(members)
            catalog.add_child(collection)
    catalog.normalize_hrefs(str(root))
    catalog.save(pystac.CatalogType.SELF_CONTAINED, stac_io=_WholeFiles())


class _WholeFiles(DefaultStacIO):  # type: ignore[misc]  # pystac is not checked
    """Files are there whole or not at all."""

    def write_text_to_href(self, href: str, txt: str) -> None:
        path = Path(href)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(txt, encoding="utf-8")
        partial.replace(path)
