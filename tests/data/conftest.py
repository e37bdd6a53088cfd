"""A STAC catalog of tiny rasters, made scene by scene."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from data import web
from data.modality import MODALITIES
from data.stac import Catalog, read_catalog

UTM32 = "EPSG:32632"
LEFT, TOP = 600_000.0, 5_600_000.0  # near 10.4 E 50.5 N
COLLECTIONS = {"s2": "sentinel-2-l2a", "s1": "sentinel-1-grd", "hr": "aerial"}
GSD_M = {"s2": 10.0, "s1": 10.0, "hr": 2.5}


def typical(modality: str, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Pixels (C, H, W) in the modality's unit."""
    rng = np.random.default_rng(seed)
    bands = len(MODALITIES[modality].bands)
    low, high = {"s2": (500, 3000), "s1": (-20, -8), "hr": (30, 200)}[modality]
    return rng.uniform(low, high, (bands, *shape)).astype(MODALITIES[modality].dtype)


def write_raster(
    path: Path,
    pixels: np.ndarray,
    *,
    crs: str | None = UTM32,
    left: float = LEFT,
    top: float = TOP,
    gsd: float | tuple[float, float] = 10.0,
    names: tuple[str, ...] = (),
    **profile: Any,
) -> Path:
    """A GeoTIFF of pixels (C, H, W) with its upper left corner at (left, top)."""
    step_x, step_y = gsd if isinstance(gsd, tuple) else (gsd, gsd)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(pixels),
        height=pixels.shape[1],
        width=pixels.shape[2],
        dtype=pixels.dtype,
        crs=crs,
        transform=from_origin(left, top, step_x, step_y),
        **profile,
    ) as dataset:
        dataset.write(pixels)
        for index, name in enumerate(names, start=1):
            dataset.set_band_description(index, name)
    return path


@dataclass
class TinyCatalog:
    """Scenes of a few hundred metres, written to a folder as they are added."""

    folder: Path
    items: list[str] = field(default_factory=list)
    left: float = LEFT
    top: float = TOP
    typical = staticmethod(typical)

    def add(
        self,
        modality: str,
        item_id: str,
        pixels: np.ndarray | None = None,
        *,
        place: str | None = "here",
        date: str | None = "2020-06-01T10:00:00Z",
        shape: tuple[int, int] = (64, 64),
        crs: str = UTM32,
        left: float = LEFT,
        top: float = TOP,
        gsd: float | None = None,
        bands: tuple[str, ...] | None = None,
        collection: str | None = None,
        scl: np.ndarray | None = None,
        asset: dict[str, Any] | None = None,
        nodata: float | None = None,
        **properties: Any,
    ) -> Path:
        """Write one item and its raster; returns the path of the raster."""
        pixels = typical(modality, shape) if pixels is None else pixels
        bands = MODALITIES[modality].bands if bands is None else bands
        gsd = gsd or GSD_M[modality]
        folder = self.folder / item_id
        raster = write_raster(
            folder / f"{item_id}.tif",
            pixels,
            crs=crs,
            left=left,
            top=top,
            gsd=gsd,
            names=bands,
            nodata=nodata,
        )
        assets = {
            "data": {
                "href": f"./{raster.name}",
                "type": "image/tiff; application=geotiff",
                "roles": ["data"],
                "bands": [{"name": name} for name in bands],
                **(asset or {}),
            }
        }
        if scl is not None:
            write_raster(folder / "scl.tif", scl[None], crs=crs, left=left, top=top, gsd=20.0)
            assets["scl"] = {"href": "./scl.tif", "type": "image/tiff; application=geotiff"}
        known = {"place": place, "sample:boa_offset": "none"} if place else {"sample:boa_offset": "none"}
        fields = {
            **known,
            "datetime": date,
            "proj:code": crs,
            "proj:transform": [gsd, 0, left, 0, -gsd, top],
            "proj:shape": list(pixels.shape[1:]),
            **properties,
        }
        self.write_item(item_id, fields, assets, collection or COLLECTIONS[modality])
        return raster

    def write_item(
        self, item_id: str, properties: dict[str, Any], assets: dict[str, Any], collection: str
    ) -> None:
        item = {
            "type": "Feature",
            "stac_version": "1.1.0",
            "id": item_id,
            "geometry": None,
            "properties": {
                key: value for key, value in properties.items() if key == "datetime" or value is not None
            },
            "links": [],
            "assets": assets,
            "collection": collection,
        }
        folder = self.folder / item_id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{item_id}.json").write_text(json.dumps(item))
        self.items.append(item_id)

    def write(self) -> Path:
        catalog = {
            "type": "Catalog",
            "stac_version": "1.1.0",
            "id": "tiny",
            "description": "tiny",
            "links": [{"rel": "item", "href": f"./{name}/{name}.json"} for name in self.items],
        }
        path = self.folder / "catalog.json"
        path.write_text(json.dumps(catalog))
        return path

    def read(self) -> Catalog:
        return read_catalog(self.write())


@pytest.fixture
def tiny(tmp_path: Path) -> TinyCatalog:
    return TinyCatalog(tmp_path / "catalog")


def names(catalog: Catalog) -> list[str]:
    """Ids of its scenes, in their own order."""
    return sorted(scene.item_id for scene in catalog.scenes)


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults are asked about again at once, and nothing is known of hosts."""
    monkeypatch.setattr(web, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(web, "_silent", {})


@pytest.fixture
def raster(tmp_path: Path) -> Callable[..., Path]:
    """write_raster into a file of the test's own folder."""

    def write(pixels: np.ndarray, name: str = "raster.tif", **options: Any) -> Path:
        return write_raster(tmp_path / name, pixels, **options)

    return write
