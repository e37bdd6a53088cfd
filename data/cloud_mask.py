"""Masks of cloud and shadow that come beside the bands: what each value says, by kind of mask."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MaskKind:
    """Both tables are indexed by the mask's value; a pixel outside its raster counts as 0."""

    cloud: np.ndarray  # (256,) bool, counted as cloud
    masked: np.ndarray  # (256,) bool, not to be seen as ground: cloud, shadow, no data


def _classes(cloud: tuple[int, ...], more: tuple[int, ...]) -> MaskKind:
    values = np.arange(256)
    return MaskKind(np.isin(values, cloud), np.isin(values, (*cloud, *more)))


def _hls_fmask() -> MaskKind:
    """Bits of HLS v2.0's Fmask (HLS User Guide, table 9): 1 cloud, 2 next to cloud, 3 shadow; 255 no data."""
    values = np.arange(256)
    filled = values == 255
    cloud = (values & 0b0110 > 0) & ~filled
    return MaskKind(cloud, cloud | (values & 0b1000 > 0) | filled)


MASK_KINDS = {
    # Sen2Cor's scene classification. Snow (11) is ground; 0 no data, 1 saturated, 3 cloud shadow.
    "scl": _classes(cloud=(8, 9, 10), more=(0, 1, 3)),
    # DEA's oa_fmask: 0 no data, 1 ground, 2 cloud, 3 shadow, 4 snow, 5 water.
    "dea-fmask": _classes(cloud=(2,), more=(0, 3)),
    "hls-fmask": _hls_fmask(),
}
