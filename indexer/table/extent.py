"""The box and the time that hold all rows of a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import pyarrow as pa

from ..geo.footprints import BBOX_FIELDS

COLUMNS = ("bbox", "start_datetime", "end_datetime")
Box = tuple[float, float, float, float]  # west, south, east, north, degrees


@dataclass(frozen=True)
class Extent:
    """An enclosing box of footprints, and the period [start, end) that theirs lie in.

    Footprints that the antimeridian cuts make the box as wide as the globe. Times are ISO 8601 in UTC, so
    their order is that of the text.
    """

    bbox: Box
    start: str
    end: str

    @staticmethod
    def of(rows: pa.Table | pa.RecordBatch) -> Extent:
        """That of at least one row, with COLUMNS."""
        import pyarrow.compute as pc

        west, south, east, north = (pc.struct_field(rows["bbox"], side) for side in BBOX_FIELDS)
        least, most = (
            (pc.min(side).as_py() for side in (west, south)),
            (pc.max(side).as_py() for side in (east, north)),
        )
        start, end = pc.min(rows["start_datetime"]).as_py(), pc.max(rows["end_datetime"]).as_py()
        return Extent((*least, *most), start.isoformat(), end.isoformat())

    def joined(self, other: Extent) -> Extent:
        """What holds both."""
        a, b = self.bbox, other.bbox
        box = (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))
        return Extent(box, min(self.start, other.start), max(self.end, other.end))


def joined_extent(known: Extent | None, rows: Iterable[pa.Table | pa.RecordBatch]) -> Extent | None:
    """What holds a known extent and rows; None where there is neither."""
    extents = [*([] if known is None else [known]), *(Extent.of(batch) for batch in rows if len(batch))]
    return reduce(Extent.joined, extents) if extents else None
