"""Polygons as a Mapbox Vector Tile, version 2.1: one layer, corners of all features encoded at once.

Source: github.com/mapbox/vector-tile-spec, 2.1. Numbers are protobuf varints; corners are steps from the one
before, zigzag-encoded.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

EXTENT = 4096  # steps across a tile
MOVE, LINE, CLOSE = 1, 2, 7
POLYGON = 3
Ints = NDArray[np.int64]


def encode_tile(layer: str, corners: Ints, counts: Ints, names: Sequence[str], rows: Sequence[int]) -> bytes:
    """A tile of rings.

    Args:
        layer: its name.
        corners: (sum of counts, 2) x and y in steps of the tile, y down, rings clockwise and not closed.
        counts: (n,) corners of each ring, 3 or more.
        names: (n,) the property `cell`.
        rows: (n,) the property `rows`.
    """
    if not len(counts):
        return b""
    numbers = sorted(set(rows))
    place = {number: len(names) + i for i, number in enumerate(numbers)}
    geometries = _geometries(corners, counts)
    features = b"".join(
        _field(2, _feature(i, place[number], geometry))
        for i, (number, geometry) in enumerate(zip(rows, geometries, strict=True))
    )
    keys = _field(3, b"cell") + _field(3, b"rows")
    texts = b"".join(_field(4, _field(1, name.encode())) for name in names)
    values = texts + b"".join(_field(4, b"\x28" + _varint(number)) for number in numbers)
    head = _field(1, layer.encode())
    return _field(3, b"\x78\x02" + head + features + keys + values + b"\x28" + _varint(EXTENT))


def _feature(number: int, value: int, geometry: bytes) -> bytes:
    tags = b"\x00" + _varint(number) + b"\x01" + _varint(value)
    return _field(2, tags) + bytes((0x18, POLYGON)) + _field(4, geometry)


def _geometries(corners: Ints, counts: Ints) -> list[bytes]:
    """The commands of each ring: move, its first corner, lines, the others, close."""
    n, starts = len(counts), np.cumsum(counts) - counts
    steps = np.diff(corners, axis=0, prepend=corners[:1] * 0)
    steps[starts] = corners[starts]  # every feature begins at the tile's own corner
    zigzag = ((steps << 1) ^ (steps >> 63)).ravel()
    sizes = 2 * counts + 3
    ends = np.cumsum(sizes)
    first = ends - sizes
    numbers = np.empty(int(ends[-1]), np.int64)
    is_step = np.ones(len(numbers), bool)
    is_step[first], is_step[first + 3], is_step[ends - 1] = False, False, False
    numbers[first] = MOVE | 1 << 3
    numbers[first + 3] = LINE | (counts - 1) << 3
    numbers[ends - 1] = CLOSE | 1 << 3
    numbers[is_step] = zigzag
    content, offsets = _varints(numbers)
    bounds = np.append(offsets[first], len(content)).tolist()
    return [content[bounds[i] : bounds[i + 1]] for i in range(n)]


def _varints(numbers: Ints) -> tuple[bytes, Ints]:
    """Numbers below 2**35 as varints, and where each begins."""
    lengths = np.ones(len(numbers), np.int64)
    for bits in (7, 14, 21, 28):
        lengths += numbers >> bits > 0
    offsets = np.cumsum(lengths) - lengths
    content = np.zeros(int(lengths.sum()), np.uint8)
    for byte in range(5):
        mine = lengths > byte
        more = (lengths[mine] > byte + 1).astype(np.int64) << 7
        content[offsets[mine] + byte] = (numbers[mine] >> (7 * byte)) & 127 | more
    return content.tobytes(), offsets


def _varint(number: int) -> bytes:
    return _varints(np.array([number], np.int64))[0] if number >= 128 else bytes((number,))


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes."""
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content
