"""One band of ESA's Zarr products (EOPF), as the raster that it is: `PRODUCT.zarr/measurements/.../b02`.

Numbers come as they are stored: `scale_factor` and `add_offset` are what `raster:scale` and `raster:offset`
are elsewhere. The layout is that of EOPF-Sample-Service/eopf-stac, constants of its Sentinel-2 items.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window as PixelWindow

from .grid import parse_crs
from .sample import InputError

if TYPE_CHECKING:
    import zarr

STORE = ".zarr/"  # what stands between a product and the path of an array in it


class ZarrBand:
    """What our reading asks of a rasterio dataset, of one array (H, W) of a local store.

    Raises InputError where there is no such array, nothing says where it lies, or zarr is not installed.
    """

    count = 1
    descriptions = (None,)
    colorinterp = (ColorInterp.gray,)
    mask_flag_enums = ([MaskFlags.nodata],)
    interleaving = None
    gcps: tuple[list[Any], None] = ([], None)

    def __init__(self, href: str) -> None:
        self.href = href
        self._array = _array(href)
        with _faults(href, "has attributes that cannot be read"):
            self._describe(dict(self._array.attrs))

    def _describe(self, attributes: dict[str, Any]) -> None:
        about: dict[str, Any] = {**(attributes.get("_eopf_attrs") or {}), **attributes}
        self.height, self.width = self.shape = (int(self._array.shape[0]), int(self._array.shape[1]))
        self.dtypes = (str(self._array.dtype),)
        self.block_shapes = (tuple(self._array.chunks),)
        fill = about.get("fill_value", self._array.fill_value)
        self.nodata = None if fill is None or np.isnan(float(fill)) else float(fill)
        self.scales = (float(about.get("scale_factor", 1.0)),)
        self.offsets = (float(about.get("add_offset", 0.0)),)
        self.crs = parse_crs(_crs(self.href, about))
        self.transform = _transform(self.href, about)

    def overviews(self, index: int) -> list[int]:
        return []

    def read(
        self,
        indexes: Sequence[int],
        window: PixelWindow | None = None,
        out_shape: Sequence[int] | None = None,
    ) -> np.ndarray:
        """(1, H, W) of a window, or of the whole in `out_shape` from the nearest pixels."""
        if window is not None:
            (top, bottom), (left, right) = window.toranges()
            return self._values(np.s_[int(top) : int(bottom), int(left) : int(right)])[None]
        whole = self._values(np.s_[:])
        if out_shape is None:
            return whole[None]
        rows, cols = (
            ((np.arange(n) + 0.5) * of / n).astype(int)
            for n, of in zip(out_shape[-2:], self.shape, strict=True)
        )
        return np.asarray(whole[rows[:, None], cols][None])

    def _values(self, part: Any) -> np.ndarray:
        with _faults(self.href, "is truncated or corrupt"):
            return np.asarray(self._array[part])

    def close(self) -> None:
        """Nothing is kept open."""


def is_zarr(href: str) -> bool:
    """Whether a href names an array inside a Zarr store."""
    return STORE in href


@contextmanager
def _faults(href: str, what: str) -> Iterator[None]:
    """What zarr, its codecs and our parsing raise over a store, as an InputError that says what is wrong."""
    from zarr.errors import BaseZarrError

    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, BaseZarrError) as error:
        raise InputError(f"{href} {what}: {error}") from error


def _array(href: str) -> "zarr.Array[Any]":
    try:
        import zarr
    except ImportError as error:
        raise InputError(f"{href} is a Zarr store; reading it needs `pip install skyhex[zarr]`") from error
    if "://" in href:
        raise InputError(f"{href} is a Zarr store elsewhere; expected one on this machine: copy it here")
    with _faults(href, "is no array of a Zarr store that can be read"):
        array = zarr.open_array(href, mode="r")
    if array.ndim != 2:
        raise InputError(f"{href} has {array.ndim} dimensions; expected rows and columns of one band")
    return array


def _crs(href: str, about: dict[str, Any]) -> str:
    """From the array's attributes, or from what the product says of itself."""
    root = Path(href.split(STORE)[0] + ".zarr")
    for said in (about, _discovery(root)):
        code = said.get("proj:code") or (
            f"EPSG:{said['proj:epsg']}" if said.get("proj:epsg") else said.get("proj:wkt2")
        )
        if code:
            return str(code)
    raise InputError(
        f"{href} says no projection; expected `proj:epsg` or `proj:code` beside it or in its product"
    )


def _discovery(root: Path) -> dict[str, Any]:
    """The STAC properties that a product's root carries."""
    for name in (".zattrs", "zarr.json"):
        try:
            document = json.loads((root / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        attributes = document.get("attributes", document)
        return dict(attributes.get("stac_discovery", {}).get("properties", {}))
    return {}


def _transform(href: str, about: dict[str, Any]) -> Affine:
    """From `proj:transform`, or from the coordinates `x` and `y`, centres of pixels, beside the array."""
    if about.get("proj:transform"):
        return Affine(*(float(value) for value in about["proj:transform"][:6]))
    folder = href.rstrip("/").rsplit("/", 1)[0]
    x, y = (np.asarray(_coordinates(f"{folder}/{name}"), np.float64) for name in ("x", "y"))
    step_x, step_y = (float(values[-1] - values[0]) / (len(values) - 1) for values in (x, y))
    return Affine(step_x, 0, float(x[0]) - step_x / 2, 0, step_y, float(y[0]) - step_y / 2)


def _coordinates(href: str) -> np.ndarray:
    import zarr

    with _faults(href, "cannot be read; expected the coordinates of the pixels' centres"):
        values = np.asarray(zarr.open_array(href, mode="r")[:])
    if values.ndim != 1 or len(values) < 2:
        raise InputError(f"{href} has the shape {values.shape}; expected coordinates of at least two pixels")
    return values
