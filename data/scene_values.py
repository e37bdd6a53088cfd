"""A bounded sample of a scene's values: what its unit is decided by, alike for all windows of the scene."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window as PixelWindow

from .raster import check_bands, file_stamp, reading
from .scene import Scene

SIDE_PX = 256  # of the sample of one band, at most
BLOCKS = 4  # a large raster without overviews is sampled in BLOCKS x BLOCKS parts


@dataclass(frozen=True)
class SceneValues:
    """Raw values of a scene's bands. They are read when first asked for."""

    scene: Scene

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Of the first band's raster."""
        return np.dtype(str(self._of_first_band("dtypes")))

    @cached_property
    def raster_scale(self) -> float:
        """The scale that the first band's raster declares itself; 1 where it does not."""
        return float(self._of_first_band("scales"))

    def _of_first_band(self, field: str) -> Any:
        band = self.scene.bands[0]
        with reading(band.href) as raster:
            check_bands(band.href, raster, [band.index])
            return getattr(raster.dataset, field)[band.index - 1]

    @cached_property
    def bands(self) -> tuple[np.ndarray, ...]:
        """Per band a flat sample, float32, NaN = no data; bands of one grid share their pixels."""
        by_raster = groupby(self.scene.bands, key=lambda band: band.href)
        return tuple(
            values
            for href, bands in by_raster
            for values in _sample(href, [band.index for band in bands], self.scene.nodata)
        )


def scene_values(scene: Scene) -> SceneValues:
    """Kept for the scene's other windows. Raises InputError when asked for values that cannot be read."""
    return _kept(scene, tuple(file_stamp(band.href) for band in scene.bands))


@lru_cache(maxsize=256)
def _kept(scene: Scene, stamps: tuple[tuple[int, int], ...]) -> SceneValues:
    return SceneValues(scene)


def window_values(scene: Scene, raw: np.ndarray, has_data: np.ndarray) -> SceneValues:
    """The values of one window (C, H, W) in place of the scene's."""
    values = SceneValues(scene)
    known = np.where(has_data, raw, np.nan).astype(np.float32)
    vars(values).update(dtype=raw.dtype, raster_scale=1.0, bands=tuple(known.reshape(len(raw), -1)))
    return values


def _sample(href: str, indexes: list[int], nodata: float | None) -> np.ndarray:
    """(C, n) float32 of bands (1-based) of one raster."""
    with reading(href) as raster:
        dataset = raster.dataset
        check_bands(href, raster, indexes)
        height, width = (min(side, SIDE_PX) for side in dataset.shape)
        if max(dataset.shape) <= 2 * SIDE_PX or dataset.overviews(indexes[0]):
            values = dataset.read(indexes, out_shape=(len(indexes), height, width))
        else:
            values = _in_parts(dataset, indexes)
    declared = nodata if dataset.nodata is None else dataset.nodata
    values = np.asarray(values, np.float32).reshape(len(indexes), -1)
    return (
        values if declared is None else np.where(values == np.float32(declared), np.float32(np.nan), values)
    )


def _in_parts(dataset: rasterio.DatasetReader, indexes: list[int]) -> np.ndarray:
    """Parts spread over the raster, each at full size: without overviews a reduced read would read all."""
    height, width = (min(side, SIDE_PX // BLOCKS) for side in dataset.shape)
    rows = np.linspace(0, dataset.height - height, BLOCKS).astype(int).tolist()
    cols = np.linspace(0, dataset.width - width, BLOCKS).astype(int).tolist()
    parts = [PixelWindow(col, row, width, height) for row in rows for col in cols]
    return np.concatenate([dataset.read(indexes, window=part) for part in parts], axis=-1)  # (C, side, m)
