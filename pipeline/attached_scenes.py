"""Imagery that people may look at beside rows that were not made of any here: AlphaEarth, TESSERA, one's own.

A catalog's scenes are kept as a small file of the snapshot, `quicklooks`: where and when each looked, and
where its bands lie. A row is then shown by the scenes of its own place and period.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from data.sample import InputError
from data.scene import BandSource, Scene
from indexer.errors import TableError
from indexer.table.embedding_table import EmbeddingTable
from indexer.table.schema import TIMESTAMP

KIND, FILE = "quicklooks", "scenes.parquet"
AT_MOST = {"hr": 1, "s2": 4, "s1": 1}  # scenes of a sensor that a row is shown by
SCHEMA = pa.schema(
    [
        pa.field("modality", pa.string(), nullable=False),
        pa.field("start", TIMESTAMP, nullable=False),
        pa.field("end", TIMESTAMP, nullable=False),
        pa.field("cloud_percent", pa.float32()),
        pa.field("offset", pa.int32(), nullable=False),
        pa.field("scale", pa.float64()),
        pa.field("geometry", pa.binary(), nullable=False),
        pa.field(
            "bands",
            pa.list_(pa.struct([("name", pa.string()), ("href", pa.string()), ("index", pa.int32())])),
            nullable=False,
        ),
    ]
)


@dataclass(frozen=True)
class AttachedScene:
    """What one sensor saw at one time."""

    modality: str  # "hr", "s2" or "s1"
    start: datetime  # UTC; when, or between when and `end`
    end: datetime
    bands: tuple[BandSource, ...]
    cloud_percent: float | None = None
    offset: int = 0  # to add to Sentinel-2 digital numbers
    scale: float | None = None  # reflectance of one digital number; None: 1e-4

    @property
    def date(self) -> str:
        """A day, or a range of days."""
        days = [f"{moment:%Y-%m-%d}" for moment in (self.start, self.end)]
        return " to ".join(dict.fromkeys(days))


class AttachedScenes:
    """The scenes that a table's rows may be shown by."""

    def __init__(self, scenes: Sequence[AttachedScene], footprints: np.ndarray) -> None:
        self._scenes = scenes
        self._tree = shapely.STRtree(footprints)  # (n,) polygons in lon/lat

    @staticmethod
    def of(table: EmbeddingTable) -> AttachedScenes | None:
        """Those that were attached to a snapshot; None where none were. Raises TableError."""
        if table.sidecar(KIND) is None:
            return None
        try:
            rows = pq.read_table(io.BytesIO(table.read_sidecar(KIND, FILE))).cast(SCHEMA)
            shapes = shapely.from_wkb(rows["geometry"].to_numpy())
        except (pa.ArrowException, ValueError, shapely.GEOSException) as error:
            raise TableError(
                f"the {KIND} of {table.storage.root} cannot be read: attach them again"
            ) from error
        return AttachedScenes([_scene(row) for row in rows.drop_columns(["geometry"]).to_pylist()], shapes)

    def shown(self, footprint: shapely.Geometry, start: datetime, end: datetime) -> list[AttachedScene]:
        """The scenes of a place in a period [start, end), AT_MOST of each sensor, clear ones first."""
        at = self._tree.query(footprint.centroid, predicate="intersects").tolist()
        there = [self._scenes[i] for i in at]
        fit = sorted((one for one in there if one.start < end and one.end >= start), key=_worth)
        of_each = ([one for one in fit if one.modality == name][:most] for name, most in AT_MOST.items())
        return [scene for scenes in of_each for scene in scenes]


def _worth(scene: AttachedScene) -> tuple[float, float]:
    """Clear ones first, then late ones; of unknown cloud last."""
    cloud = 100.0 if scene.cloud_percent is None else scene.cloud_percent
    return cloud, -scene.start.timestamp()


def attach(table: EmbeddingTable, scenes: Iterable[Scene]) -> tuple[EmbeddingTable, Mapping[str, int]]:
    """Keep a catalog's scenes with the table in place of those it had; how many of each sensor.

    Raises:
        InputError: there is none whose bands can be shown.
        TableError: the table cannot be written.
    """
    kept = [scene for scene in scenes if scene.bands]
    if not kept:
        raise InputError("the catalog has no scene that can be shown: expected HR, Sentinel-2 or Sentinel-1")
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([_row(scene) for scene in kept], SCHEMA), file)
    count = dict(sorted(Counter(scene.modality for scene in kept).items()))
    return table.commit_sidecar(KIND, {FILE: file.getvalue()}, {"scenes": count}), count


def _row(scene: Scene) -> dict[str, object]:
    first, last = (scene.start, scene.end) if scene.date is None else (scene.date, scene.date)
    return {
        "modality": scene.modality,
        "start": first,
        "end": last,
        "cloud_percent": scene.cloud_percent,
        "offset": scene.offset or 0,
        "scale": scene.scale,
        "geometry": shapely.to_wkb(scene.footprint),
        "bands": [asdict(band) for band in scene.bands],
    }


def _scene(row: Mapping[str, object]) -> AttachedScene:
    bands = tuple(BandSource(**band) for band in row["bands"])  # type: ignore[attr-defined]
    return AttachedScene(**{**row, "bands": bands})  # type: ignore[arg-type]
