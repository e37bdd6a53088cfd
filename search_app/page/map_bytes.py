"""What the map's data look like on their way to the browser: named arrays, and similarities of two bytes.

Streamlit hands a component its data with every run of the page, so what is large goes another way: the
browser fetches it by an address that names snapshot and question, once. Cells are 64-bit numbers as they are,
which no JavaScript number holds, and the browser reads them as two halves.
"""

import json
import struct
from typing import Any

import numpy as np

from indexer.geo.cells import areas_km2, resolution_of

from .map_cells import MapCells

ALIGNMENT = 8  # bytes: a browser's views of 64-bit numbers begin at a multiple of it
STEPS = 32_767  # of similarity from 0 to 1
NOTHING = 0  # the code of a cell that the filters leave out
NO_KIND = 255


def pack(meta: dict[str, Any], **arrays: np.ndarray) -> bytes:
    """A header in JSON, its length before it, then the arrays, little-endian and aligned.

    The header has `meta` and, under `arrays`, for each its type, its first byte after the header, its count.
    """
    blocks, places, offset = [], {}, 0
    for name, array in arrays.items():
        block = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        padding = -len(block) % ALIGNMENT
        places[name] = {"type": array.dtype.name, "first": offset, "count": array.size}
        blocks.append(block + bytes(padding))
        offset += len(block) + padding
    header = json.dumps({**meta, "arrays": places}).encode()
    header += b" " * (-(4 + len(header)) % ALIGNMENT)
    return b"".join((struct.pack("<I", len(header)), header, *blocks))


def pack_cells(cells: MapCells, footprint_km2: float = 0.0) -> bytes:
    """What stays while questions change: ids, true areas, and rows where any cell has several.

    `footprint_km2` tells how large footprints are where they are to be drawn.
    """
    arrays: dict[str, np.ndarray] = {"cell": cells.cell, "area_km2": areas_km2(cells.cell).astype(np.float32)}
    if (cells.rows > 1).any():
        arrays["rows"] = np.minimum(cells.rows, 65_535).astype(np.uint16)
    resolution = resolution_of(int(cells.cell[0])) if len(cells.cell) else 0
    meta = {"resolution": resolution, "scattered": cells.scattered, "footprint_km2": footprint_km2}
    return pack(meta, **arrays)


def similarity_codes(similarity: np.ndarray) -> np.ndarray:
    """Similarities (n,) from -1 to 1 as uint16 from 1 to 65535, in steps of 3e-5; NaN is NOTHING."""
    codes = np.round(np.clip(similarity, -1, 1) * STEPS) + STEPS + 1
    return np.where(np.isnan(similarity), NOTHING, np.nan_to_num(codes)).astype("<u2")


def code_similarity(codes: np.ndarray) -> np.ndarray:
    """The similarities that codes other than NOTHING stand for."""
    return (codes.astype(np.float64) - STEPS - 1) / STEPS


def kind_codes(kind: np.ndarray) -> np.ndarray:
    """Kinds (n,) counted from 0 as uint8; -1 is NO_KIND."""
    return np.where(kind < 0, NO_KIND, np.minimum(kind, NO_KIND - 1)).astype(np.uint8)
