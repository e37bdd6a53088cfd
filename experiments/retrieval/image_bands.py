"""Which layer of an image is which Sentinel-2 band, and what stands in for one that is not there."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data.dialects import unnamed_bands
from data.modality import S2
from data.sample import InputError
from data.scene import standard_band


def ten_bands(
    path: Path, pixels: np.ndarray, names: Sequence[str | None], fill_band: Mapping[str, str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """(C, H, W) -> the S2 modality's ten bands (10, H, W), and what was filled with what.

    Args:
        path: for errors.
        pixels: of one file.
        names: of its layers, as the file describes them; None where it does not.
        fill_band: for a band that is not there, the one that stands in for it.

    Raises:
        InputError: neither names nor number tell the bands, or one is missing that nothing fills.
    """
    order = [standard_band("s2", [name]) for name in names]
    if not any(order):
        order = list(_usual_order(path, pixels))
    sources = band_sources(path, [band for band in order if band], fill_band)
    filled = tuple(f"{band} filled with {source}" for band, source in sources.items() if band != source)
    return pixels[[order.index(source) for source in sources.values()]], filled


def band_sources(path: Path, there: Sequence[str], fill_band: Mapping[str, str]) -> dict[str, str]:
    """The ten bands, each with the one that it is read from. Raises InputError naming those without."""
    sources = {band: band if band in there else fill_band.get(band, "") for band in S2.bands}
    if lacking := [band for band, source in sources.items() if source not in there]:
        raise InputError(
            f"{path} has no band {', '.join(lacking)}; name ones that stand in for them: --fill-band B8A=B08"
        )
    return sources


def _usual_order(path: Path, pixels: np.ndarray) -> Sequence[str]:
    """The order of 10, 12 or 13 layers."""
    order = unnamed_bands("s2", np.median(pixels, axis=(1, 2)).tolist())
    if not order:
        raise InputError(
            f"{path} has {len(pixels)} bands without names; expected 3 of 8 bit, 10, 12 or 13 of Sentinel-2, "
            "or GeoTIFF descriptions that name them (B02, B03, ...)."
        )
    return order
